"""May this device send that packet? The answer from the whole rule table, with the rule that gave it.

For `tests` in a policy (policy/trial.py) and for `explain`. Asked of the unreduced rules: a destination need
not be the address of any device.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.policy.compiled import Compiled
from meshbox.policy.rules import AnyRule, Origin, Rule, SelfRule
from meshbox.policy.services import DEFAULT_PROTOCOLS, PROTOCOLS, WITH_PORTS
from meshbox.policy.sight import ids
from meshbox.policy.spans import Address, Span, span_of_address


@dataclass(frozen=True, slots=True)
class Packet:
    """From an address (of a device or of nobody) to an address. `sender` is the device that has `src`."""

    src: Span
    dst: Span
    protocol: int
    port: int
    sender: int | None = None
    receiver: int | None = None


def allowed_by(compiled: Compiled, packet: Packet) -> Origin | None:
    """The first rule that lets the packet through; None: no rule does."""
    for rule in compiled.table.rules:
        if _lets_through(compiled, rule, packet):
            return rule.origin
    return None


def _lets_through(compiled: Compiled, rule: AnyRule, packet: Packet) -> bool:
    if rule.caps is not None:
        return False
    if rule.protocol is None:
        if packet.protocol not in DEFAULT_PROTOCOLS:
            return False
    elif rule.protocol != packet.protocol:
        return False
    if isinstance(rule, SelfRule):
        return _is_self(compiled, rule, packet) and _has_port(rule.ports, packet)
    if rule.is_silent or not rule.source.contains(packet.src.family, packet.src.low):
        return False
    for dest, ports in zip(rule.dests, rule.ports, strict=True):
        if dest.contains(packet.dst) and _has_port(ports, packet):
            return rule.via is None or _is_routed(compiled, rule, packet)
    return False


def _is_routed(compiled: Compiled, rule: Rule, packet: Packet) -> bool:
    """A via rule holds for what a tagged router carries, and for nothing else."""
    via = rule.via or 0
    return bool(via & compiled.index.carriers(packet.dst))


def _is_self(compiled: Compiled, rule: SelfRule, packet: Packet) -> bool:
    if packet.sender is None or packet.receiver is None:
        return False
    sender, receiver = compiled.index.devices[packet.sender], compiled.index.devices[packet.receiver]
    if sender.tags or receiver.tags or sender.user_id != receiver.user_id:
        return False
    return rule.source.contains(packet.src.family, packet.src.low)


def _has_port(ranges: tuple[tuple[int, int], ...], packet: Packet) -> bool:
    if packet.protocol in (PROTOCOLS["icmp"], PROTOCOLS["ipv6-icmp"]):
        return True  # clients look at the addresses only
    if packet.protocol not in WITH_PORTS:
        return (0, 65535) in ranges
    return any(first <= packet.port <= last for first, last in ranges)


@dataclass(frozen=True, slots=True)
class Decision:
    """`origin` is the rule that allows it; None: none does."""

    origin: Origin | None

    @property
    def is_allowed(self) -> bool:
        return self.origin is not None


def explain(
    compiled: Compiled, src: int | Address, dst: int | Address, port: int, protocol: int = 6
) -> Decision:
    """Between two devices (ids) or addresses. Of devices one pair of addresses is enough."""
    for sender, source in _ends(compiled, src):
        for receiver, target in _ends(compiled, dst):
            if source.family != target.family:
                continue
            origin = allowed_by(compiled, Packet(source, target, protocol, port, sender, receiver))
            if origin is not None:
                return Decision(origin)
    return Decision(None)


def _ends(compiled: Compiled, end: int | Address) -> list[tuple[int | None, Span]]:
    if isinstance(end, int):
        return [(end, span) for span in compiled.index.spans_of(end)]
    span = span_of_address(end)
    owners = ids(compiled.index.devices_in(span))
    return [(owners[0] if owners else None, span)]
