"""The `tests` of a policy: what its rules must and must not let through, tried before it is used.

A malformed test is a test that fails. A destination need not be anybody's address; every address of the
source must get through, to any address of the destination.
"""

from __future__ import annotations

from dataclasses import replace

from meshbox.policy.compiled import Compiled
from meshbox.policy.document import PolicyTest
from meshbox.policy.index import Index
from meshbox.policy.probe import Packet, allowed_by
from meshbox.policy.problem import Failure, tests_failed
from meshbox.policy.selectors import BadSelector, Names, Selector
from meshbox.policy.services import PROTOCOLS, WITH_PORTS, BadService, parse_protocol
from meshbox.policy.sight import ids
from meshbox.policy.spans import Span
from meshbox.policy.sshprobe import run as run_ssh_tests

MAX_STEPS = 1_000_000
"""Rules asked while tests run. Two thousand tests of twenty thousand rules over a group of thousands are a
megabyte of policy and would take minutes."""

End = tuple[Span, int | None]
"""An address, and the device that has it."""

_PEOPLE_AND_TAGS = frozenset({"user", "group", "tag", "host", "prefix"})


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
        self._addresses: dict[str, list[End]] = {}

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

    def sources(self, text: str) -> list[End]:
        """The addresses of the source and whose they are."""
        selector = self.selector(text)
        found = self.addresses(selector)
        if not found:
            raise _BadTest(f'src "{text}" has no devices')
        return found

    def with_attributes(self, test: PolicyTest, sources: list[End]) -> Compiled:
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

    def addresses(self, selector: Selector) -> list[End]:
        found = self._addresses.get(selector.text)
        if found is None:
            found = self._addresses[selector.text] = self._find_addresses(selector)
        return found

    def _find_addresses(self, selector: Selector) -> list[End]:
        index = self.compiled.index
        if selector.span is not None:
            owners = ids(index.devices_in(selector.span))
            return [(selector.span, owners[0] if owners else None)]
        nodes = self.compiled.resolver.nodes(selector)
        return [(span, node) for node in ids(nodes) for span in index.spans_of(node)]

    def target(self, text: str, protocols: tuple[int, ...]) -> tuple[Selector, int]:
        host, _, port = text.strip().rpartition(":")
        if not port.isdecimal() or not port.isascii() or len(port) > 5 or int(port) > 65535:
            raise _BadTest(f'"{text}" needs one port')
        if int(port) == 0 and any(one in WITH_PORTS for one in protocols):
            raise _BadTest(f'"{text}": port 0 is for protocols without ports')
        return self.selector(host.removeprefix("[").removesuffix("]")), int(port)

    def is_reachable(
        self, compiled: Compiled, sources: list[End], host: Selector, protocols: tuple[int, ...], port: int
    ) -> bool:
        """Every address of the source must reach one of the destination's."""
        targets = self.addresses(host)
        self.steps += len(sources) * len(targets) * len(compiled.table.rules)
        if self.steps > MAX_STEPS:
            raise _BadTest("the tests ask more than can be answered in time; name single devices")

        def reaches(source: End, target: End) -> bool:
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
