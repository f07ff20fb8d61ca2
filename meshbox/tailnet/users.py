"""Users: who nodes belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast, get_args

from meshbox.errors import Conflict, Invalid, NotFound
from meshbox.policy.world import Role
from meshbox.tailnet.model import Audit, User
from meshbox.tailnet.ports import Delete, Put
from meshbox.tailnet.tailnet import Tailnet

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._@+-]{0,62}")

TEXT_LIMIT = 256

GROUP = re.compile(r"group:[^\s\"'\[\]{},\x00-\x1f]{1,128}")
GROUP_LIMIT = 256
"""Groups of one user; directories of large organisations put people into dozens."""

TAGGED_DEVICES_ID = 2_147_455_555
TAGGED_DEVICES_NAME = "tagged-devices"
"""The synthetic owner of tagged nodes. A client keeps a login only if the node's user has a
profile, so tagged nodes need one; the number is the field's, so that mixed fleets agree."""


@dataclass(frozen=True, slots=True)
class UserWish:
    name: str
    display_name: str = ""
    email: str = ""
    picture_url: str = ""


def create(t: Tailnet, wish: UserWish, actor: str, now: float) -> User:
    """Raises Invalid, Conflict."""
    _check_name(t, wish.name)
    for text in (wish.display_name, wish.email, wish.picture_url):
        if len(text) > TEXT_LIMIT or not text.isprintable():
            raise Invalid(f"display name, e-mail and picture: printable, at most {TEXT_LIMIT} characters")
    user = User(
        t.store.new_id("user"), wish.name, now, wish.display_name, wish.email, picture_url=wish.picture_url
    )
    t.commit(now, Put(user), Audit(now, actor, "user.create", user.name))
    return user


def rename(t: Tailnet, user_id: int, name: str, actor: str, now: float) -> User:
    user = require(t, user_id)
    if name == user.name:
        return user
    _check_name(t, name)
    renamed = replace(user, name=name)
    t.commit(now, Put(renamed), Audit(now, actor, "user.rename", name, f"was {user.name}"))
    return renamed


def set_role(t: Tailnet, user_id: int, role: str, actor: str, now: float) -> User:
    """What `autogroup:admin` and its like in a policy mean. Raises Invalid."""
    user = require(t, user_id)
    known = get_args(Role)
    if role not in known:
        raise Invalid(f"{role!r} is not a role; there are {', '.join(known)}")
    if role == user.role:
        return user
    changed = replace(user, role=cast(Role, role))
    t.commit(now, Put(changed), Audit(now, actor, "user.role", user.name, f"{role}, was {user.role}"))
    return changed


def set_groups(t: Tailnet, user_id: int, groups: Iterable[str], actor: str, now: float) -> User:
    """The groups that an identity provider would name; those that a policy defines itself are not among them.
    Raises Invalid."""
    user = require(t, user_id)
    wanted = tuple(sorted(set(groups)))
    if len(wanted) > GROUP_LIMIT:
        raise Invalid(f"a user is in at most {GROUP_LIMIT} groups, not {len(wanted)}")
    for group in wanted:
        if not GROUP.fullmatch(group):
            raise Invalid(f"{group!r} is not a group: write group: and a name without spaces, as group:ops")
    if wanted == user.groups:
        return user
    changed = replace(user, groups=wanted)
    was = " ".join(user.groups) or "none"
    t.commit(
        now,
        Put(changed),
        Audit(now, actor, "user.groups", user.name, f"{' '.join(wanted) or 'none'}, was {was}"),
    )
    return changed


def delete(t: Tailnet, user_id: int, actor: str, now: float) -> None:
    """Refused while nodes belong to the user; the user's pre-auth keys go with it."""
    user = require(t, user_id)
    count = len(t.nodes_of_user(user_id))
    if count:
        raise Conflict(f"user {user.name} still owns {count} nodes: delete them or move them first")
    keys = [Delete("auth_key", key.id) for key in t.auth_keys.values() if key.user_id == user_id]
    t.commit(now, *keys, Delete("user", user_id), Audit(now, actor, "user.delete", user.name))


def require(t: Tailnet, user_id: int) -> User:
    user = t.users.get(user_id)
    if user is None:
        raise NotFound(f"there is no user with id {user_id}")
    return user


def _check_name(t: Tailnet, name: str) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} cannot be a user name: at most 63 letters, digits and . _ @ + -")
    if name == TAGGED_DEVICES_NAME:
        raise Invalid(f"{name!r} is the name clients show for the owner of tagged nodes; choose another")
    if name in t.by_user_name:
        raise Conflict(f"there is already a user {name!r}")
