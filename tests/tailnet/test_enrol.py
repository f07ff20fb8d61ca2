"""Registration as a dialogue: what a client sends, what it is told, what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.errors import Busy, NotFound, StoreFull
from meshbox.tailnet import authkeys, devices, enrol, report
from meshbox.tailnet.clockwork import advance
from meshbox.tailnet.enrol import Accepted, KeyExpired, LoggedOut, LoginNeeded, Outcome, Refused, Waiting
from meshbox.tailnet.pending import PENDING_LIFE
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.keys import NodeKey
from meshbox.wire.tailcfg import RegisterRequest
from tests.tailnet.build import (
    NOW,
    join,
    machine,
    make_key,
    make_tailnet,
    map_request,
    node_key,
    register_request,
)
from tests.tailnet.memory import MemoryStore


def ask(t: Tailnet, number: int, request: RegisterRequest, now: float = NOW) -> Outcome:
    return enrol.register(t, machine(number), request, "192.0.2.9", now)


@pytest.fixture
def t() -> Tailnet:
    return make_tailnet(node_expiry=1000.0)


def test_a_one_off_key_makes_exactly_one_node(t: Tailnet) -> None:
    key = make_key(t)
    first = ask(t, 1, register_request(1, "Joe's Mac mini", auth_key=key))
    assert isinstance(first, Accepted) and first.created
    assert first.node.name == "joes-mac-mini"
    assert first.node.expires_at == NOW + 1000.0
    assert [str(address) for address in first.node.addresses] == ["100.64.0.1", "fd7a:115c:a1e0::1"]
    second = ask(t, 2, register_request(2, auth_key=key))
    assert second == Refused("this one-off pre-auth key was already used")
    assert len(t.nodes) == 1


def test_restart_with_the_spent_key_is_the_same_node(t: Tailnet) -> None:
    key = make_key(t)
    node = join(t, 1, key)
    again = ask(t, 1, register_request(1, auth_key=key))
    assert again == Accepted(node)
    assert ask(t, 1, register_request(1)) == Accepted(node)


def test_a_spent_key_does_not_let_a_new_node_key_in(t: Tailnet) -> None:
    key = make_key(t)
    join(t, 1, key)
    assert isinstance(ask(t, 1, register_request(11, auth_key=key, old=1)), Refused)


@pytest.mark.parametrize("text", ["", "x", "mb-auth-aaaaaaaaaaaa-" + "A" * 43, "tskey-auth-abc"])
def test_unknown_keys_are_refused(t: Tailnet, text: str) -> None:
    outcome = ask(t, 1, register_request(1, auth_key=text))
    assert isinstance(outcome, Refused if text else LoginNeeded)
    assert not t.nodes


def test_a_near_miss_of_a_key_is_refused(t: Tailnet) -> None:
    key = make_key(t)
    miss = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert ask(t, 1, register_request(1, auth_key=miss)) == Refused("invalid pre-auth key")


def test_expired_and_revoked_keys_are_refused_with_the_reason(t: Tailnet) -> None:
    soon = make_key(t, expires_at=NOW + 10)
    assert ask(t, 1, register_request(1, auth_key=soon), NOW + 10) == Refused("this pre-auth key has expired")
    text = make_key(t, reusable=True)
    authkeys.revoke(t, max(t.auth_keys), "test", NOW)
    assert ask(t, 1, register_request(1, auth_key=text)) == Refused("this pre-auth key was revoked")


def test_a_node_key_of_another_machine_is_refused_whatever_the_key(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    victim = join(t, 1, key)
    assert isinstance(ask(t, 2, register_request(1, auth_key=key)), Refused)
    assert isinstance(ask(t, 2, register_request(1, expiry="1970-01-01T00:00:01Z")), Refused)
    assert t.nodes == {victim.id: victim}


def test_rotation_keeps_the_node(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    devices.rename(t, node.id, "chosen", "test", NOW)
    outcome = ask(t, 1, register_request(11, "other", auth_key=key, old=1), NOW + 500)
    assert isinstance(outcome, Accepted) and not outcome.created
    assert outcome.node.id == node.id and outcome.node.name == "chosen"
    assert outcome.node.addresses == node.addresses
    assert outcome.node.expires_at == NOW + 1500
    assert not t.admits(node_key(1), NOW) and t.admits(node_key(11), NOW)


def test_another_user_on_the_machine_is_another_node(t: Tailnet) -> None:
    ana = join(t, 1, make_key(t, "ana", reusable=True))
    outcome = ask(t, 1, register_request(11, auth_key=make_key(t, "bo"), old=1))
    assert isinstance(outcome, Accepted) and outcome.created
    assert outcome.node.id != ana.id and t.nodes[ana.id] == ana


def test_a_tagged_key_turns_the_users_node_into_a_tagged_one(t: Tailnet) -> None:
    node = join(t, 1, make_key(t, reusable=True))
    outcome = ask(t, 1, register_request(11, auth_key=make_key(t, tags=("tag:ci",)), old=1))
    assert isinstance(outcome, Accepted)
    assert (outcome.node.id, outcome.node.tags, outcome.node.user_id) == (node.id, ("tag:ci",), None)
    assert outcome.node.expires_at is None


def test_requested_tags_must_be_the_keys(t: Tailnet) -> None:
    key = make_key(t, tags=("tag:ci",), reusable=True)
    assert isinstance(ask(t, 1, register_request(1, auth_key=key, tags=["tag:prod"])), Refused)
    accepted = ask(t, 1, register_request(1, auth_key=key, tags=["tag:ci"]))
    assert isinstance(accepted, Accepted) and accepted.node.tags == ("tag:ci",)


def test_log_out_wins_over_the_key_in_the_same_request(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    request = register_request(1, auth_key=key, expiry="1970-01-01T00:02:03Z")
    assert ask(t, 1, request, NOW + 5) == LoggedOut()
    assert t.nodes[node.id].expires_at == NOW + 5
    assert not t.admits(node_key(1), NOW + 5)


def test_log_out_deletes_an_ephemeral_node(t: Tailnet) -> None:
    join(t, 1, make_key(t, ephemeral=True))
    ask(t, 1, register_request(1, expiry="1970-01-01T00:02:03Z"))
    assert not t.nodes


def test_an_expired_node_makes_a_new_key_and_is_itself_again(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    late = NOW + 2000
    assert ask(t, 1, register_request(1), late) == KeyExpired()
    outcome = ask(t, 1, register_request(11, auth_key=key, old=1), late)
    assert isinstance(outcome, Accepted) and outcome.node.id == node.id
    assert t.admits(node_key(11), late)


def test_a_client_may_shorten_its_expiry_and_never_lengthen_it(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    longer = replace(register_request(1), expiry=NOW + 9000)
    assert ask(t, 1, longer) == Accepted(node)
    shorter = ask(t, 1, replace(register_request(1), expiry=NOW + 10))
    assert isinstance(shorter, Accepted) and shorter.node.expires_at == NOW + 10


def test_approval_by_a_person(t: Tailnet) -> None:
    make_key(t, "ana")
    asked = ask(t, 1, register_request(1, "phone"))
    assert isinstance(asked, LoginNeeded)
    follow = register_request(1, "phone", followup="https://ctl.example.org" + asked.pending.path)
    assert ask(t, 1, follow) == Waiting(asked.pending)
    node = enrol.approve(t, asked.pending.id, t.by_user_name["ana"], "test", NOW)
    assert ask(t, 1, follow) == Accepted(node)
    with pytest.raises(NotFound):
        enrol.approve(t, asked.pending.id, t.by_user_name["ana"], "test", NOW)


def test_asking_again_gives_the_same_link_until_it_expires(t: Tailnet) -> None:
    first, second = ask(t, 1, register_request(1)), ask(t, 1, register_request(1))
    assert isinstance(first, LoginNeeded) and first == second
    advance(t, NOW + PENDING_LIFE)
    late = ask(t, 1, register_request(1, followup=first.pending.path), NOW + PENDING_LIFE)
    assert isinstance(late, LoginNeeded) and late.pending.id != first.pending.id


def test_a_follow_up_is_only_for_the_device_that_asked(t: Tailnet) -> None:
    make_key(t, "ana")
    asked = ask(t, 1, register_request(1))
    assert isinstance(asked, LoginNeeded)
    thief = ask(t, 2, register_request(2, followup=asked.pending.path))
    assert isinstance(thief, LoginNeeded) and thief.pending.id != asked.pending.id


def test_a_rejected_device_is_told(t: Tailnet) -> None:
    asked = ask(t, 1, register_request(1))
    assert isinstance(asked, LoginNeeded)
    enrol.reject(t, asked.pending.id, "test", NOW)
    outcome = ask(t, 1, register_request(1, followup=asked.pending.path))
    assert outcome == Refused("an administrator rejected this device")


def test_pending_registrations_are_bounded_per_address(t: Tailnet) -> None:
    for number in range(t.settings.pending_per_address):
        ask(t, number, register_request(number))
    with pytest.raises(Busy):
        ask(t, 99, register_request(99))
    other = enrol.register(t, machine(99), register_request(99), "198.51.100.7", NOW)
    assert isinstance(other, LoginNeeded)


def test_the_oldest_pending_registration_makes_room() -> None:
    t = make_tailnet(pending_limit=3)
    for number in range(5):
        enrol.register(t, machine(number), register_request(number), f"192.0.2.{number}", NOW)
    assert [entry.machine_key for entry in t.pending.values()] == [machine(2), machine(3), machine(4)]


def test_a_failing_disk_changes_nothing_and_gives_the_address_back() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    key = make_key(t)
    store.fail_with = StoreFull("no space left")
    with pytest.raises(StoreFull):
        ask(t, 1, register_request(1, auth_key=key))
    assert not t.nodes and t.changes.cursor == 0
    store.fail_with = None
    assert str(join(t, 1, key).ipv4) in ("100.64.0.1", "100.64.0.2")


def test_the_zero_node_key_is_refused(t: Tailnet) -> None:
    request = replace(register_request(1, auth_key=make_key(t)), node_key=NodeKey.zero())
    assert isinstance(ask(t, 1, request), Refused)


def test_registering_keeps_what_the_node_reported_before(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    report.take(t, machine(1), map_request(1, derp=999), NOW)
    ask(t, 1, register_request(11, auth_key=key, old=1))
    kept = t.report(node.id)
    assert kept.home_derp == 999 and kept.endpoints == ("192.0.2.1:41641",)


def test_an_ephemeral_node_that_stays_away_is_deleted() -> None:
    t = make_tailnet(ephemeral_timeout=60.0)
    node = join(t, 1, make_key(t, ephemeral=True))
    token = t.presence.enter(node.id)
    advance(t, NOW + 1000)
    assert node.id in t.nodes
    t.presence.leave(token, NOW + 1000, 1.0)
    advance(t, NOW + 1001)
    advance(t, NOW + 1060)
    assert node.id in t.nodes
    advance(t, NOW + 1061)
    assert not t.nodes and not t.store.load().nodes


def test_the_relay_hears_who_may_come(t: Tailnet) -> None:
    heard: list[tuple[NodeKey, bool]] = []
    t.admission.listen(lambda key, admitted: heard.append((key, admitted)))
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    ask(t, 1, register_request(11, auth_key=key, old=1))
    advance(t, NOW + 1000)
    devices.delete(t, node.id, "test", NOW + 1001)
    assert heard == [
        (node_key(1), True),
        (node_key(1), False),
        (node_key(11), True),
        (node_key(11), False),
        (node_key(11), False),
    ]
