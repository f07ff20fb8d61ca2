"""What the tailnet is made of: frozen values, no behaviour.

Two kinds of facts are kept apart because they live by different rules. A `Node` (and a `User`,
a key) holds *hard* facts: committed to the store before anyone hears of them. A `Report` holds
the *soft* facts a node tells about itself: told to peers first, written every few seconds. A
value is never changed in place; a new one takes its place in the Tailnet.

Times are seconds since the epoch (UTC); None is "never" or "not yet".
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from meshbox.policy.world import Attribute, Role
from meshbox.wire.keys import DiscoKey, MachineKey, NodeKey
from meshbox.wire.tailcfg import RegisterRequest

Prefix = IPv4Network | IPv6Network
RegisterMethod = Literal["key", "approval", "oidc"]
Severity = Literal["low", "medium", "high"]
PendingState = Literal["waiting", "approved", "rejected"]

CheckState = PendingState

REGISTER_PATH = "/register/"
CHECK_PATH = "/ssh/"


@dataclass(frozen=True, slots=True)
class User:
    """A person or a role that owns nodes. `name` is unique; identity at a provider is
    (`provider`, `subject`), never the e-mail address, which is only a label. `role` and `groups` (spelled
    `group:x`, from an identity provider) are what a policy may ask about."""

    id: int
    name: str
    created_at: float
    display_name: str = ""
    email: str = ""
    provider: str = ""
    subject: str = ""
    picture_url: str = ""
    role: Role = "member"
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthKey:
    """A pre-auth key. The secret is kept only as SHA-256 (256 random bits need no slow hash).

    A key belongs to a user, or carries tags (then nodes that join with it are tagged and owned by
    nobody). `used_at` is the first use; a key that is not reusable is spent by it. With `preapproved`
    devices that join with it need no approval.
    """

    id: int
    prefix: str
    secret_hash: bytes
    created_at: float
    user_id: int | None = None
    tags: tuple[str, ...] = ()
    reusable: bool = False
    ephemeral: bool = False
    expires_at: float | None = None
    used_at: float | None = None
    revoked_at: float | None = None
    preapproved: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A token for remote administration; kept hashed, shown once."""

    id: int
    prefix: str
    secret_hash: bytes
    created_at: float
    expires_at: float
    description: str = ""
    last_used_at: float | None = None
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """The hard facts of one node. `id` is never used again, not even after deletion.

    Either `user_id` names the owner or `tags` is not empty (a tagged node belongs to nobody).
    `name` is the MagicDNS label, unique in the tailnet; `name_is_chosen` says that an
    administrator set it, so that a new host name on the device does not replace it. A node that is
    not approved is in the waiting room: it sees nobody and nobody sees it. `attributes` are the
    `custom:` ones, sorted by name.
    """

    id: int
    stable_id: str
    machine_key: MachineKey
    node_key: NodeKey
    name: str
    created_at: float
    user_id: int | None = None
    tags: tuple[str, ...] = ()
    hostname: str = ""
    name_is_chosen: bool = False
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    expires_at: float | None = None
    ephemeral: bool = False
    auth_key_id: int | None = None
    register_method: RegisterMethod = "key"
    approved_routes: tuple[Prefix, ...] = ()
    is_approved: bool = True
    attributes: tuple[tuple[str, Attribute], ...] = ()

    def is_expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def is_let_in(self, now: float) -> bool:
        """Approved, and its key has not expired: others may see it, and the relay serves it."""
        return self.is_approved and not self.is_expired(now)

    @property
    def is_tagged(self) -> bool:
        return bool(self.tags)

    @property
    def addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        return tuple(address for address in (self.ipv4, self.ipv6) if address is not None)


@dataclass(frozen=True, slots=True)
class Report:
    """The soft facts: what a node last told about itself.

    `endpoints` are "ip:port" texts in the client's order. `hostinfo` is the client's own JSON,
    re-encoded compactly and capped; `peer_hostinfo` is the part of it that peers are sent.
    `last_seen` is when its last map session ended or it last reported; peers are told it only
    while the node is offline.
    """

    disco_key: DiscoKey | None = None
    endpoints: tuple[str, ...] = ()
    home_derp: int = 0
    capver: int = 0
    hostinfo: bytes = b"{}"
    peer_hostinfo: bytes = b"{}"
    advertised_routes: tuple[Prefix, ...] = ()
    os: str = ""
    client_version: str = ""
    last_seen: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What an administrator tells clients: shown by them among their health messages. `name` is unique;
    `link` "" has no button; `targets` are `user:NAME`, `node:NAME` and `tag:NAME`, none is everybody."""

    id: int
    name: str
    created_at: float
    title: str
    text: str
    severity: Severity = "medium"
    link: str = ""
    label: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A registration that waits for a person; bound to the machine key and node key that asked.
    Its id is a bearer secret: it stands in the URL that the user is shown."""

    id: str
    machine_key: MachineKey
    node_key: NodeKey
    request: RegisterRequest
    source: str
    created_at: float
    state: PendingState = "waiting"

    @property
    def path(self) -> str:
        return REGISTER_PATH + self.id


Login = tuple[int, int, str]
"""By Tailscale SSH: source node, destination node, login name."""


@dataclass(frozen=True, slots=True)
class Check:
    """A login that waits for a person. Its id stands in the link that whoever logs in is shown."""

    id: str
    source: int
    destination: int
    login: str
    created_at: float
    state: CheckState = "waiting"

    @property
    def subject(self) -> Login:
        return self.source, self.destination, self.login

    @property
    def path(self) -> str:
        return CHECK_PATH + self.id


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One text of the policy, verbatim, as it came into force. `actor` is who put it: `local:<user>`,
    `api:<key>` or `file:<name>`. The text may have a megabyte."""

    id: int
    text: str
    actor: str
    created_at: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A line of the policy's history: a version without its text, whose length in characters is `size`."""

    id: int
    actor: str
    created_at: float
    note: str
    size: int


@dataclass(frozen=True, slots=True)
class Audit:
    """One act of one person: appended with the change it describes, in the same transaction."""

    at: float
    actor: str
    action: str
    object: str
    detail: str = ""
