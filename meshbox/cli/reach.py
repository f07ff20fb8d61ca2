"""Which address of this machine others can reach. Nothing is sent to find out."""

from __future__ import annotations

import fcntl
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

ELSEWHERE = (("9.9.9.9", socket.AF_INET), ("2620:fe::fe", socket.AF_INET6))
"""Connecting a UDP socket only asks the routing table which source address it would use."""

SIOCGIFADDR = 0x8915


@dataclass(frozen=True, slots=True)
class Reach:
    """One address, in the forms a configuration needs."""

    address: str

    @property
    def in_url(self) -> str:
        return f"[{self.address}]" if ":" in self.address else self.address

    @property
    def everywhere(self) -> str:
        """What to listen on so that this address answers."""
        return "[::]" if ":" in self.address else "0.0.0.0"


def own_address() -> Reach:
    for target, family in ELSEWHERE:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((target, 53))
            except OSError:
                continue
            return Reach(str(probe.getsockname()[0]))
    for _, name in socket.if_nameindex():
        address = _of_interface(name)
        if address is not None and not ip_address(address).is_loopback:
            return Reach(address)
    return Reach("127.0.0.1")


def reached_at(host: str) -> tuple[str, ...]:
    """The addresses of a name, at most one of each family; this machine's own when nobody knows the name."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return (own_address().address,)
    by_family = {family: str(address[0]) for family, _, _, _, address in reversed(found)}
    return tuple(by_family[family] for family in (socket.AF_INET, socket.AF_INET6) if family in by_family)


def is_ours(address: str) -> bool:
    """Whether an interface of this machine has the address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _of_interface(name: str) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])
