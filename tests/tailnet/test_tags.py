from __future__ import annotations

import pytest

from meshbox.errors import Invalid
from meshbox.tailnet import authkeys, devices, enrol
from meshbox.tailnet.authkeys import AuthKeyWish
from meshbox.tailnet.tags import check_tags
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, policy, register_request


def test_tags_are_sorted_and_each_once() -> None:
    assert check_tags(["tag:b", "tag:a", "tag:b"]) == ("tag:a", "tag:b")


@pytest.mark.parametrize("tag", ["a", "tag:", "tag:A", "tag:1a", "tag:a b", "TAG:a", "tag:" + "a" * 70])
def test_malformed_tags_are_named(tag: str) -> None:
    with pytest.raises(Invalid, match="is not a tag"):
        check_tags(["tag:ok", tag])


def test_too_many_tags() -> None:
    with pytest.raises(Invalid, match="at most 50"):
        check_tags([f"tag:t{number}" for number in range(51)])


OWNERS = policy(tagOwners={"tag:web": ["ana@"], "tag:part": ["tag:web"], "tag:admin": []})


def ask(t: Tailnet, number: int, key: str, *tags: str) -> tuple[str, ...] | str:
    """The tags that a device gets which joins with this key and asks for these; or why it may not."""
    request = register_request(number, auth_key=key, tags=tags)
    outcome = enrol.register(t, machine(number), request, "192.0.2.9", NOW)
    return outcome.reason if isinstance(outcome, enrol.Refused) else outcome.node.tags  # type: ignore[union-attr]


def test_with_a_policy_only_its_tags_can_be_given() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t, "ana"))
    t.enforce(OWNERS)
    with pytest.raises(Invalid, match="tag:db is not defined in tagOwners"):
        devices.set_tags(t, node.id, ["tag:db"], "test", NOW)
    with pytest.raises(Invalid, match="tag:db is not defined in tagOwners"):
        authkeys.create(t, AuthKeyWish(tags=("tag:db",)), "test", NOW)
    assert devices.set_tags(t, node.id, ["tag:admin"], "test", NOW).tags == ("tag:admin",)


def test_a_device_may_ask_for_what_its_owner_owns() -> None:
    t = make_tailnet()
    ana, bo = make_key(t, "ana", reusable=True), make_key(t, "bo", reusable=True)
    assert ask(t, 1, ana, "tag:web") == "requested tags ['tag:web'] are invalid or not permitted"
    t.enforce(OWNERS)
    assert ask(t, 1, ana, "tag:web") == ("tag:web",)
    assert "not permitted" in ask(t, 2, ana, "tag:web", "tag:admin")
    assert "not permitted" in ask(t, 3, bo, "tag:web")
    assert ask(t, 3, bo) == ()


def test_a_tagged_key_gives_its_tags_or_those_that_they_own() -> None:
    t = make_tailnet()
    t.enforce(OWNERS)
    key = make_key(t, "ana", reusable=True, tags=("tag:web",))
    assert ask(t, 1, key) == ask(t, 2, key, "tag:web") == ("tag:web",)
    assert ask(t, 3, key, "tag:part") == ("tag:part",)
    assert "not permitted" in ask(t, 4, key, "tag:admin")


def test_whoever_lets_a_device_in_gives_it_only_tags_of_its_user() -> None:
    t = make_tailnet()
    make_key(t, "ana")
    t.enforce(OWNERS)

    def wait(number: int, *tags: str) -> str:
        asked = enrol.register(t, machine(number), register_request(number, tags=tags), "192.0.2.9", NOW)
        assert isinstance(asked, enrol.LoginNeeded)
        return asked.pending.id

    user_id = t.by_user_name["ana"]
    with pytest.raises(Invalid, match="asks for tag:admin, which its user may not give"):
        enrol.approve(t, wait(1, "tag:admin"), user_id, "test", NOW)
    assert enrol.approve(t, wait(2, "tag:web"), user_id, "test", NOW).tags == ("tag:web",)
