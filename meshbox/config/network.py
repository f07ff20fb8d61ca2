"""Kinds of value from the network: addresses to listen on, prefixes, URLs, names, records."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from meshbox.config.kinds import Kind, found, read_text

Network = IPv4Network | IPv6Network
Split = tuple[tuple[str, tuple[str, ...]], ...]
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){2}")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


class Address(str):
    """`host:port` to listen on, which knows its parts. An empty host means all interfaces."""

    __slots__ = ()

    @property
    def host(self) -> str:
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class ExtraRecord:
    """One DNS record the tailnet answers for: `type` is A or AAAA, and `value` an address; or CNAME, and
    `value` the name of a node."""

    name: str
    type: str
    value: str


def _address(raw: object) -> Address:
    text = read_text(raw)
    host, colon, port = text.rpartition(":")
    bare = host.strip("[]")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535 or " " in text:
        raise ValueError(f"wants host:port such as 127.0.0.1:8080, found {found(raw)}")
    if ":" in bare and host != f"[{bare}]":
        raise ValueError(f"wants brackets around an IPv6 address, such as [::]:8080, found {found(raw)}")
    if ":" in bare or bare.replace(".", "").isdecimal():
        _ip_address(bare, found(raw))
    return Address(text)


def _ip_address(text: str, seen: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f"wants an IP address, found {seen}") from None


def _network(raw: object) -> Network:
    try:
        return ip_network(read_text(raw), strict=False)
    except ValueError:
        raise ValueError(f"wants a network such as 10.0.0.0/8, found {found(raw)}") from None


def _proxy_network(raw: object) -> Network:
    network = _network(raw)
    if network.prefixlen == 0:
        raise ValueError(f"is {network}, which would let everybody forge the address they come from")
    return network


def _prefix(version: Literal[4, 6], example: str) -> Callable[[object], Any]:
    def read(raw: object) -> Network:
        try:
            network = _network(raw)
        except ValueError:
            network = None
        if network is None or network.version != version or "/" not in str(raw):
            raise ValueError(f"wants an IPv{version} network such as {example}, found {found(raw)}")
        if ip_address(str(raw).strip().partition("/")[0]) != network.network_address:
            raise ValueError(f"is {raw}, which has host bits set; did you mean {network}?")
        return network

    return read


def _ip(version: Literal[4, 6]) -> Callable[[object], Any]:
    def read(raw: object) -> IPv4Address | IPv6Address:
        address = _ip_address(read_text(raw), found(raw))
        if address.version != version:
            raise ValueError(f"wants an IPv{version} address, found {found(raw)}")
        return address

    return read


def split_url(text: str) -> SplitResult | None:
    """The parts of a URL with a host, or None when it has none or a port out of range."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and (parts.port is None or 0 < parts.port < 65536)
    except ValueError:
        return None
    return parts if usable and not re.search(r"\s", text) else None


def _server_url(raw: object) -> str:
    text = read_text(raw)
    parts = split_url(text)
    if parts is None or parts.scheme not in ("http", "https"):
        raise ValueError(f"wants a URL such as https://mesh.example.com, found {found(raw)}")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(
            f"wants only scheme, host and port, since clients put their own paths after it, found "
            f"{found(raw)}"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _web_url(raw: object) -> str:
    text = read_text(raw)
    parts = split_url(text)
    if parts is None or parts.scheme not in ("http", "https"):
        raise ValueError(f"wants a URL such as https://example.com/derpmap.json, found {found(raw)}")
    return text


def _push_target(raw: object) -> str:
    text = read_text(raw)
    if text.startswith("/"):
        return text
    parts = split_url(text)
    if parts is None or parts.scheme != "https" or parts.path not in ("", "/") or parts.query:
        raise ValueError(f"wants the path of a socket, or https://host[:port], found {found(raw)}")
    if parts.fragment and not re.fullmatch(r"(sha256-raw:)?[0-9a-fA-F]{64}", parts.fragment):
        raise ValueError(f"wants sha256-raw: and 64 hex digits behind the #, found {found(raw)}")
    return text


def _domain(raw: object) -> str:
    text = read_text(raw).lower().removesuffix(".")
    labels = text.split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"wants a domain name such as mesh.internal, found {found(raw)}")
    return text


