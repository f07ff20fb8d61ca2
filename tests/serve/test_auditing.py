from __future__ import annotations

import pytest

from meshbox.errors import StoreFull
from meshbox.serve import auditing
from meshbox.serve.auditing import FIRST_TRIM, TRIM_EVERY, TRIM_ON, Trimmer, mirror
from meshbox.tailnet.model import Audit

DAY = 86_400.0


class Floor:
    """A store with so many old rows, a clock, and what was said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.old, self.retention, self.is_full = 0.0, 25, 30 * DAY, False
        self.asked: list[float] = []
        self.said: list[tuple[str, dict[str, object]]] = []
        monkeypatch.setattr(auditing.log, "emit", lambda event, **fields: self.said.append((event, fields)))
        self.trimmer = Trimmer(self.trim, lambda: self.retention, lambda: 1e9 + self.now, lambda: self.now)

    def trim(self, before: float, now: float) -> int:
        if self.is_full:
            raise StoreFull("no space")
        self.asked.append(before)
        gone = min(self.old, 10)
        self.old -= gone
        return gone

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += 1
            self.trimmer.beat()


@pytest.fixture
def floor(monkeypatch: pytest.MonkeyPatch) -> Floor:
    return Floor(monkeypatch)


def test_old_rows_go_slice_by_slice_and_then_a_day_of_rest(floor: Floor) -> None:
    floor.run(FIRST_TRIM - 1)
    assert floor.asked == []
    floor.run(3 * TRIM_ON + 1)
    assert floor.asked[0] == 1e9 + FIRST_TRIM - 30 * DAY
    assert floor.old == 0 and len(floor.asked) == 4
    assert floor.said == [("audit_trimmed", {"count": 25})]
    floor.run(TRIM_EVERY - 100)
    assert len(floor.asked) == 4
    floor.run(200)
    assert len(floor.asked) == 5 and len(floor.said) == 1


def test_without_a_limit_nothing_goes(floor: Floor) -> None:
    floor.retention = 0
    floor.run(FIRST_TRIM + 100)
    assert floor.asked == []


def test_a_full_disk_is_said_and_tried_again_tomorrow(floor: Floor) -> None:
    floor.is_full = True
    floor.run(FIRST_TRIM + 100)
    assert [event for event, _ in floor.said] == ["audit_trim_failed"]
    floor.is_full = False
    floor.run(TRIM_EVERY)
    assert floor.old == 0


@pytest.mark.parametrize(
    ("action", "node", "user"),
    [("node.rename", "laptop", ""), ("user.create", "", "laptop"), ("policy.set", "", "")],
)
def test_what_was_done_is_found_by_node_and_user(floor: Floor, action: str, node: str, user: str) -> None:
    mirror(Audit(1.0, "local:root", action, "laptop", "was box"))
    [(event, fields)] = floor.said
    assert event == "audited" and (fields["node"], fields["user"]) == (node, user)
    assert (fields["actor"], fields["action"], fields["object"]) == ("local:root", action, "laptop")
