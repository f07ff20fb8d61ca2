"""The relays clients are told of: our own, those described in files, those of fetched maps.

The embedded relay is reached in one of three ways: on the main listener when that speaks TLS; through a
proxy that speaks TLS for it (server_url is https, listen_addr is not); or on a listener of its own,
whose self-signed certificate is pinned in the map, which needs no domain. Without any of these no
official client could use it, so it is left out. A separate relay always speaks TLS; whether it has to be
pinned it says itself, so it is left out until it has spoken.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from meshbox.config import Config
from meshbox.config.rules import HTTP_PORT
from meshbox.errors import ConfigError, Invalid, Problem
from meshbox.serve.introduction import Introduction
from meshbox.wire.derpmap import DerpMap, DerpNode, Region, merge, parse_file

HTTPS_PORT = 443


def relay_map(config: Config, said: Introduction | None, fetched: Iterable[DerpMap] = ()) -> DerpMap:
    """The whole map: later ones override the regions of earlier ones. `said` is what our relay says of
    itself, None while that is not known. Raises ConfigError naming the file that cannot be used."""
    maps = [*fetched, *(read_map(path) for path in config.derp.paths)]
    own = own_region(config, said)
    if own is not None and config.derp.server.automatically_add_embedded_derp_region:
        maps.append(DerpMap((own,)))
    try:
        return merge(*maps)
    except Invalid as error:
        raise ConfigError(config.source, [Problem("derp.paths", str(error))]) from None


def read_map(path: Path) -> DerpMap:
    try:
        return parse_file(yaml.safe_load(path.read_text()))
    except OSError as error:
        reason = error.strerror or str(error)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = f"not YAML: {' '.join(str(error).split())}"
    except Invalid as error:
        reason = str(error)
    raise ConfigError(str(path), [Problem("derp.paths", reason)])


def own_region(config: Config, said: Introduction | None) -> Region | None:
    """Our relay as clients are to reach it; None when they cannot."""
    server = config.derp.server
    url = urlsplit(config.server_url)
    host = server.host_name or url.hostname or ""
    if not server.enabled or said is None:
        return None
    if server.listen_addr is not None:
        port = server.listen_addr.port
    elif server.separate or config.tls_cert_path is not None or url.scheme == "https":
        port = url.port or HTTPS_PORT
    else:
        return None
    literal = _literal(host)
    ipv4 = server.ipv4 or (literal if isinstance(literal, IPv4Address) else None)
    ipv6 = server.ipv6 or (literal if literal is not None and ipv4 != literal else None)
    node = DerpNode(
        name=f"{server.region_id}a",
        host_name=host,
        # A literal address needs no look-up; the family it is not of must not be looked up either.
        ipv4=_address(ipv4, literal is not None),
        ipv6=_address(ipv6, literal is not None),
        derp_port=0 if port == HTTPS_PORT else port,
        stun_port=server.stun_listen_addr.port,
        cert_name=said.pin,
        can_port80=said.port80 or _is_port80_ours(config),
    )
    return Region(server.region_id, server.region_code, server.region_name, (node,))


def _is_port80_ours(config: Config) -> bool:
    """Does this server answer /generate_204 on port 80 of the relay's address? It does when it has that port,
    and the relay is inside it or takes over its connections."""
    server = config.derp.server
    if server.separate and server.handover_socket is None:
        return False
    is_plain = config.tls_cert_path is None and not config.acme.enabled
    unencrypted = [config.http.listen_addr, config.listen_addr if is_plain else None]
    return any(listener is not None and listener.port == HTTP_PORT for listener in unencrypted)


def relay_addresses(derp_map: DerpMap) -> frozenset[str]:
    """The literal addresses of all relays: who may ask `/verify`."""
    return frozenset(_literals(derp_map))


def _literals(derp_map: DerpMap) -> Iterable[str]:
    for region in derp_map.regions:
        for node in region.nodes:
            for text in (node.ipv4, node.ipv6, node.host_name):
                address = _literal(text)
                if address is not None:
                    yield str(address)


def _literal(text: str) -> object | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _address(address: object | None, others_are_none: bool) -> str:
    if address is not None:
        return str(address)
    return "none" if others_are_none else ""
