"""People who signed in at a provider: whether they may come in, and which user they are.

A user is found by (provider, subject) and by nothing else: an e-mail address or a name can be given to
somebody else tomorrow, and a provider where people choose their own would hand out other people's devices.
For the same reason a user who was made by hand is never taken over; `meshbox users link` makes the two one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from meshbox.errors import Conflict, Invalid, Refused
from meshbox.tailnet import checks, enrol
from meshbox.tailnet.model import Audit, Node, User
from meshbox.tailnet.ports import Put
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import GROUP, NAME, TAGGED_DEVICES_NAME, require
from meshbox.wire.openid import SUBJECT_LIMIT, Identity

ADMINISTRATORS = ("owner", "admin")
"""Roles that may do everything. The others are what a policy asks about, and open no door, but for one that
may look."""

AUDITOR = "auditor"

NAMELESS = "user"
"""What a person is called whom the provider gives no usable name."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may come in; an empty list lets everybody. Domains are in lower case."""

    domains: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    needs_verified: bool = True


def email_of(identity: Identity, admission: Admission) -> str:
    """The address that may be relied on, "" without one."""
    trusted = identity.email_is_verified or not admission.needs_verified
    return identity.email if trusted and "@" in identity.email else ""


def turned_away(identity: Identity, admission: Admission) -> str:
    """Why this person may not come in; "" when they may."""
    email = email_of(identity, admission).lower()
    if (admission.domains or admission.users) and not email:
        if identity.email:
            return "the provider does not say that the e-mail address was verified"
        return "the provider told no e-mail address"
    if admission.groups and not set(admission.groups) & set(identity.groups or ()):
        return "is in none of oidc.allowed_groups"
    if admission.domains and email.rpartition("@")[2] not in admission.domains:
        return "has no e-mail address in oidc.allowed_domains"
    if admission.users and email not in {user.lower() for user in admission.users}:
        return "is not among oidc.allowed_users"
    return ""


def sign_in(t: Tailnet, identity: Identity, admission: Admission, now: float) -> User:
    """The user that this person is, made at the first time, with what the provider says of them today."""
    known, email = find(t, identity), email_of(identity, admission)
    user = known or _new_user(t, identity, email, now)
    wanted = replace(
        user,
        display_name=identity.display_name or user.display_name,
        # One that is no longer the person's must go; where the provider names none, it is an administrator's.
        email=email if identity.email else user.email,
        picture_url=identity.picture_url or user.picture_url,
        groups=user.groups if identity.groups is None else groups_of(identity.groups),
    )
    if wanted != known:
        action = "user.create" if known is None else "user.update"
        t.commit(now, Put(wanted), Audit(now, f"oidc:{wanted.name}", action, wanted.name))
    return wanted


def find(t: Tailnet, identity: Identity) -> User | None:
    for user in t.users.values():
        if (user.provider, user.subject) == (identity.provider, identity.subject):
            return user
    return None


def groups_of(names: Iterable[str]) -> tuple[str, ...]:
    """As a policy spells them. One that it cannot spell is left out: changed to fit it could be another's."""
    named = {f"group:{name.removeprefix('group:')}" for name in names}
    return tuple(sorted(name for name in named if GROUP.fullmatch(name)))


def let_in(t: Tailnet, pending_id: str, user: User, until: float | None, now: float) -> Node:
    """The person lets a device in that waits. Raises NotFound, Invalid."""
    return enrol.approve(t, pending_id, user.id, f"oidc:{user.name}", now, by=enrol.SignedIn(until))


def confirm_login(t: Tailnet, check_id: str, user: User, now: float) -> None:
    """The person confirms a login by Tailscale SSH, if it is their own. Raises NotFound, Invalid."""
    check = t.checks.get(check_id)
    source = None if check is None else t.nodes.get(check.source)
    if check is not None and (source is None or source.user_id != user.id):
        raise Invalid("this login comes from a device that is not yours; an administrator can confirm it")
    checks.approve(t, check_id, f"oidc:{user.name}", now)


def is_administrator(user: User) -> bool:
    """May this person run the network, with nothing but their sign-in?"""
    return user.role in ADMINISTRATORS and bool(user.subject)


def is_auditor(user: User) -> bool:
    """May this person see everything, and change nothing?"""
    return user.role == AUDITOR and bool(user.subject)


def enter(t: Tailnet, identity: Identity, admission: Admission, now: float) -> User:
    """The user that this person is, to see what is theirs, or to run the network. Nobody is made a user by
    trying. Raises Refused."""
    if find(t, identity) is None:
        raise Refused("this account has no machine here yet; join with one first, by `tailscale up`")
    return sign_in(t, identity, admission, now)


def link(t: Tailnet, user_id: int, provider: str, subject: str, actor: str, now: float) -> User:
    """From now on the person signs in as this user; with an empty subject nobody does. Raises NotFound,
    Invalid, Conflict."""
    user = require(t, user_id)
    if len(subject) > SUBJECT_LIMIT or not subject.isprintable():
        raise Invalid(f"a subject is printable and has at most {SUBJECT_LIMIT} characters")
    other = find(t, Identity(provider, subject)) if subject else None
    if other is not None and other.id != user.id:
        raise Conflict(f"{subject} signs in as {other.name}; unlink or delete that user first")
    linked = replace(user, provider=provider if subject else "", subject=subject)
    if linked != user:
        told = f"{subject} at {provider}" if subject else f"no more {user.subject} at {user.provider}"
        t.commit(now, Put(linked), Audit(now, actor, "user.link", user.name, told))
    return linked


def _new_user(t: Tailnet, identity: Identity, email: str, now: float) -> User:
    name = _free_name(t, identity, email)
    return User(t.store.new_id("user"), name, now, provider=identity.provider, subject=identity.subject)


def _free_name(t: Tailnet, identity: Identity, email: str) -> str:
    """The name the person has there, if nobody has it here; else the e-mail address, else with a number.

    A name with an @ in it stands for an address in policies, so it must be the person's own."""
    wishes = [name for name in (identity.username, email) if "@" not in name or name.lower() == email.lower()]
    usable = [name for name in wishes if NAME.fullmatch(name) and name != TAGGED_DEVICES_NAME]
    for name in usable:
        if name not in t.by_user_name:
            return name
    stem, number = (usable or [NAMELESS])[0], 2 if usable else 1
    while f"{stem}-{number}" in t.by_user_name:
        number += 1
    return f"{stem}-{number}"
