"""What no single key can get wrong: keys that contradict each other, and keys worth a word."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network

from meshbox.config import naming
from meshbox.config.network import Address, split_url
from meshbox.config.schema import Config
from meshbox.errors import Problem

CGNAT = IPv4Network("100.64.0.0/10")
TAILSCALE_ULA = IPv6Network("fd7a:115c:a1e0::/48")
SOCKET_PATH_MAX = 107
"""Bytes the system takes for the path of a unix socket (sun_path without its final zero)."""
HTTP_PORT = 80
SHORTEST_PROBES = 2.0
SHORTEST_ANSWER = 1.0
"""Seconds. Phones and distant sites need this long to answer on a bad day."""
SHORT_ABSENCE = 65.0
"""Seconds. A client needs up to a minute to notice a dead connection and come back."""


def check(config: Config) -> Iterator[Problem]:
    """Everything that stops the start."""
    yield from _server(config)
    yield from _listeners(config)
    yield from _pairs(config)
    yield from _names(config)
    yield from naming.check(config)
    yield from _keys_and_prefixes(config)
    yield from _relay(config)
    yield from _certificates(config)
    if config.backup.offsite.repository and config.backup.offsite.password_path is None:
        yield Problem(
            "backup.offsite.password_path", "is missing while backup.offsite.repository is set; give both"
        )
    yield from _probes(config)
    yield from _oidc(config)


def _oidc(config: Config) -> Iterator[Problem]:
    oidc = config.oidc
    if oidc.issuer and not oidc.client_id:
        yield Problem("oidc.client_id", "is missing while oidc.issuer is set; it is our name at the provider")
    if oidc.issuer and "openid" not in oidc.scope:
        yield Problem("oidc.scope", "is without openid; only with it the provider says who signed in")


def _probes(config: Config) -> Iterator[Problem]:
    ha = config.node.routes.ha
    if 0 < ha.probe_interval < SHORTEST_PROBES:
        yield Problem(
            "node.routes.ha.probe_interval",
            f"is below {SHORTEST_PROBES:.0f} seconds; use 0 to ask no router for signs of life",
        )
    elif ha.probe_interval and not SHORTEST_ANSWER <= ha.probe_timeout < ha.probe_interval:
        yield Problem(
            "node.routes.ha.probe_timeout",
            f"is {ha.probe_timeout:g} s; give at least {SHORTEST_ANSWER:.0f} s and less than "
            f"node.routes.ha.probe_interval, {ha.probe_interval:g} s",
        )


def advise(config: Config) -> Iterator[Problem]:
    """What is allowed and worth a warning."""
    yield from naming.advise(config)
    v4, v6 = config.prefixes.v4, config.prefixes.v6
    if v4 is not None and not v4.subnet_of(CGNAT):
        yield Problem(
            "prefixes.v4", f"{v4} is outside {CGNAT}; clients treat only addresses in there as the tailnet's"
        )
    if v6 is not None and not v6.subnet_of(TAILSCALE_ULA):
        yield Problem(
            "prefixes.v6",
            f"{v6} is outside {TAILSCALE_ULA}; clients treat only addresses in there as the tailnet's",
        )
    if 0 < config.node.ephemeral.inactivity_timeout < SHORT_ABSENCE:
        yield Problem(
            "node.ephemeral.inactivity_timeout",
            f"is below {SHORT_ABSENCE:.0f} seconds; nodes that only lost their connection for a moment will "
            f"be deleted",
        )
    if config.policy.mode == "database" and config.policy.path is not None:
        yield Problem(
            "policy.path",
            "is not read, because policy.mode is database; put the file in with `meshbox policy set FILE`, "
            "or set policy.mode to file",
        )
    if config.policy.mode == "file" and config.policy.path is None:
        yield Problem(
            "policy.path",
            "is empty although policy.mode is file; give the file, or remove policy.mode to change the "
            "policy with `meshbox policy`",
        )
    if not config.derp.server.enabled and not config.derp.paths and not config.derp.urls:
        yield Problem(
            "derp.server.enabled",
            "is false, and neither derp.paths nor derp.urls name relays; nodes that cannot connect directly "
            "will not connect",
        )
    if _relay_is_unreachable(config):
        yield Problem(
            "derp.server.enabled",
            "is true, but clients reach a relay only by TLS: give it derp.server.listen_addr (a certificate "
            "is made and pinned), or serve this server by https; until then it is not in the relay map",
        )
    if config.tls_cert_path is not None and config.server_url.startswith("http:"):
        yield Problem(
            "server_url",
            "begins with http:// although tls_cert_path is set; clients would speak plain HTTP to TLS",
        )
    plain = config.http.listen_addr
    if config.acme.enabled and plain is not None and plain.port != HTTP_PORT:
        yield Problem(
            "http.listen_addr",
            f"is {plain}, and the authority asks at port 80: forward that port to it",
        )


def _relay_is_unreachable(config: Config) -> bool:
    server = config.derp.server
    has_tls = config.tls_cert_path is not None or config.server_url.startswith("https:")
    return server.enabled and not server.separate and server.listen_addr is None and not has_tls


def _server(config: Config) -> Iterator[Problem]:
    if not config.server_url:
        yield Problem("server_url", "is missing; give the URL clients use, such as https://mesh.example.com")
        return
    parts = split_url(config.server_url)
    host = (parts.hostname or "") if parts else ""
    domain = config.dns.base_domain
    if domain and (host == domain or host.endswith("." + domain)):
        yield Problem(
            "server_url",
            f"has host {host}, which is inside dns.base_domain {domain}: clients that use MagicDNS could "
            f"not find the "
            "server any more. Choose another base_domain",
        )


def _listeners(config: Config) -> Iterator[Problem]:
    taken: dict[Address, str] = {}
    for path, address in (
        ("listen_addr", config.listen_addr),
        ("metrics_listen_addr", config.metrics_listen_addr),
        ("derp.server.listen_addr", _own_relay_listener(config)),
        ("http.listen_addr", config.http.listen_addr),
        ("dns.certificates.listen_addr", _name_server_listener(config)),
    ):
        if address is None or address.port == 0:
            continue
        if address in taken:
            yield Problem(path, f"is {address}, as {taken[address]} is; give each its own port")
        taken[address] = path
    length = len(str(config.unix_socket).encode())
    if length > SOCKET_PATH_MAX:
        yield Problem(
            "unix_socket",
            f"is {length} bytes long and the system takes {SOCKET_PATH_MAX}; choose a shorter path",
        )


def _name_server_listener(config: Config) -> Address | None:
    certificates = config.dns.certificates
    return certificates.listen_addr if certificates.enabled else None


def _own_relay_listener(config: Config) -> Address | None:
    """A separate relay's listener is not ours."""
    server = config.derp.server
    return server.listen_addr if server.enabled and not server.separate else None


