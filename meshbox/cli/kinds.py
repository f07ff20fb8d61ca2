"""What the tables show of each kind of thing, and what a sentence calls it."""

from __future__ import annotations

from meshbox.cli.output import Column, Json, Kind


def owner(item: Json) -> str:
    """The user of a node or key, or its tags."""
    tags: list[str] = item.get("tags") or item.get("aclTags") or []
    user = item.get("user") or {}
    return ",".join(tags) if tags else str(user.get("name", ""))


def state(node: Json) -> str:
    if node.get("expired"):
        return "expired"
    if not node.get("approved", True):
        return "waiting"
    return "online" if node.get("online") else "offline"


def address(node: Json, colon: bool) -> str:
    found = [text for text in node.get("ipAddresses") or [] if (":" in text) is colon]
    return found[0] if found else ""


def call_node(node: Json) -> str:
    """As in `Delete node laptop (id 7, of ana, 100.64.0.7)?`"""
    addresses = node.get("ipAddresses") or ["no address"]
    return f"node {node['givenName']} (id {node['id']}, of {owner(node) or 'nobody'}, {addresses[0]})"


def call_user(user: Json) -> str:
    return f"user {user['name']} (id {user['id']})"


def last_seen(node: Json) -> str | None:
    return None if node.get("online") else node.get("lastSeen")


USERS = Kind(
    (
        Column("ID", lambda user: user["id"]),
        Column("NAME", lambda user: user["name"]),
        Column("DISPLAY NAME", lambda user: user.get("displayName")),
        Column("EMAIL", lambda user: user.get("email")),
        Column("ROLE", lambda user: user.get("role")),
        Column("GROUPS", lambda user: user.get("groups")),
        Column("SIGNS IN AS", lambda user: user.get("providerId"), is_wide=True),
        Column("CREATED", lambda user: user.get("createdAt"), is_time=True),
    ),
    name=lambda user: str(user["name"]),
)

NODES = Kind(
    (
        Column("ID", lambda node: node["id"]),
        Column("NAME", lambda node: node["givenName"]),
        Column("OWNER", owner),
        Column("IPV4", lambda node: address(node, colon=False)),
        Column("IPV6", lambda node: address(node, colon=True), is_wide=True),
        Column("STATE", state),
        Column("LAST SEEN", last_seen, is_time=True),
        Column("EXPIRES", lambda node: node.get("expiry"), is_time=True),
        Column("OS", lambda node: node.get("os")),
        Column("VERSION", lambda node: node.get("clientVersion"), is_wide=True),
        Column("HOSTNAME", lambda node: node.get("name"), is_wide=True),
        Column("USER", lambda node: (node.get("user") or {}).get("name"), is_wide=True),
        Column("TAGS", lambda node: node.get("tags"), is_wide=True),
        Column("DNS NAME", lambda node: node.get("dnsName"), is_wide=True),
        Column("EPHEMERAL", lambda node: node.get("ephemeral"), is_wide=True),
        Column("ROUTES", lambda node: node.get("availableRoutes"), is_wide=True),
        Column("APPROVED ROUTES", lambda node: node.get("approvedRoutes"), is_wide=True),
        Column("RELAY", lambda node: node.get("homeRelay") or None, is_wide=True),
        Column("ENDPOINTS", lambda node: node.get("endpoints"), is_wide=True),
        Column("NODE KEY", lambda node: node.get("nodeKey"), is_wide=True),
        Column("MACHINE KEY", lambda node: node.get("machineKey"), is_wide=True),
        Column("CREATED", lambda node: node.get("createdAt"), is_wide=True, is_time=True),
    ),
    name=lambda node: str(node["givenName"]),
)

ROUTES = Kind(
    (
        Column("ROUTE", lambda route: route["route"]),
        Column("NODE", lambda route: route["node"]),
        Column("STATE", lambda route: route["state"]),
        Column("HEALTH", lambda route: route["health"]),
        Column("NODE ID", lambda route: route["nodeId"], is_wide=True),
    ),
    name=lambda route: str(route["route"]),
)

