"""/api/v1/apikey: keys for administration from elsewhere."""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_api_key
from meshbox.serve.api.shapes import api_key_json
from meshbox.tailnet import apikeys

DEFAULT_LIFE = 90 * 86_400.0


@endpoint("GET", "/apikey", Audience.ADMINISTRATOR)
def list_keys(call: Call) -> Listing:
    return Listing("apiKeys", list(call.tailnet.api_keys.values()), api_key_json)


@endpoint("POST", "/apikey", Audience.ADMINISTRATOR)
def create_key(call: Call) -> Json:
    """`apiKey` is the whole key, shown only here; without `expiration` it lives for 90 days."""
    expires_at = call.moment("expiration") or call.now + DEFAULT_LIFE
    key, text = apikeys.create(call.tailnet, expires_at, call.text("description"), call.actor, call.now)
    return {"apiKey": text, "details": api_key_json(key)}


@endpoint("POST", "/apikey/expire", Audience.ADMINISTRATOR)
def expire_key(call: Call) -> Json:
    key = find_api_key(call.tailnet, call.wants("prefix", "id"))
    apikeys.revoke(call.tailnet, key.id, call.actor, call.now)
    return {}


@endpoint("DELETE", "/apikey/{prefix}", Audience.ADMINISTRATOR)
def delete_key(call: Call) -> Json:
    """By the prefix in the path, or by `id` when that is given."""
    key = find_api_key(call.tailnet, call.text("id") or call.path["prefix"])
    apikeys.delete(call.tailnet, key.id, call.actor, call.now)
    return {}
