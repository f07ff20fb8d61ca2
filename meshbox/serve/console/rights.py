"""What somebody at the console may do, asked anew at each request: keys are revoked, roles are taken away."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from meshbox.tailnet.model import User
from meshbox.tailnet.signin import is_administrator, is_auditor
from meshbox.tailnet.tailnet import Tailnet


class Right(IntEnum):
    """Each has what those before it have."""

    OWN = 1
    """One's own machines, and nothing of others."""

    LOOK = 2
    """To see everything, and change nothing."""

    ALL = 3


Holder = Callable[[float], Right | None]
"""`holder(now)`: the right, None when there is none any more."""


def of_key(t: Tailnet, prefix: str) -> Holder:
    def right(now: float) -> Right | None:
        key = t.api_keys.get(t.api_key_by_prefix.get(prefix, 0))
        is_live = key is not None and key.revoked_at is None and now < key.expires_at
        return Right.ALL if is_live else None

    return right


def of_person(t: Tailnet, user: User) -> Holder:
    """As long as the same person at the provider is this user."""
    identity = user.provider, user.subject

    def right(now: float) -> Right | None:
        found = t.users.get(user.id)
        if found is None or (found.provider, found.subject) != identity:
            return None
        if is_administrator(found):
            return Right.ALL
        return Right.LOOK if is_auditor(found) else Right.OWN

    return right
