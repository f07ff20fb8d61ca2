"""Tokens for remote administration: always expiring, kept hashed, shown once."""

from __future__ import annotations

from dataclasses import replace

from meshbox.errors import Invalid, NotFound
from meshbox.secrets import hash_secret, matches, new_token, split_token
from meshbox.tailnet.model import ApiKey, Audit
from meshbox.tailnet.ports import Delete, Put
from meshbox.tailnet.tailnet import Tailnet

LONGEST_LIFE = 366 * 86_400.0
"""An API token is administrator access; one that never expires is forgotten, not kept."""


def create(t: Tailnet, expires_at: float, description: str, actor: str, now: float) -> tuple[ApiKey, str]:
    """The stored key and its text, which nobody will see again. Raises Invalid."""
    if not now < expires_at <= now + LONGEST_LIFE:
        raise Invalid("an API key expires within a year from now, and not in the past")
    token = new_token("api", t.entropy)
    key = ApiKey(
        id=t.store.new_id("api_key"),
        prefix=token.prefix,
        secret_hash=hash_secret(token.secret),
        created_at=now,
        expires_at=expires_at,
        description=description,
    )
    t.commit(now, Put(key), Audit(now, actor, "api_key.create", key.prefix))
    return key, token.text


def revoke(t: Tailnet, key_id: int, actor: str, now: float) -> ApiKey:
    key = replace(require(t, key_id), revoked_at=now)
    t.commit(now, Put(key), Audit(now, actor, "api_key.revoke", key.prefix))
    return key


def delete(t: Tailnet, key_id: int, actor: str, now: float) -> None:
    key = require(t, key_id)
    t.commit(now, Delete("api_key", key_id), Audit(now, actor, "api_key.delete", key.prefix))


def require(t: Tailnet, key_id: int) -> ApiKey:
    key = t.api_keys.get(key_id)
    if key is None:
        raise NotFound(f"there is no API key with id {key_id}")
    return key


USE_NOTED_EVERY = 3600.0
"""Seconds. A tool that polls every few seconds must not write to the disk each time."""


def note_use(t: Tailnet, key: ApiKey, now: float) -> None:
    """Remember that the key is in use, to the hour: who cleans up keys must know which ones live."""
    if key.last_used_at is None or key.last_used_at <= now - USE_NOTED_EVERY:
        t.commit(now, Put(replace(key, last_used_at=now)))


def check(t: Tailnet, text: str, now: float) -> ApiKey | None:
    """The live API key that `text` is, or None."""
    parts = split_token(text, "api")
    key = t.api_keys.get(t.api_key_by_prefix.get(parts[0], 0)) if parts else None
    is_match = matches(parts[1] if parts else "", key.secret_hash if key is not None else bytes(32))
    if key is None or not is_match or key.revoked_at is not None or key.expires_at <= now:
        return None
    return key
