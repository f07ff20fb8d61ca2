from __future__ import annotations

import pytest

from meshbox.errors import Conflict, Invalid, NotFound, Outdated, StoreFull
from meshbox.tailnet import policies
from meshbox.tailnet.model import Audit
from tests.tailnet.build import NOW, make_tailnet
from tests.tailnet.memory import MemoryStore

TEXT = '{"acls": []} // as written\r\n'


def test_a_text_is_kept_serves_and_is_audited() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    version = policies.put(t, TEXT, "local:ana", "closed", NOW)
    assert t.policy == version and t.in_force.version == version and version.text == TEXT
    assert Audit(NOW, "local:ana", "policy.set", "1", "closed") in store.log[-1].steps
    again = make_tailnet(store)
    assert again.policy == version and again.enforcement.document == t.enforcement.document
    assert policies.require(t, 1) == version
    with pytest.raises(NotFound, match="no version 2"):
        policies.require(t, 2)


def test_what_cannot_be_stored_does_not_serve() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    store.fail_with = StoreFull("no space left")
    with pytest.raises(StoreFull):
        policies.put(t, TEXT, "test", "", NOW)
    assert t.policy is None and t.enforcement.document is None


def test_a_change_that_started_from_an_older_version_is_refused() -> None:
    t = make_tailnet()
    policies.require_newest(t, 0)
    policies.put(t, TEXT, "test", "", NOW)
    policies.require_newest(t, 1)
    with pytest.raises(Outdated, match="at version 1, and your change started from 0") as refused:
        policies.require_newest(t, 0)
    assert isinstance(refused.value, Conflict) and refused.value.status == 412


@pytest.mark.parametrize("note", ["x" * 201, "two\nlines", "\x1b[31m"])
def test_a_note_is_one_line(note: str) -> None:
    with pytest.raises(Invalid, match="note"):
        policies.put(make_tailnet(), TEXT, "test", note, NOW)
