"""Who may come in, and which user they are."""

from __future__ import annotations

import pytest

from meshbox.errors import Conflict, Invalid
from meshbox.tailnet import signin, users
from meshbox.tailnet.signin import Admission
from meshbox.tailnet.users import UserWish
from meshbox.wire.openid import Identity
from tests.tailnet.build import NOW, make_tailnet

ISSUER = "https://id.example.com"
ANA = Identity(
    ISSUER, "id1", "ana@example.com", True, "ana", "Ana Example", "https://x/ana.png", ("ops", "a b")
)  # fmt: skip
OPEN = Admission()


def other(**more: object) -> Identity:
    from dataclasses import replace

    return replace(ANA, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("admission", "identity", "why"),
    [
        (OPEN, ANA, ""),
        (Admission(domains=("example.com",)), ANA, ""),
        (Admission(domains=("example.com",)), other(email="ANA@EXAMPLE.COM"), ""),
        (Admission(domains=("ample.com",)), ANA, "allowed_domains"),
        (Admission(domains=("example.com",)), other(email="evil@x@example.com"), ""),
        (Admission(domains=("example.com",)), other(email="example.com"), "told no|not say"),
        (Admission(domains=("example.com",)), other(email_is_verified=False), "was verified"),
        (Admission(domains=("example.com",), needs_verified=False), other(email_is_verified=False), ""),
        (Admission(domains=("example.com",)), other(email=""), "no e-mail"),
        (Admission(users=("Ana@example.com",)), ANA, ""),
        (Admission(users=("ben@example.com",)), ANA, "allowed_users"),
        (Admission(groups=("ops",)), ANA, ""),
        (Admission(groups=("dev",)), ANA, "allowed_groups"),
        (Admission(groups=("ops",)), other(groups=None), "allowed_groups"),
        (Admission(groups=("ops",), users=("ben@example.com",)), ANA, "allowed_users"),
        (Admission(groups=("ops",)), other(email="", email_is_verified=False), ""),
    ],
)
def test_who_may_come_in(admission: Admission, identity: Identity, why: str) -> None:
    import re

    found = signin.turned_away(identity, admission)
    assert bool(found) == bool(why) and re.search(why, found), found


def test_the_same_person_is_the_same_user_whatever_they_are_called() -> None:
    t = make_tailnet()
    first = signin.sign_in(t, ANA, OPEN, NOW)
    assert (first.name, first.email, first.groups) == ("ana", "ana@example.com", ("group:ops",))
    changed = other(email="a.new@example.com", username="anna", display_name="Anna", groups=())
    again = signin.sign_in(t, changed, OPEN, NOW + 1)
    assert (again.id, again.name, again.email, again.groups) == (first.id, "ana", "a.new@example.com", ())
    assert again.display_name == "Anna"


def test_nothing_new_writes_nothing() -> None:
    t = make_tailnet()
    first = signin.sign_in(t, ANA, OPEN, NOW)
    before = t.changes.cursor
    assert signin.sign_in(t, ANA, OPEN, NOW + 1) == first and t.changes.cursor == before


def test_a_user_made_by_hand_is_never_taken_over() -> None:
    t = make_tailnet()
    by_hand = users.create(t, UserWish("ana", email="ana@example.com"), "test", NOW)
    signed = signin.sign_in(t, ANA, OPEN, NOW)
    assert signed.id != by_hand.id and signed.name == "ana@example.com"
    third = signin.sign_in(t, other(subject="id3"), OPEN, NOW)
    assert third.name == "ana-2"


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (other(username="boss@example.com"), "ana@example.com"),
        (other(username="Ana@Example.com"), "Ana@Example.com"),
        (other(username="boss@example.com", email_is_verified=False), "user-1"),
        (other(username="tagged-devices", email=""), "user-1"),
        (other(username="-x", email=""), "user-1"),
        (other(username="x" * 64, email=""), "user-1"),
    ],
)
def test_a_name_that_stands_for_an_address_must_be_ones_own(identity: Identity, name: str) -> None:
    assert signin.sign_in(make_tailnet(), identity, OPEN, NOW).name == name


def test_an_address_that_is_no_longer_verified_goes_and_what_is_not_told_stays() -> None:
    t = make_tailnet()
    user = signin.sign_in(t, ANA, OPEN, NOW)
    users.set_groups(t, user.id, ["group:by-hand"], "test", NOW)
    silent = signin.sign_in(t, other(email="", email_is_verified=False, groups=None), OPEN, NOW)
    assert (silent.email, silent.groups) == ("ana@example.com", ("group:by-hand",))
    assert signin.sign_in(t, other(email_is_verified=False), OPEN, NOW).email == ""


def test_linking_makes_two_one_and_unlinking_parts_them() -> None:
    t = make_tailnet()
    by_hand = users.create(t, UserWish("ana"), "test", NOW)
    signin.link(t, by_hand.id, ISSUER, "id1", "test", NOW)
    assert signin.sign_in(t, ANA, OPEN, NOW).id == by_hand.id
    ben = users.create(t, UserWish("ben"), "test", NOW)
    with pytest.raises(Conflict, match="signs in as ana"):
        signin.link(t, ben.id, ISSUER, "id1", "test", NOW)
    with pytest.raises(Invalid):
        signin.link(t, ben.id, ISSUER, "x\n", "test", NOW)
    signin.link(t, by_hand.id, ISSUER, "", "test", NOW)
    assert signin.sign_in(t, ANA, OPEN, NOW).id not in (by_hand.id, ben.id)
    assert t.users[by_hand.id].provider == ""
