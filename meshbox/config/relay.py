"""The configuration of a relay on its own (`meshbox derp`): its keys, its file and its rules.

The relay knows nothing of the tailnet: no database, no control key. Its file is
/etc/meshbox/derp.yaml, its variables begin with MESHBOX_RELAY_, and the flags of `meshbox derp` override
both. Without a file it runs on defaults and flags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from meshbox.config import kinds, network
from meshbox.config.keys import key, section
from meshbox.config.kinds import choice, listed, optional, whole
from meshbox.config.network import Address, Network
from meshbox.config.reading import Schema
from meshbox.config.rules import SOCKET_PATH_MAX
from meshbox.config.schema import Log
from meshbox.errors import Problem

STATE_DIR = Path("/var/lib/meshbox-derp")


@dataclass(frozen=True, slots=True)
class Admission:
    mode: Literal["control", "url", "all"] = key(
        choice("control", "url", "all"),
        "control",
        "Who may use the relay. control: the nodes that a control server pushed; url: those for whom "
        "admission.verify_url says so; all: everybody, for labs.",
    )
    open_to_everybody: bool = key(
        kinds.FLAG, False, "The explicit yes that `all` needs when the relay listens beyond loopback."
    )
    token_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "File with the token with which a control server elsewhere pushes over HTTPS, at least 32 "
        "characters. Empty: only over the local socket.",
    )
    verify_url: str = key(
        kinds.TEXT,
        "",
        "Asked once for each client that connects, as the official relay's -verify-client-url.",
        example="https://mesh.example.com/verify",
    )
    verify_fail_open: bool = key(
        kinds.FLAG,
        False,
        "Let clients in when verify_url cannot be reached at all or takes longer than five seconds. An "
        "answer that is not a yes is a no in any case.",
    )


@dataclass(frozen=True, slots=True)
class Mesh:
    key_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "File with the key that all relays of a region share, 64 hex digits, as the official relay's "
        "-mesh-psk-file.",
    )
    peers: tuple[str, ...] = key(
        listed(kinds.TEXT),
        (),
        "The other relays of the region: host, host:port, or host:port/address-to-dial. This relay's own "
        "name may be among them.",
        example="[derp1b.example.com, derp1c.example.com]",
    )


@dataclass(frozen=True, slots=True)
class RelayLimits:
    bytes_per_second: int = key(
        whole(0, 10**12),
        64 * 1024 * 1024,
        "Bytes one client may send per second; above it the relay reads more slowly and drops nothing. 0 is "
        "no limit.",
    )
    connections_per_address: int = key(
        whole(1, 100_000),
        64,
        "Connections one IPv4 address or IPv6 /64 may hold before their clients are admitted.",
    )
    connections_unauthenticated: int = key(
        whole(1, 1_000_000), 2000, "Connections of all addresses together whose clients are not admitted yet."
    )
    handshake_timeout: float = key(
        kinds.DURATION, 10.0, "Time from connecting to the end of the request head, TLS included."
    )


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """The whole configuration of a relay; the last three are as in Config."""

    listen: Address = key(
        network.ADDRESS, Address(":443"), "Where clients connect. Sockets of the service manager go first."
    )
    plain: bool = key(
        kinds.FLAG,
        False,
        "Speak plain HTTP on `listen`: behind a proxy that speaks TLS, or in a lab.",
    )
    http_listen: Address | None = key(
        optional(network.ADDRESS),
        None,
        "Plain HTTP for captive portal checks (/generate_204); everything else is redirected to https.",
        example=":80",
    )
    stun_listen: Address | None = key(
        optional(network.ADDRESS), Address(":3478"), "UDP address for STUN, IPv4 and IPv6; empty is off."
    )
    hostnames: tuple[str, ...] = key(
        listed(kinds.TEXT),
        (),
        "Names and addresses of this relay, the one in the DERP map first. A self-signed certificate is "
        "made for them.",
        example="[derp1.example.com, 192.0.2.7]",
    )
    cert_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "TLS certificate with its chain, read again on SIGHUP. Empty: a self-signed one is made in state_dir "
        "and the log says how to pin it.",
    )
    key_path: Path | None = key(optional(kinds.PATH), None, "Private key of that certificate.")
    state_dir: Path = key(
        kinds.PATH, STATE_DIR, "Where the relay's key, a made certificate and the last admitted set live."
    )
    private_key_path: Path = key(
        kinds.PATH,
        STATE_DIR / "derp.key",
        "The relay's identity. Created when missing; the key file of an official derper is understood.",
    )
    socket: Path = key(
        kinds.PATH,
        Path("/run/meshbox-derp/derp.sock"),
        "Local socket on which control pushes who is admitted and `meshbox derp status` asks.",
    )
    socket_permission: int = key(kinds.MODE, 0o660, "File mode of the socket.")
    handover_socket: Path | None = key(
        optional(kinds.PATH),
        None,
        "Socket on which a control server hands over connections that arrived at its port for this relay.",
        example="/run/meshbox-derp/handover.sock",
    )
    metrics_listen: Address | None = key(
        optional(network.ADDRESS),
        None,
        "Where /metrics is served over TCP; the socket serves it in any case.",
        example="127.0.0.1:9091",
    )
    workers: int = key(
        whole(1, 64),
        1,
        "Processes that share the relay's work; more than one for more than one core's worth of traffic.",
    )
    trusted_proxies: tuple[Network, ...] = key(
        listed(network.NETWORK), (), "Reverse proxies whose word is taken for the client's address."
    )
    bootstrap_names: tuple[str, ...] = key(
        listed(network.DOMAIN),
        (),
        "Names whose addresses /bootstrap-dns tells clients that lost their resolver: the control server's.",
    )
    home: str = key(
        kinds.TEXT, "", "What / shows: empty is a short page, `blank` nothing, a URL a redirect to it."
    )
    admission: Admission = section(Admission, "Who may use the relay.")
    mesh: Mesh = section(Mesh, "Several relays in one region.")
    limits: RelayLimits = section(RelayLimits, "What clients and strangers may cost.")
    log: Log = section(Log, "What is logged, and how.")
    source: str = ""
    warnings: tuple[Problem, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)


def is_loopback(address: Address) -> bool:
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


def _check(config: RelayConfig) -> Iterator[Problem]:
    admission = config.admission
    if admission.mode == "url" and network.split_url(admission.verify_url) is None:
        yield Problem(
            "admission.verify_url", "wants the URL of a control server's /verify while admission.mode is url"
        )
    if admission.mode == "all" and not admission.open_to_everybody and not is_loopback(config.listen):
        yield Problem(
            "admission.mode",
            f"is all, so whoever reaches {config.listen} could use this relay; listen on 127.0.0.1, or say "
            "yes to that with admission.open_to_everybody (--yes)",
        )
    if (config.cert_path is None) != (config.key_path is None):
        missing = "key_path" if config.key_path is None else "cert_path"
        yield Problem(missing, "is missing; give cert_path and key_path both, or none")
    if config.workers > 1 and config.mesh.key_path is not None:
        yield Problem(
            "workers",
            "is more than one while mesh.key_path is set; a relay that meshes with others runs in one "
            "process. Make more regions instead, or keep one worker",
        )
    if config.mesh.peers and config.mesh.key_path is None:
        yield Problem("mesh.key_path", "is missing while mesh.peers names relays; all of them share one key")
    length = len(str(config.socket).encode())
    if length > SOCKET_PATH_MAX:
        yield Problem(
            "socket", f"is {length} bytes long and the system takes {SOCKET_PATH_MAX}; choose a shorter path"
        )
    if config.home not in ("", "blank") and network.split_url(config.home) is None:
        yield Problem("home", f"wants nothing, blank or a URL, found {config.home!r}")


def _advise(config: RelayConfig) -> Iterator[Problem]:
    if config.plain and not is_loopback(config.listen) and not config.trusted_proxies:
        yield Problem(
            "plain",
            "is true and trusted_proxies is empty: clients come only through TLS, and behind a proxy all of "
            "them would count as one address; name the proxy",
        )
    if config.admission.mode != "url" and config.admission.verify_url:
        yield Problem("admission.verify_url", "is not asked unless admission.mode is url")


def _nothing_implied(values: Mapping[str, Any], given: set[str]) -> Iterator[tuple[str, Any]]:
    return iter(())


RELAY = Schema(
    RelayConfig,
    Path("/etc/meshbox/derp.yaml"),
    Path("/etc/meshbox/derp.d"),
    "MESHBOX_RELAY_CONFIG",
    "MESHBOX_RELAY_",
    ("MESHBOX_RELAY_CONFIG",),
    STATE_DIR,
    _check,
    _advise,
    _nothing_implied,
)
