"""/api/v1/preauthkey: keys with which devices join without asking anybody."""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_auth_key, find_user
from meshbox.serve.api.shapes import auth_key_json
from meshbox.tailnet import authkeys
from meshbox.tailnet.authkeys import AuthKeyWish


@endpoint("GET", "/preauthkey", Audience.ADMINISTRATOR)
def list_keys(call: Call) -> Listing:
    """All keys, or those of `user`."""
    t, wanted = call.tailnet, call.query.get("user", "")
    found = list(t.auth_keys.values())
    if wanted:
        user_id = find_user(t, wanted).id
        found = [key for key in found if key.user_id == user_id]
    return Listing("preAuthKeys", found, lambda key: auth_key_json(t, key))


@endpoint("POST", "/preauthkey", Audience.ADMINISTRATOR)
def create_key(call: Call) -> Json:
    """`user` may be absent or 0 when there are tags. Without `expiration` the key does not expire."""
    t, owner = call.tailnet, call.text("user")
    wish = AuthKeyWish(
        user_id=None if owner in ("", "0") else find_user(t, owner).id,
        reusable=call.flag("reusable"),
        ephemeral=call.flag("ephemeral"),
        tags=call.texts("aclTags", "tags"),
        expires_at=call.moment("expiration"),
        preapproved=call.flag("preapproved"),
    )
    key, text = authkeys.create(t, wish, call.actor, call.now)
    return {"preAuthKey": auth_key_json(t, key, text)}


@endpoint("POST", "/preauthkey/expire", Audience.ADMINISTRATOR)
def expire_key(call: Call) -> Json:
    """By `id`; up to 0.27 by `key` (and `user`, which says nothing more)."""
    key = find_auth_key(call.tailnet, call.wants("id", "key"))
    authkeys.revoke(call.tailnet, key.id, call.actor, call.now)
    return {}


@endpoint("DELETE", "/preauthkey", Audience.ADMINISTRATOR)
def delete_key(call: Call) -> Json:
    key = find_auth_key(call.tailnet, call.wants("id"))
    authkeys.delete(call.tailnet, key.id, call.actor, call.now)
    return {}