def _pairs(config: Config) -> Iterator[Problem]:
    server = config.derp.server
    for prefix, cert, private in (
        ("tls_", config.tls_cert_path, config.tls_key_path),
        ("derp.server.", server.cert_path, server.key_path),
    ):
        if (cert is None) != (private is None):
            given, missing = ("key_path", "cert_path") if cert is None else ("cert_path", "key_path")
            yield Problem(f"{prefix}{missing}", f"is missing while {prefix}{given} is set; give both or none")


def _names(config: Config) -> Iterator[Problem]:
    dns = config.dns
    if dns.magic_dns and not dns.base_domain:
        yield Problem(
            "dns.base_domain", "is empty; give a domain for the nodes' names, or set dns.magic_dns to false"
        )
    if dns.override_local_dns and not dns.nameservers.global_:
        yield Problem(
            "dns.override_local_dns",
            "is true and dns.nameservers.global is empty, which would leave clients without resolvers; list "
            "some or set "
            "it to false",
        )
    if dns.extra_records and dns.extra_records_path is not None:
        yield Problem("dns.extra_records_path", "is set beside dns.extra_records; keep one of them")


def _keys_and_prefixes(config: Config) -> Iterator[Problem]:
    if config.noise.private_key_path == config.derp.server.private_key_path:
        yield Problem(
            "derp.server.private_key_path", "is the same file as noise.private_key_path; give each its own"
        )
    if config.prefixes.v4 is None and config.prefixes.v6 is None:
        yield Problem("prefixes", "has neither v4 nor v6; nodes need at least one, such as v4: 100.64.0.0/10")
    for path, prefix in (("prefixes.v4", config.prefixes.v4), ("prefixes.v6", config.prefixes.v6)):
        if prefix is None:
            continue
        if prefix.is_multicast or prefix.is_loopback or prefix.is_link_local:
            yield Problem(
                path,
                f"is {prefix}, which cannot be routed; use a part of 100.64.0.0/10 or fd7a:115c:a1e0::/48",
            )
        elif prefix.num_addresses < 8:
            yield Problem(path, f"is {prefix}, which has no room for nodes; use at least eight addresses")


