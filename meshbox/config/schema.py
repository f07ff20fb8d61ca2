"""Every key of the configuration: its name, kind, default and meaning, written once.

The dataclasses mirror the YAML file key by key (`global_` is YAML's `global`). Reading, the
sample file, `config show` and docs/config.md all come from them. Keys that mean the same as in
Headscale have Headscale's names. Durations are seconds; None is "off" or "not given"; paths are
absolute after loading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Literal

from meshbox.config import kinds, network
from meshbox.config.clients import AutoUpdate, C2n, Logtail, Posture, Taildrop
from meshbox.config.keys import key, section
from meshbox.config.kinds import STATE_DIR, choice, listed, optional, whole
from meshbox.config.network import Address, ExtraRecord, Network, Split
from meshbox.config.openid import Oidc
from meshbox.config.overrides import OVERRIDE, Override
from meshbox.config.routers import Routes
from meshbox.config.upkeep import Acme, Audit, Backup, Certificates, Console, Http
from meshbox.errors import Problem


@dataclass(frozen=True, slots=True)
class Noise:
    private_key_path: Path = key(
        kinds.PATH,
        STATE_DIR / "noise_private.key",
        "The server's identity towards clients. Created when missing; back it up: with a new one every "
        "client "
        "has to be pointed at the server again.",
    )


@dataclass(frozen=True, slots=True)
class Prefixes:
    v4: IPv4Network | None = key(
        optional(network.PREFIX_V4),
        IPv4Network("100.64.0.0/10"),
        "IPv4 addresses of the nodes. When only one of v4 and v6 is given, the other is off.",
    )
    v6: IPv6Network | None = key(
        optional(network.PREFIX_V6), IPv6Network("fd7a:115c:a1e0::/48"), "IPv6 addresses of the nodes."
    )
    allocation: Literal["sequential", "random"] = key(
        choice("sequential", "random"), "sequential", "How the next free address is chosen."
    )


@dataclass(frozen=True, slots=True)
class Ephemeral:
    inactivity_timeout: float = key(
        kinds.DURATION, 1800.0, "An ephemeral node is deleted when it has been away for this long."
    )


@dataclass(frozen=True, slots=True)
class Node:
    expiry: float = key(
        kinds.DURATION,
        0.0,
        "How long a login lasts before the person has to log in again; 0 is for ever. Tagged nodes never "
        "expire.",
        example="180d",
    )
    approval: bool = key(
        kinds.FLAG,
        False,
        "New devices wait until an administrator approves them (`meshbox nodes approve`): until then they "
        "see nobody and nobody sees them. Those that joined with a preapproved key, or by `meshbox auth "
        "approve`, need not wait.",
    )
    ephemeral: Ephemeral = section(Ephemeral, "Nodes that are deleted when they go away.")
    routes: Routes = section(Routes, "Nodes that carry networks for others.")


@dataclass(frozen=True, slots=True)
class DerpServer:
    enabled: bool = key(kinds.FLAG, True, "Run the relay (DERP) and STUN in this server.")
    region_id: int = key(
        whole(1, 65_535), 999, "Region number of the relay, 900 to 999 are free for own use."
    )
    region_code: str = key(
        kinds.TEXT, "meshbox", "Short name of the relay's region, as `tailscale netcheck` shows it."
    )
    region_name: str = key(kinds.TEXT, "meshbox relay", "Name of the relay's region.")
    listen_addr: Address | None = key(
        optional(network.ADDRESS),
        None,
        "A listener of the relay's own, always with TLS. Empty: the relay shares listen_addr when that one "
        "speaks TLS.",
        example="0.0.0.0:8443",
    )
    stun_listen_addr: Address = key(
        network.ADDRESS,
        Address("0.0.0.0:3478"),
        "UDP address for STUN, by which clients learn their public address.",
    )
    private_key_path: Path = key(
        kinds.PATH, STATE_DIR / "derp_server_private.key", "The relay's identity. Created when missing."
    )
    verify_clients: bool = key(kinds.FLAG, True, "Relay only for nodes of this tailnet.")
    automatically_add_embedded_derp_region: bool = key(
        kinds.FLAG,
        True,
        "Put this relay into the map that clients get. When false, describe it in derp.paths.",
    )
    ipv4: IPv4Address | None = key(
        optional(network.IP_V4),
        None,
        "Public IPv4 address of the relay, so that clients need no DNS to reach it.",
    )
    ipv6: IPv6Address | None = key(optional(network.IP_V6), None, "Public IPv6 address of the relay.")
    cert_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "TLS certificate for the relay's own listener. Empty: a self-signed one is made in state_dir and "
        "clients "
        "are told to accept exactly that one.",
    )
    key_path: Path | None = key(optional(kinds.PATH), None, "Private key of that certificate.")
    bytes_per_second: int = key(
        whole(0, 10**12),
        64 * 1024 * 1024,
        "Bytes one client may send through the relay in this server per second; above it the relay reads "
        "more slowly and drops nothing. 0 is no limit.",
    )
    separate: bool = key(
        kinds.FLAG,
        False,
        "The relay runs as a process of its own (meshbox derp). This section then only describes it in the "
        "map; derp.push names its socket.",
    )
    host_name: str = key(
        network.DOMAIN_OR_NONE,
        "",
        "Name under which clients reach the relay; empty is the host of server_url.",
        example="derp.example.com",
    )
    handover_socket: Path | None = key(
        optional(kinds.PATH),
        None,
        "Connections to listen_addr that ask for host_name are handed to the relay on this socket, so that "
        "both share one port without a proxy.",
        example="/run/meshbox-derp/handover.sock",
    )


@dataclass(frozen=True, slots=True)
class Derp:
    server: DerpServer = section(DerpServer, "The relay of this server.")
    urls: tuple[str, ...] = key(
        listed(network.WEB_URL),
        (),
        "DERP maps to fetch. What was fetched last is kept and used while a URL does not answer.",
        example="[https://controlplane.tailscale.com/derpmap/default]",
    )
    paths: tuple[Path, ...] = key(
        listed(kinds.PATH), (), "YAML files that describe further relays; read at start and on reload."
    )
    auto_update_enabled: bool = key(kinds.FLAG, True, "Fetch the maps of derp.urls again now and then.")
    update_frequency: float = key(kinds.DURATION, 10_800.0, "How often they are fetched.")
    push: tuple[str, ...] = key(
        listed(network.PUSH_TARGET),
        (),
        "Relays that are told which nodes are admitted: the path of a local socket, or https://host[:port], "
        "with #sha256-raw:... behind it to pin a certificate.",
        example="[/run/meshbox-derp/derp.sock]",
    )
    push_token_path: Path | None = key(
        optional(kinds.PATH), None, "File with the token that relays elsewhere want to see with a push."
    )


@dataclass(frozen=True, slots=True)
class Sqlite:
    path: Path = key(kinds.PATH, STATE_DIR / "db.sqlite", "The database file. Created when missing.")


@dataclass(frozen=True, slots=True)
class Database:
    type: Literal["sqlite"] = key(
        choice("sqlite", also={"sqlite3": "sqlite"}),
        "sqlite",
        "Kind of database; SQLite is the one there is.",
    )
    sqlite: Sqlite = section(Sqlite, "SQLite, always in WAL mode.")


@dataclass(frozen=True, slots=True)
class Nameservers:
    global_: tuple[str, ...] = key(
        listed(network.RESOLVER),
        (),
        "Resolvers for every name outside the tailnet: IP addresses or DNS-over-HTTPS URLs.",
        example="[1.1.1.1, 9.9.9.9]",
    )
    split: Split = key(
        network.SPLIT,
        (),
        "Resolvers for some domains only.",
        example='{corp.example.com: ["10.0.0.53"]}',
    )


@dataclass(frozen=True, slots=True)
class Dns:
    magic_dns: bool = key(kinds.FLAG, True, "Nodes reach each other by name.")
    base_domain: str = key(
        network.DOMAIN_OR_NONE,
        "meshbox.internal",
        "Domain of the nodes' names: laptop.<base_domain>. It must not contain the host of server_url.",
    )
    override_local_dns: bool = key(
        kinds.FLAG,
        False,
        "Clients use dns.nameservers.global instead of the resolvers of the network they are in. Without "
        "this key: "
        "true when there are global nameservers.",
    )
    nameservers: Nameservers = section(Nameservers, "Resolvers handed to clients.")
    search_domains: tuple[str, ...] = key(
        listed(network.DOMAIN), (), "Domains to try for short names, after base_domain."
    )
    certificates: Certificates = section(Certificates, "Certificates of devices.")
    extra_records: tuple[ExtraRecord, ...] = key(
        listed(network.RECORD),
        (),
        "Further records that the tailnet answers: A and AAAA, and CNAME for another name of a node, which "
        "follows the node's addresses.",
        example='[{name: grafana.meshbox.internal, type: A, value: "100.64.0.3"}]',
    )
    extra_records_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "The same as a JSON file, a list of objects, read again whenever it changes.",
    )
    overrides: tuple[Override, ...] = key(
        listed(OVERRIDE),
        (),
        "Other settings for some users, tags or nodes: nameservers (which then replace those of the network "
        "they are in, unless override_local_dns says otherwise), split, search_domains. What an entry "
        "does not say stays; a later entry wins.",
        example='[{for: ["user:ana", "tag:kiosk"], nameservers: [9.9.9.9]}]',
    )


@dataclass(frozen=True, slots=True)
class Log:
    level: Literal["debug", "info", "warning", "error"] = key(
        choice(
            "debug",
            "info",
            "warning",
            "error",
            also={"trace": "debug", "warn": "warning", "fatal": "error", "panic": "error"},
        ),
        "info",
        "The least important events that are logged.",
    )
    format: Literal["text", "json"] = key(
        choice("text", "json"),
        "text",
        "How events look on stderr; under systemd they go to the journal with fields.",
    )


@dataclass(frozen=True, slots=True)
class Policy:
    mode: Literal["file", "database"] | None = key(
        optional(choice("file", "database")),
        None,
        "Where the policy is changed: in the file of policy.path, read at start and on reload, or in the "
        "database, with `meshbox policy`. Empty: in the file when there is a path, else in the database. "
        "Every version is kept in the database either way.",
    )
    path: Path | None = key(
        optional(kinds.PATH),
        None,
        "The policy file, HuJSON or YAML; see docs/policy.md. Without any policy every node may talk to "
        "every node.",
    )

    @property
    def file(self) -> Path | None:
        """The file that the policy is changed in; None: it is changed in the database."""
        return None if self.mode == "database" else self.path


@dataclass(frozen=True, slots=True)
class Limits:
    connections_per_address: int = key(
        whole(1, 100_000),
        64,
        "Connections one IPv4 address or IPv6 /64 may hold before any of them is authenticated.",
    )
    connections_unauthenticated: int = key(
        whole(1, 1_000_000), 2000, "Connections of all addresses together that are not authenticated yet."
    )
    pending_registrations: int = key(
        whole(1, 1_000_000), 1024, "Registrations that wait for somebody's approval."
    )
    pending_per_address: int = key(
        whole(1, 1_000_000), 8, "Of these, how many from one IPv4 address or IPv6 /64."
    )
    registrations_per_minute: int = key(
        whole(1, 1_000_000),
        10,
        "Registration attempts per minute from one address that bring no valid key; attempts with one are "
        "free, so "
        "that a site behind one address can come back at once.",
    )
    handshake_timeout: float = key(
        kinds.DURATION, 10.0, "Time from connecting to the end of the request head, TLS included."
    )
    idle_tunnel_timeout: float = key(
        kinds.DURATION, 30.0, "A tunnel without a registered node and without a request is closed after this."
    )
    map_stall_timeout: float = key(
        kinds.DURATION, 60.0, "A client that takes none of the bytes waiting for it is dropped after this."
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `load` fills in the last three, which are no keys: where it was
    read from, what deserves a warning, and for each path where its value came from."""

    server_url: str = key(
        network.SERVER_URL,
        "",
        "The URL clients use to reach this server. Required. The host must not be inside dns.base_domain.",
        example="https://mesh.example.com",
    )
    listen_addr: Address = key(
        network.ADDRESS, Address("127.0.0.1:8080"), "Where the server listens for clients."
    )
    metrics_listen_addr: Address | None = key(
        optional(network.ADDRESS), Address("127.0.0.1:9090"), "Where /metrics is served; empty is off."
    )
    unix_socket: Path = key(
        kinds.PATH,
        Path("/run/meshbox/api.sock"),
        "The socket for administration; who may open it is administrator.",
    )
    unix_socket_permission: int = key(kinds.MODE, 0o770, "File mode of the socket.")
    state_dir: Path = key(kinds.PATH, STATE_DIR, "Where keys, the database and made certificates live.")
    trusted_proxies: tuple[Network, ...] = key(
        listed(network.NETWORK), (), "Reverse proxies whose word is taken for the client's address."
    )
    tls_cert_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "TLS certificate, with its chain, for listen_addr; read again on SIGHUP. Empty, and acme.enabled "
        "false: plain HTTP, for labs or behind a proxy that speaks TLS.",
    )
    tls_key_path: Path | None = key(optional(kinds.PATH), None, "Private key of that certificate.")
    acme: Acme = section(Acme, "Certificates from an authority such as Let's Encrypt.")
    http: Http = section(Http, "Port 80.")
    console: Console = section(Console, "Administration in a browser.")
    noise: Noise = section(Noise, "The protocol clients speak to the server.")
    prefixes: Prefixes = section(Prefixes, "Addresses of the nodes.")
    node: Node = section(Node, "How long nodes stay.")
    derp: Derp = section(Derp, "Relays, for nodes that cannot reach each other directly.")
    database: Database = section(Database, "Where everything is kept.")
    audit: Audit = section(Audit, "Who did what.")
    backup: Backup = section(Backup, "Copies of everything that must survive.")
    dns: Dns = section(Dns, "Names and resolvers.")
    log: Log = section(Log, "What is logged, and how.")
    policy: Policy = section(Policy, "Who may talk to whom.")
    oidc: Oidc = section(Oidc, "Signing in by an OpenID Connect provider.")
    taildrop: Taildrop = section(Taildrop, "Sending files.")
    logtail: Logtail = section(Logtail, "Clients' own logs.")
    auto_update: AutoUpdate = section(AutoUpdate, "Updates of clients.")
    c2n: C2n = section(C2n, "Questions to clients.")
    posture: Posture = section(Posture, "What is known about devices.")
    limits: Limits = section(
        Limits, "What strangers and broken nodes may cost. Raise one when the log says it was hit."
    )
    source: str = ""
    warnings: tuple[Problem, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
