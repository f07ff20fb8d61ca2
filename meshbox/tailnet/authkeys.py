"""Pre-auth keys: made, checked, spent, revoked. The secret is shown once and kept hashed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from meshbox.errors import Invalid, NotFound
from meshbox.secrets import hash_secret, matches, new_token, split_token
from meshbox.tailnet.model import Audit, AuthKey
from meshbox.tailnet.ports import Delete, Put, Spend, Step
from meshbox.tailnet.tags import check_tags, require_defined
from meshbox.tailnet.tailnet import Tailnet


@dataclass(frozen=True, slots=True)
class AuthKeyWish:
    """What a new key should be. A user or tags, or both (the tags win)."""

    user_id: int | None = None
    reusable: bool = False
    ephemeral: bool = False
    tags: tuple[str, ...] = ()
    expires_at: float | None = None
    preapproved: bool = False


@dataclass(frozen=True, slots=True)
class KeyRefused:
    reason: str


def create(t: Tailnet, wish: AuthKeyWish, actor: str, now: float) -> tuple[AuthKey, str]:
    """The stored key and its text, which nobody will see again. Raises NotFound, Invalid."""
    if wish.user_id is None and not wish.tags:
        raise Invalid("a pre-auth key needs a user or at least one tag: nodes must belong to somebody")
    if wish.user_id is not None and wish.user_id not in t.users:
        raise NotFound(f"there is no user with id {wish.user_id}")
    if wish.expires_at is not None and wish.expires_at <= now:
        raise Invalid("the expiry of a new pre-auth key lies in the past")
    check_tags(wish.tags)
    require_defined(t, wish.tags)
    token = new_token("auth", t.entropy)
    key = AuthKey(
        id=t.store.new_id("auth_key"),
        prefix=token.prefix,
        secret_hash=hash_secret(token.secret),
        created_at=now,
        user_id=wish.user_id,
        tags=wish.tags,
        reusable=wish.reusable,
        ephemeral=wish.ephemeral,
        expires_at=wish.expires_at,
        preapproved=wish.preapproved,
    )
    t.commit(now, Put(key), Audit(now, actor, "auth_key.create", key.prefix))
    return key, token.text


def revoke(t: Tailnet, key_id: int, actor: str, now: float) -> AuthKey:
    """Expire a key at once. Nodes that joined with it stay."""
    key = replace(require(t, key_id), revoked_at=now)
    t.commit(now, Put(key), Audit(now, actor, "auth_key.revoke", key.prefix))
    return key


def delete(t: Tailnet, key_id: int, actor: str, now: float) -> None:
    key = require(t, key_id)
    t.commit(now, Delete("auth_key", key_id), Audit(now, actor, "auth_key.delete", key.prefix))


def require(t: Tailnet, key_id: int) -> AuthKey:
    key = t.auth_keys.get(key_id)
    if key is None:
        raise NotFound(f"there is no pre-auth key with id {key_id}")
    return key


def check_auth_key(t: Tailnet, text: str, now: float) -> AuthKey | KeyRefused:
    """The key that `text` opens with, or why not. A near miss costs what a far one does."""
    parts = split_token(text, "auth")
    key = t.auth_keys.get(t.auth_key_by_prefix.get(parts[0], 0)) if parts else None
    # The hash is compared even when the prefix is unknown, so that time does not tell prefixes.
    expected = key.secret_hash if key is not None else bytes(32)
    is_match = matches(parts[1] if parts else "", expected)
    if key is None or not is_match:
        return KeyRefused("invalid pre-auth key")
    if key.revoked_at is not None:
        return KeyRefused("this pre-auth key was revoked")
    if key.expires_at is not None and key.expires_at <= now:
        return KeyRefused("this pre-auth key has expired")
    if key.used_at is not None and not key.reusable:
        return KeyRefused("this one-off pre-auth key was already used")
    if key.user_id is not None and key.user_id not in t.users:
        return KeyRefused("the user of this pre-auth key no longer exists")
    return key


def spend(key: AuthKey, now: float) -> Sequence[Step]:
    """The steps that mark a key used, in the batch of the node that used it."""
    used = () if key.used_at is not None else (Put(replace(key, used_at=now)),)
    return used if key.reusable else (Spend(key.id, now), *used)
