"""What can be wrong with names and resolvers beyond a single value: wildcards, certificates, DNS over HTTPS.

A client must know the addresses of a DNS-over-HTTPS service beforehand, since it cannot look them up; any
other URL it does not ask at all.

Source: net/dns/publicdns (client 1.102.5), net/dns/resolver/forwarder.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshbox.config.network import split_url
from meshbox.config.schema import Config
from meshbox.errors import Problem

WHOLE = frozenset(
    f"https://{place}"
    for place in (
        "cloudflare-dns.com/dns-query",
        "security.cloudflare-dns.com/dns-query",
        "family.cloudflare-dns.com/dns-query",
        "dns.google/dns-query",
        "dns.quad9.net/dns-query",
        "dns10.quad9.net/dns-query",
        "dns11.quad9.net/dns-query",
        "dns.mullvad.net/dns-query",
        "adblock.dns.mullvad.net/dns-query",
        "base.dns.mullvad.net/dns-query",
        "extended.dns.mullvad.net/dns-query",
        "family.dns.mullvad.net/dns-query",
        "all.dns.mullvad.net/dns-query",
        "wikimedia-dns.org/dns-query",
        "freedns.controld.com/p0",
        "freedns.controld.com/p1",
        "freedns.controld.com/p2",
        "freedns.controld.com/p3",
        "freedns.controld.com/family",
        "private.canadianshield.cira.ca/dns-query",
        "protected.canadianshield.cira.ca/dns-query",
        "family.canadianshield.cira.ca/dns-query",
    )
)
BEGINNINGS = ("https://dns.nextdns.io/", "https://dns.controld.com/")
"""Services with a profile in the path."""


def is_known(url: str) -> bool:
    return url in WHOLE or url.startswith(BEGINNINGS)


PRIVATE_DOMAINS = ("internal", "local", "localhost", "lan", "home", "corp", "test", "example", "invalid",
                   "onion", "arpa", "ts.net")  # fmt: skip
"""Where no authority gives certificates: reserved by RFC 6761 and 9476, or by habit, or not ours."""


def _certificates(config: Config) -> Iterator[Problem]:
    """The base domain is one that the world can look up, and this server has a name in it elsewhere."""
    base, certificates = config.dns.base_domain, config.dns.certificates
    if not certificates.enabled:
        return
    if not config.dns.magic_dns:
        yield Problem("dns.certificates.enabled", "is for the names that dns.magic_dns gives; switch that on")
    is_private = any(base == domain or base.endswith("." + domain) for domain in PRIVATE_DOMAINS)
    if is_private or "." not in base:
        yield Problem(
            "dns.certificates.enabled",
            f"needs a public domain of yours as dns.base_domain, and {base or 'none'} is none",
        )
    if not certificates.name_server and _is_address(config.server_url):
        yield Problem(
            "dns.certificates.name_server",
            "is missing: server_url has an address and no name, and an NS record needs one",
        )
    if certificates.name_server and f".{certificates.name_server}".endswith(f".{base}"):
        yield Problem(
            "dns.certificates.name_server",
            f"is {base} or below it, where we answer no addresses; give this server a name elsewhere",
        )


def _is_address(url: str) -> bool:
    parts = split_url(url)
    host = "" if parts is None else parts.hostname or ""
    return ":" in host or host.replace(".", "").isdecimal()


def check(config: Config) -> Iterator[Problem]:
    """Devices prove names that the world can look up; a wildcard leads below a node's name."""
    yield from _certificates(config)
    for record in config.dns.extra_records:
        if not record.name.startswith("*."):
            continue
        domain = record.name.removeprefix("*.").partition(".")[2]
        if domain != config.dns.base_domain:
            base = config.dns.base_domain or "a base_domain"
            yield Problem("dns.extra_records", f"{record.name} is below no node: it would end with {base}")


def advise(config: Config) -> Iterator[Problem]:
    """One warning for each URL that no client will ask."""
    dns = config.dns
    for path, resolvers in (
        ("dns.nameservers.global", dns.nameservers.global_),
        ("dns.nameservers.split", [one for _, some in dns.nameservers.split for one in some]),
        ("dns.overrides", [one for override in dns.overrides for one in override.nameservers or ()]),
    ):
        for resolver in resolvers:
            if resolver.startswith("https://") and not is_known(resolver):
                text = f"{resolver} is no DNS-over-HTTPS service that clients know: they will not ask it"
                yield Problem(path, text)
