"""Which of the kept versions serves."""

from __future__ import annotations

from meshbox.policy.texts import NOBODY
from meshbox.tailnet import kept
from meshbox.tailnet.model import PolicyVersion
from meshbox.tailnet.ports import Put
from tests.tailnet.build import NOW, make_tailnet
from tests.tailnet.memory import MemoryStore

GOOD = '{"acls": []}'
BAD = '{\n  "acls": 7\n}'


def stored(*texts: str) -> MemoryStore:
    store = MemoryStore()
    for number, text in enumerate(texts, start=1):
        store.commit([Put(PolicyVersion(number, text, "test", NOW))])
    return store


def test_no_version_is_no_policy() -> None:
    t = make_tailnet()
    assert t.policy is None and t.in_force == kept.InForce() and t.enforcement.document is None


def test_the_newest_serves_and_says_nothing() -> None:
    t = make_tailnet(stored("{}", GOOD))
    assert t.policy is t.in_force.version and t.policy is not None and t.policy.id == 2
    assert not t.in_force.fault and t.enforcement.document == t.in_force.document


def test_a_version_that_cannot_be_read_gives_way_to_the_last_good_one() -> None:
    t = make_tailnet(stored("{}", GOOD, BAD, BAD))
    assert t.policy is not None and t.policy.id == 4
    assert t.in_force.version is not None and t.in_force.version.id == 2
    assert t.in_force.fault == (
        "version 4 of the policy cannot be read (line 2, column 11: acls must be a list, not a number); "
        "version 2 serves instead"
    )
    assert t.enforcement.document is not None and t.enforcement.document.acls == ()


def test_without_any_good_one_nothing_is_allowed() -> None:
    t = make_tailnet(stored(BAD))
    assert t.enforcement.document is NOBODY
    assert t.in_force.fault.endswith("nor can an older one: nothing is allowed")


def test_a_batch_of_another_instance_takes_the_same_door() -> None:
    t = make_tailnet()
    t._apply(Put(PolicyVersion(1, GOOD, "other", NOW)), NOW)
    assert t.enforcement.document is not None and t.enforcement.document.acls == ()
    t._apply(Put(PolicyVersion(2, BAD, "other", NOW)), NOW)
    assert t.policy is not None and t.policy.id == 2
    assert t.in_force.version is not None and t.in_force.version.id == 1
    assert t.in_force.fault.endswith("version 1 serves on") and t.enforcement.document.acls == ()
