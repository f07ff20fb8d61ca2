"""The objects of the API as JSON: every field any generation of Headscale's API had, and ours after them.

Ids are decimal text, times RFC 3339 or null for never, lists never null. Secrets have no field: a key
shows its prefix, and its whole text only in the answer that made it.
"""

from __future__ import annotations

from meshbox.serve.api.call import Json
from meshbox.serve.api.moments import write_moment
from meshbox.tailnet.model import ApiKey, AuthKey, Node, Pending, PolicyEntry, User
from meshbox.tailnet.pending import PENDING_LIFE
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import TAGGED_DEVICES_ID, TAGGED_DEVICES_NAME

REGISTER_METHODS = {
    "key": "REGISTER_METHOD_AUTH_KEY",
    "approval": "REGISTER_METHOD_CLI",
    "oidc": "REGISTER_METHOD_OIDC",
}

TAGGED_DEVICES = User(TAGGED_DEVICES_ID, TAGGED_DEVICES_NAME, 0.0, "Tagged Devices")


def user_json(user: User) -> Json:
    return {
        "id": str(user.id),
        "name": user.name,
        "createdAt": write_moment(user.created_at),
        "displayName": user.display_name,
        "email": user.email,
        "providerId": f"{user.provider.rstrip('/')}/{user.subject}" if user.provider else "",
        "provider": user.provider,
        "profilePicUrl": user.picture_url,
        "role": user.role,
        "groups": list(user.groups),
    }


def node_json(t: Tailnet, node: Node, now: float) -> Json:
    report = t.report(node.id)
    owner = TAGGED_DEVICES if node.is_tagged else t.users.get(node.user_id or 0)
    auth_key = t.auth_keys.get(node.auth_key_id or 0)
    approved = {str(route) for route in node.approved_routes}
    available = [str(route) for route in report.advertised_routes]
    return {
        "id": str(node.id),
        "machineKey": str(node.machine_key),
        "nodeKey": str(node.node_key),
        "discoKey": str(report.disco_key or ""),
        "ipAddresses": [str(address) for address in node.addresses],
        "name": node.hostname,
        "user": None if owner is None else user_json(owner),
        "lastSeen": write_moment(report.last_seen),
        "expiry": write_moment(node.expires_at),
        "preAuthKey": None if auth_key is None else auth_key_json(t, auth_key),
        "createdAt": write_moment(node.created_at),
        "registerMethod": REGISTER_METHODS[node.register_method],
        "givenName": node.name,
        "online": t.is_online(node.id),
        "approvedRoutes": [str(route) for route in node.approved_routes],
        "availableRoutes": available,
        "subnetRoutes": [route for route in available if route in approved],
        "tags": list(node.tags),
        # Up to 0.27 the tags had these names.
        "forcedTags": list(node.tags),
        "validTags": [],
        "invalidTags": [],
        # Ours: what administrators of the field miss in its API.
        "stableId": node.stable_id,
        "dnsName": f"{node.name}.{t.settings.domain}",
        "expired": node.is_expired(now),
        "approved": node.is_approved,
        "ephemeral": node.ephemeral,
        "os": report.os,
        "clientVersion": report.client_version,
        "capabilityVersion": report.capver,
        "homeRelay": report.home_derp,
        "endpoints": list(report.endpoints),
    }


def auth_key_json(t: Tailnet, key: AuthKey, text: str = "") -> Json:
    """`text` is the whole key, known only when it has just been made."""
    user = t.users.get(key.user_id or 0)
    return {
        "user": None if user is None else user_json(user),
        "id": str(key.id),
        "key": text or f"mb-auth-{key.prefix}-***",
        "reusable": key.reusable,
        "ephemeral": key.ephemeral,
        "used": key.used_at is not None,
        "expiration": write_moment(_sooner(key.expires_at, key.revoked_at)),
        "createdAt": write_moment(key.created_at),
        "aclTags": list(key.tags),
        "prefix": key.prefix,
        "usedAt": write_moment(key.used_at),
        "revokedAt": write_moment(key.revoked_at),
        "preapproved": key.preapproved,
    }


def api_key_json(key: ApiKey) -> Json:
    return {
        "id": str(key.id),
        "prefix": f"mb-api-{key.prefix}-***",
        "expiration": write_moment(_sooner(key.expires_at, key.revoked_at)),
        "createdAt": write_moment(key.created_at),
        "lastSeen": write_moment(key.last_used_at),
        "description": key.description,
        "revokedAt": write_moment(key.revoked_at),
    }


def pending_json(pending: Pending, server_url: str) -> Json:
    hostinfo = pending.request.hostinfo
    return {
        "authId": pending.id,
        "state": pending.state,
        "hostname": hostinfo.hostname if hostinfo else "",
        "os": hostinfo.os if hostinfo else "",
        "clientVersion": hostinfo.client_version if hostinfo else "",
        "machineKey": str(pending.machine_key),
        "machineKeyShort": pending.machine_key.short,
        "nodeKey": str(pending.node_key),
        "nodeKeyShort": pending.node_key.short,
        "requestedTags": list(hostinfo.request_tags) if hostinfo else [],
        "ephemeral": pending.request.ephemeral,
        "source": pending.source,
        "createdAt": write_moment(pending.created_at),
        "expiration": write_moment(pending.created_at + PENDING_LIFE),
        "url": server_url.rstrip("/") + pending.path,
    }


def policy_entry_json(entry: PolicyEntry) -> Json:
    return {
        "version": str(entry.id),
        "createdAt": write_moment(entry.created_at),
        "actor": entry.actor,
        "note": entry.note,
        "size": entry.size,
    }


def _sooner(expires_at: float | None, revoked_at: float | None) -> float | None:
    """A revoked key expired when it was revoked, for readers that know only expiry."""
    moments = [moment for moment in (expires_at, revoked_at) if moment is not None]
    return min(moments, default=None)
