from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.errors import Conflict, Invalid, NotFound
from meshbox.tailnet import notices
from meshbox.tailnet.notices import COUNT_LIMIT, NoticeWish
from tests.tailnet.build import NOW, make_tailnet
from tests.tailnet.memory import MemoryStore

DOWN = NoticeWish(
    "down", "Maintenance tonight", "At ten.", "high", "https://wiki.test/down", "Read", ("user:ana",)
)


def test_a_notice_is_put_replaced_kept_and_taken_away() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    first = notices.put(t, DOWN, "test", NOW)
    assert (first.title, first.severity, first.label, first.targets) == (
        "Maintenance tonight",
        "high",
        "Read",
        ("user:ana",),
    )
    second = notices.put(t, replace(DOWN, title="Over", link=""), "test", NOW)
    assert second.id == first.id and second.label == "", "without a link there is no button"
    assert make_tailnet(store).notices == {second.id: second}
    notices.delete(t, "down", "test", NOW)
    assert t.notices == {}
    with pytest.raises(NotFound):
        notices.delete(t, "down", "test", NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Down"},
        {"name": ""},
        {"name": "*"},
        {"title": " "},
        {"title": "x" * 81},
        {"text": "two\nlines"},
        {"severity": "urgent"},
        {"link": "javascript:alert(1)"},
        {"link": "https://"},
        {"link": "https://[x"},
        {"label": "x" * 41},
        {"targets": ("ana",)},
        {"targets": ("group:x",)},
        {"targets": tuple(f"user:u{number}" for number in range(65))},
    ],
)
def test_what_cannot_be_shown_is_refused(wrong: dict[str, object]) -> None:
    t = make_tailnet()
    with pytest.raises(Invalid):
        notices.put(t, replace(DOWN, **wrong), "test", NOW)  # type: ignore[arg-type]
    assert t.notices == {}


def test_there_are_not_endlessly_many() -> None:
    t = make_tailnet()
    for number in range(COUNT_LIMIT):
        notices.put(t, replace(DOWN, name=f"n{number}"), "test", NOW)
    with pytest.raises(Conflict):
        notices.put(t, DOWN, "test", NOW)
    notices.put(t, replace(DOWN, name="n0", title="Changed"), "test", NOW)
