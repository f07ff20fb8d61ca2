"""May this device send that packet? The answer from the whole rule table, with the rule that gave it.

For `tests` in a policy, for `explain`, and for what changes between two policies. Asked of the
unreduced rules: a destination need not be the address of any device.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshbox.policy.compiled import Compiled
from meshbox.policy.document import PolicyTest
from meshbox.policy.index import Index
from meshbox.policy.problem import Failure, tests_failed
from meshbox.policy.rules import AnyRule, Origin, Rule, SelfRule
from meshbox.policy.selectors import BadSelector, Names, Selector
from meshbox.policy.services import DEFAULT_PROTOCOLS, PROTOCOLS, WITH_PORTS, BadService, parse_protocol
from meshbox.policy.sight import ids
from meshbox.policy.spans import Span, span_of_address
from meshbox.policy.sshprobe import run as run_ssh_tests

MAX_STEPS = 5_000_000
"""Rules asked while tests run. Two thousand tests of twenty thousand rules over a group of thousands are a
megabyte of policy and would take minutes."""

_PEOPLE_AND_TAGS = frozenset({"user", "group", "tag", "host", "prefix"})


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


def check_tests(compiled: Compiled) -> None:
    """Run the policy's own tests. Raises PolicyError with every failure."""
    failures = (*run_tests(compiled), *run_ssh_tests(compiled.resolver, compiled.ssh))
    if failures:
        raise tests_failed(failures)


def run_tests(compiled: Compiled) -> list[Failure]:
    """The entries of `tests` that do not hold; a malformed one does not."""
    trial = _Trial(compiled)
    found = []
    for test in compiled.document.tests:
        errors = trial.errors(test)
        if errors:
            found.append(Failure(test.src, tuple(errors), test.spot))
    return found


class _BadTest(ValueError):
    """What is wrong with an entry."""


class _Trial:
    """All tests of one policy, and how much work they were."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        document = compiled.document
        groups = {*document.groups, *compiled.resolver.world.groups()}
        self.names = Names(groups, document.tag_owners.keys(), document.hosts, ())
        self.steps = 0

    def errors(self, test: PolicyTest) -> list[str]:
        try:
            if not test.accept and not test.deny:
                raise _BadTest("a test needs accept or deny")
            protocols = _protocols(test.proto)
            sources = self.sources(test.src)
            compiled = self.with_attributes(test, sources)
            found = []
            for wanted, targets in ((True, test.accept), (False, test.deny)):
                for target in targets:
                    host, port = self.target(target, protocols)
                    got = self.is_reachable(compiled, sources, host, protocols, port)
                    if got is not wanted:
                        found.append(_complaint(target, test.proto, wanted))
        except (_BadTest, BadSelector, BadService) as error:
            return [f"[acl test error]: {error}"]
        return found

    def sources(self, text: str) -> list[tuple[Span, int | None]]:
        """The addresses of the source and whose they are."""
        selector = self.selector(text)
        found = self.addresses(selector)
        if not found:
            raise _BadTest(f'src "{text}" has no devices')
        return found

    def with_attributes(self, test: PolicyTest, sources: list[tuple[Span, int | None]]) -> Compiled:
        """What the sources are like is what the test says and nothing else."""
        if not self.compiled.document.postures:
            return self.compiled
        given = tuple(test.posture_attributes.items())
        senders = {device_id for _, device_id in sources}
        devices = [
            replace(device, attributes=given) if device.id in senders else device
            for device in self.compiled.index.devices.values()
        ]
        return Compiled(self.compiled.resolver.at(Index(devices)))

    def selector(self, text: str) -> Selector:
        selector = self.names.parse(text)
        if selector.kind not in _PEOPLE_AND_TAGS or "/" in text:
            raise _BadTest(f'"{text}" is not a user, group, tag, host or address')
        if selector.kind == "user" and not self.compiled.resolver.people.of(selector):
            raise _BadTest(f'user not found: "{text}"')
        if selector.span is not None and not selector.span.is_single:
            raise _BadTest(f'"{text}" is a network, not one address')
        return selector

    def addresses(self, selector: Selector) -> list[tuple[Span, int | None]]:
        index = self.compiled.index
        if selector.span is not None:
            owners = ids(index.devices_in(selector.span))
            return [(selector.span, owners[0] if owners else None)]
        nodes = self.compiled.resolver.nodes(selector)
        return [(span_of_address(one), node) for node in ids(nodes) for one in index.devices[node].addresses]

    def target(self, text: str, protocols: tuple[int, ...]) -> tuple[Selector, int]:
        host, _, port = text.strip().rpartition(":")
        if not port.isdecimal() or not port.isascii() or len(port) > 5 or int(port) > 65535:
            raise _BadTest(f'"{text}" needs one port')
        if int(port) == 0 and any(one in WITH_PORTS for one in protocols):
            raise _BadTest(f'"{text}": port 0 is for protocols without ports')
        return self.selector(host.removeprefix("[").removesuffix("]")), int(port)

    def is_reachable(
        self,
        compiled: Compiled,
        sources: list[tuple[Span, int | None]],
        host: Selector,
        protocols: tuple[int, ...],
        port: int,
    ) -> bool:
        """Every address of the source must reach one of the destination's."""
        targets = self.addresses(host)
        self.steps += len(sources) * len(targets) * len(compiled.table.rules)
        if self.steps > MAX_STEPS:
            raise _BadTest("the tests ask more than can be answered in time; name single devices")

        def reaches(source: tuple[Span, int | None], target: tuple[Span, int | None]) -> bool:
            return any(
                allowed_by(compiled, Packet(source[0], target[0], protocol, port, source[1], target[1]))
                for protocol in protocols
            )

        return bool(targets) and all(any(reaches(one, target) for target in targets) for one in sources)


def _protocols(text: str) -> tuple[int, ...]:
    protocol = parse_protocol(text)
    return (PROTOCOLS["tcp"], PROTOCOLS["udp"]) if protocol is None else (protocol,)


def _complaint(target: str, proto: str, wanted: bool) -> str:
    want, got = ("Accept", "Drop") if wanted else ("Drop", "Accept")
    return f'[acl test error]: address "{target}" (protocol "{proto or "tcp"}"): want: {want}, got: {got}'