def _host(raw: object) -> str:
    text = read_text(raw)
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        return _domain(text)


def _domain_or_none(raw: object) -> str:
    return "" if raw == "" else _domain(raw)


def _resolver(raw: object) -> str:
    text = read_text(raw)
    if text.startswith("https://"):
        if split_url(text) is None:
            raise ValueError(f"wants an IP address or a DNS-over-HTTPS URL, found {found(raw)}")
        return text
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"wants an IP address or a DNS-over-HTTPS URL, found {found(raw)}") from None


def _split(raw: object) -> Split:
    if not isinstance(raw, dict):
        raise ValueError(f"wants domains, each with a list of resolvers, found {found(raw)}")
    result: list[tuple[str, tuple[str, ...]]] = []
    for name, resolvers in raw.items():
        if not isinstance(resolvers, list):
            raise ValueError(f"wants a list of resolvers for {found(name)}, found {found(resolvers)}")
        result.append((_domain(name), tuple(_resolver(one) for one in resolvers)))
    return tuple(result)


def _write_split(split: Split) -> object:
    return {domain: list(resolvers) for domain, resolvers in split}


def _record(raw: object) -> ExtraRecord:
    if not isinstance(raw, dict) or set(raw) - {"name", "type", "value"}:
        raise ValueError(f"wants name, type and value, found {found(raw)}")
    written, kind = str(raw.get("name")), str(raw.get("type") or "A").upper()
    rest = written.removeprefix("*.")
    name = written[: len(written) - len(rest)] + _domain(raw.get("name") if rest == written else rest)
    if kind not in ("A", "AAAA", "CNAME"):
        raise ValueError(
            f"({name}) wants type A or AAAA, or CNAME for the name of a node, found "
            f"{found(raw.get('type'))}: clients answer no other"
        )
    value = raw.get("value")
    if rest != written and (kind != "CNAME" or rest.split(".")[0] != str(value).split(".")[0]):
        raise ValueError(
            f"({name}) is a wildcard, and clients answer only those below a node's own name: write "
            "{name: *.NODE.BASE_DOMAIN, type: CNAME, value: NODE}"
        )
    return ExtraRecord(name, kind, _domain(value) if kind == "CNAME" else _record_address(kind, value))


def _record_address(kind: str, raw: object) -> str:
    return str(_ip(4 if kind == "A" else 6)(raw))


def _write_record(record: ExtraRecord) -> object:
    return {"name": record.name, "type": record.type, "value": record.value}


def _version(raw: object) -> str:
    text = read_text(raw).removeprefix("v")
    if text and not _VERSION.fullmatch(text):
        raise ValueError(f"wants a version such as 1.102.5, found {found(raw)}")
    return text


ADDRESS: Kind[Address] = Kind("host:port", _address)
NETWORK: Kind[Network] = Kind("network", _proxy_network)
PREFIX_V4: Kind[IPv4Network] = Kind("IPv4 network", _prefix(4, "100.64.0.0/10"))
PREFIX_V6: Kind[IPv6Network] = Kind("IPv6 network", _prefix(6, "fd7a:115c:a1e0::/48"))
IP_V4: Kind[IPv4Address] = Kind("IPv4 address", _ip(4))
IP_V6: Kind[IPv6Address] = Kind("IPv6 address", _ip(6))
SERVER_URL: Kind[str] = Kind("URL", _server_url)
WEB_URL: Kind[str] = Kind("URL", _web_url)
PUSH_TARGET: Kind[str] = Kind("relay", _push_target)
DOMAIN: Kind[str] = Kind("domain", _domain)
HOST: Kind[str] = Kind("domain or IP address", _host)
DOMAIN_OR_NONE: Kind[str] = Kind("domain", _domain_or_none)
RESOLVER: Kind[str] = Kind("resolver", _resolver)
VERSION_OR_NONE: Kind[str] = Kind("version", _version)
SPLIT: Kind[Split] = Kind("domain: list of resolver", _split, _write_split, in_environment=False)
RECORD: Kind[ExtraRecord] = Kind("record", _record, _write_record, in_environment=False)