def _relay(config: Config) -> Iterator[Problem]:
    derp = config.derp
    if derp.server.enabled and not derp.server.automatically_add_embedded_derp_region and not derp.paths:
        yield Problem(
            "derp.paths",
            "is empty while derp.server.automatically_add_embedded_derp_region is false, so clients would "
            "not hear of the "
            "relay; describe it in a file or set that key to true",
        )
    if derp.server.separate and not derp.push:
        yield Problem(
            "derp.push",
            "is empty while derp.server.separate is true, so the relay would admit nobody; name its socket, "
            "/run/meshbox-derp/derp.sock",
        )
    if any(place.startswith("https:") for place in derp.push) and derp.push_token_path is None:
        yield Problem(
            "derp.push_token_path",
            "is missing while derp.push names a relay elsewhere; both sides keep the same token in a file",
        )
    yield from _handover(config)


def _handover(config: Config) -> Iterator[Problem]:
    server = config.derp.server
    if server.handover_socket is None:
        return
    if not server.host_name:
        yield Problem(
            "derp.server.host_name",
            "is missing; connections are handed over by the name they ask for",
        )
    if config.tls_cert_path is None and not config.acme.enabled:
        yield Problem(
            "derp.server.handover_socket",
            "is set, but listen_addr speaks no TLS, so no connection says whom it wants; set tls_cert_path "
            "or acme.enabled",
        )


def _certificates(config: Config) -> Iterator[Problem]:
    acme = config.acme
    if bool(acme.eab_key_id) != (acme.eab_key_path is not None):
        given, missing = ("id", "path") if acme.eab_key_id else ("path", "id")
        yield Problem(f"acme.eab_key_{missing}", f"is missing while acme.eab_key_{given} is set; give both")
    has_https = config.server_url.startswith("https:")
    if config.http.listen_addr is not None and config.server_url and not has_https:
        yield Problem(
            "http.listen_addr",
            "sends browsers to server_url, which is plain http itself: write https:// there, or leave it out",
        )
    if config.http.webroot is not None and config.http.listen_addr is None:
        yield Problem("http.webroot", "is served on http.listen_addr, which is off; set it, to :80 as a rule")
    if not acme.enabled:
        return
    if config.tls_cert_path is not None:
        yield Problem(
            "acme.enabled", "is true beside tls_cert_path; get the certificate or give it, not both"
        )
    if config.server_url and not has_https:
        yield Problem("server_url", "is no https:// URL although acme.enabled asks for a certificate for it")
    if config.http.listen_addr is None:
        yield Problem(
            "http.listen_addr",
            "is off, and acme.enabled needs it for the authority's challenge; set it to :80",
        )
    if not acme.directory_url.startswith("https:"):
        yield Problem("acme.directory_url", "is not https://; an authority that is not authenticated is none")