AUTH_KEYS = Kind(
    (
        Column("ID", lambda key: key["id"]),
        Column("KEY", lambda key: key["key"]),
        Column("OWNER", owner),
        Column("REUSABLE", lambda key: key["reusable"]),
        Column("EPHEMERAL", lambda key: key["ephemeral"]),
        Column("PREAPPROVED", lambda key: key.get("preapproved"), is_wide=True),
        Column("USED", lambda key: key["used"]),
        Column("EXPIRES", lambda key: key.get("expiration"), is_time=True),
        Column("CREATED", lambda key: key.get("createdAt"), is_time=True),
        Column("REVOKED", lambda key: key.get("revokedAt"), is_wide=True, is_time=True),
        Column("FIRST USED", lambda key: key.get("usedAt"), is_wide=True, is_time=True),
    ),
    name=lambda key: str(key["id"]),
)

API_KEYS = Kind(
    (
        Column("ID", lambda key: key["id"]),
        Column("PREFIX", lambda key: key["prefix"]),
        Column("DESCRIPTION", lambda key: key.get("description")),
        Column("EXPIRES", lambda key: key.get("expiration"), is_time=True),
        Column("LAST USED", lambda key: key.get("lastSeen"), is_time=True),
        Column("CREATED", lambda key: key.get("createdAt"), is_time=True),
    ),
    name=lambda key: str(key["prefix"]),
)

REGISTRATIONS = Kind(
    (
        Column("ID", lambda entry: entry["authId"]),
        Column("HOSTNAME", lambda entry: entry.get("hostname")),
        Column("OS", lambda entry: entry.get("os")),
        Column("FROM", lambda entry: entry.get("source")),
        Column("NODE KEY", lambda entry: entry.get("nodeKeyShort")),
        Column("SINCE", lambda entry: entry.get("createdAt"), is_time=True),
        Column("STATE", lambda entry: entry.get("state"), is_wide=True),
        Column("TAGS", lambda entry: entry.get("requestedTags"), is_wide=True),
        Column("MACHINE KEY", lambda entry: entry.get("machineKeyShort"), is_wide=True),
        Column("LINK", lambda entry: entry.get("url"), is_wide=True),
    ),
    name=lambda entry: str(entry["authId"]),
)

LOGINS = Kind(
    (
        Column("ID", lambda login: login["id"]),
        Column("WHO AND WHERE", lambda login: login["what"]),
        Column("SINCE", lambda login: login.get("createdAt"), is_time=True),
        Column("STATE", lambda login: login.get("state"), is_wide=True),
        Column("LINK", lambda login: login.get("url"), is_wide=True),
    ),
    name=lambda login: str(login["id"]),
)

POLICIES = Kind(
    (
        Column("VERSION", lambda version: version["version"]),
        Column("CREATED", lambda version: version.get("createdAt"), is_time=True),
        Column("BY", lambda version: version.get("actor")),
        Column("SIZE", lambda version: version.get("size")),
        Column("NOTE", lambda version: version.get("note")),
    ),
    name=lambda version: str(version["version"]),
)


def certificate(status: Json) -> str:
    """`until 2027-01-31 (acme)`, or why there is none that clients trust."""
    found = status.get("certificate") or {}
    until = str(found.get("expiresAt") or "")[:10]
    text = f"until {until} ({found.get('source')})" if until else str(found.get("source") or "none")
    return f"{text}; {found['trouble']}" if found.get("trouble") else text


def newest_backup(status: Json) -> str:
    found = status.get("backup") or {}
    made = str(found.get("at") or "never")
    return f"{made}; {found['trouble']}" if found.get("trouble") else made


STATUS = Kind(
    (
        Column("SERVER", lambda status: status.get("serverUrl")),
        Column("VERSION", lambda status: status.get("version")),
        Column("STARTED", lambda status: status.get("startedAt"), is_time=True),
        Column(
            "DATABASE", lambda status: "fine" if status.get("databaseConnectivity") else "does not answer"
        ),
        Column("POLICY", lambda status: status.get("policy")),
        Column("PROBLEM", lambda status: status.get("policyProblem")),
        Column("USERS", lambda status: status.get("users")),
        Column("NODES", lambda status: status.get("nodes")),
        Column("ONLINE", lambda status: status.get("nodesOnline")),
        Column("EXPIRED", lambda status: status.get("nodesExpired")),
        Column("WAITING", lambda status: status.get("registrationsWaiting")),
        Column("UNAPPROVED", lambda status: status.get("nodesUnapproved")),
        Column("CERTIFICATE", certificate),
        Column("BACKUP", newest_backup),
    ),
    name=lambda status: str(status.get("serverUrl")),
)
