"""Certificates of devices: which names a device may prove, and what a certificate authority finds.

A device asks the authority itself and keeps its key; the tailnet only vouches that the name is the device's,
for an hour, by a value in its public zone. Soft facts: whoever is cut off by a restart asks again.
"""

from __future__ import annotations

import re

from meshbox.errors import Invalid, Unauthorised
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.clientcalls import DnsCall
from meshbox.wire.zone import CHALLENGE

LIFE = 3600.0
"""Seconds. An authority looks within minutes; the field lets renewals overlap."""

PER_NAME = 8
"""Values at once: the oldest goes. A device that asks for its own and its wildcard needs two."""

VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
"""SHA-256 in base64url, as ACME has it. Anything else would make our zone a notice board."""


class Proofs:
    """By name, without the challenge's prefix."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, float]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, name: str, value: str, now: float) -> None:
        self._sweep(now)
        values = self._kept.setdefault(name, {})
        values.pop(value, None)
        while len(values) >= PER_NAME:
            del values[next(iter(values))]
        values[value] = now + LIFE

    def of(self, name: str, now: float) -> list[str]:
        return [value for value, ends_at in self._kept.get(name, {}).items() if now < ends_at]

    def _sweep(self, now: float) -> None:
        """There are no more names than devices that proved theirs within the hour."""
        over = [name for name, values in self._kept.items() if max(values.values()) <= now]
        for name in over:
            del self._kept[name]


def names_to_prove(t: Tailnet, node: Node) -> list[str]:
    """The names for which the node may have certificates, none where the tailnet has none."""
    return [f"{node.name}.{t.settings.domain}"] if t.settings.dns.has_certificates else []


def prove(t: Tailnet, proofs: Proofs, node: Node, call: DnsCall, now: float) -> str:
    """Let authorities find the value; returns the name that it proves. Raises Unauthorised, Invalid."""
    if not node.is_let_in(now):
        raise Unauthorised(f"{node.name} is not let in, and proves nothing")
    name = call.name.lower().removesuffix(".").removeprefix(CHALLENGE)
    if not call.name.lower().startswith(CHALLENGE) or name not in names_to_prove(t, node):
        raise Unauthorised(f"{node.name} may prove no name but its own")
    if call.type != "TXT" or not VALUE.fullmatch(call.value):
        raise Invalid("wants a TXT record with an ACME challenge")
    proofs.put(name, call.value, now)
    return name
