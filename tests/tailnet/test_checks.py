from __future__ import annotations

import pytest

from meshbox.errors import Busy, NotFound
from meshbox.tailnet import checks
from meshbox.tailnet.checks import CHECK_LIFE, CHECKS_LIMIT, CHECKS_PER_SOURCE, Hold, LetIn, Turned
from meshbox.tailnet.clockwork import advance
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, make_key, make_tailnet, policy


def make(period: str = "1h", action: str = "check") -> tuple[Tailnet, Node, Node]:
    t = make_tailnet()
    laptop, server = (
        join(t, 1, make_key(t, "ana"), "laptop"),
        join(t, 2, make_key(t, tags=("tag:web",)), "web"),
    )
    rule = {"action": action, "src": ["ana@"], "dst": ["tag:web"], "users": ["root", "autogroup:nonroot"]}
    if action == "check":
        rule["checkPeriod"] = period
    t.enforce(policy(tagOwners={"tag:web": []}, ssh=[rule]))
    return t, laptop, server


def held(t: Tailnet, source: int, server: Node, login: str = "root", now: float = NOW) -> str:
    verdict = checks.ask(t, source, server, login, now)
    assert isinstance(verdict, Hold)
    return verdict.check.id


def test_what_a_person_confirmed_holds_for_the_period_and_for_nothing_else() -> None:
    t, laptop, server = make()
    check_id = held(t, laptop.id, server)
    assert held(t, laptop.id, server) == check_id, "asking twice makes one"
    assert isinstance(checks.follow(t, check_id, server.id), Hold)
    checks.approve(t, check_id, "test", NOW + 5)
    assert isinstance(checks.follow(t, check_id, server.id), LetIn)
    assert isinstance(checks.ask(t, laptop.id, server, "root", NOW + 3604), LetIn)
    assert isinstance(checks.ask(t, laptop.id, server, "ana", NOW + 10), Hold)
    assert isinstance(checks.ask(t, laptop.id, server, "root", NOW + 3606), Hold)


def test_always_asks_every_time() -> None:
    t, laptop, server = make("always")
    checks.approve(t, held(t, laptop.id, server), "test", NOW)
    assert isinstance(checks.ask(t, laptop.id, server, "root", NOW), Hold)


def test_the_policy_has_the_last_word() -> None:
    t, laptop, server = make()
    check_id = held(t, laptop.id, server)
    checks.approve(t, check_id, "test", NOW)
    t.enforce(policy(ssh=[]))
    assert isinstance(checks.follow(t, check_id, server.id), Turned)
    assert isinstance(checks.ask(t, laptop.id, server, "root", NOW), Turned)
    assert isinstance(checks.ask(t, 99, server, "root", NOW), Turned)
    t, laptop, server = make(action="accept")
    assert isinstance(checks.ask(t, laptop.id, server, "root", NOW), LetIn)


def test_rejected_and_expired_logins_are_turned_away() -> None:
    t, laptop, server = make()
    check_id = held(t, laptop.id, server)
    checks.reject(t, check_id, "test", NOW)
    verdict = checks.follow(t, check_id, server.id)
    assert isinstance(verdict, Turned) and "rejected" in verdict.reason
    with pytest.raises(NotFound, match="already rejected"):
        checks.approve(t, check_id, "test", NOW)
    later = held(t, laptop.id, server)
    assert later != check_id
    advance(t, NOW + CHECK_LIFE + 1)
    verdict = checks.follow(t, later, server.id)
    assert isinstance(verdict, Turned) and "in time" in verdict.reason
    with pytest.raises(NotFound, match="expired or never was"):
        checks.approve(t, later, "test", NOW)


def test_a_check_is_its_destinations_alone() -> None:
    t, laptop, server = make()
    check_id = held(t, laptop.id, server)
    checks.approve(t, check_id, "test", NOW)
    assert isinstance(checks.follow(t, check_id, laptop.id), Turned)


def test_what_waits_is_bounded() -> None:
    t, laptop, server = make()
    for number in range(CHECKS_PER_SOURCE):
        held(t, laptop.id, server, f"user{number}")
    with pytest.raises(Busy):
        checks.ask(t, laptop.id, server, "one-more", NOW)
    key = make_key(t, "ana", reusable=True)
    first = next(iter(t.checks))
    for number in range(10, 10 + CHECKS_LIMIT // CHECKS_PER_SOURCE):
        node = join(t, number, key)
        for login in range(CHECKS_PER_SOURCE):
            held(t, node.id, server, f"user{login}")
    assert len(t.checks) <= CHECKS_LIMIT and first not in t.checks


def test_the_audit_says_who_and_where() -> None:
    t, laptop, server = make()
    check = checks.approve(t, held(t, laptop.id, server), "local:root", NOW)
    assert checks.describe(t, check) == "ana at laptop as root on web"
