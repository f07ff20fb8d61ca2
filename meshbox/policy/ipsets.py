"""Named sets of addresses: `ipset:x` built from targets added and removed in the order written.

A target is an address, a prefix, a range `a-b`, `host:name`, `autogroup:internet` or another set. `add` may
be left out as long as the set has no `remove`: with one, a line without a verb is more likely a slip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from meshbox.policy.document import Text
from meshbox.policy.problem import PolicyError
from meshbox.policy.ranges import INTERNET_SET
from meshbox.policy.spans import Span, SpanSet, parse_range, parse_span

MAX_TARGETS = 10_000
"""Targets of all sets together."""
MAX_DEPTH = 32
"""Sets inside each other; a chain of thousands would exhaust the stack."""
MAX_RANGES = 20_000
"""Ranges that all the sets have when they are worked out: fifty sets that each add the one before it twice
over are short to write, and removing a thousand addresses from each leaves a thousand pieces."""


def resolve_all(definitions: Mapping[str, tuple[Text, ...]], hosts: Mapping[str, Span]) -> dict[str, SpanSet]:
    """Every set, worked out. Raises PolicyError."""
    work = _Work(definitions, hosts)
    count = 0
    for name, targets in definitions.items():
        count += len(targets)
        if count > MAX_TARGETS:
            raise PolicyError(
                f'ipsets["{name}"]: the sets have more than {MAX_TARGETS} targets', targets[0].spot
            )
    for name in definitions:
        work.resolve(name)
    return work.done


@dataclass(frozen=True, slots=True)
class _Step:
    """One line of a set: `verb` is "add", "remove" or "" when none was written."""

    verb: str
    target: str
    text: Text


@dataclass(slots=True)
class _Work:
    """`open` are the sets being worked out, outermost first: one that is met again contains itself."""

    definitions: Mapping[str, tuple[Text, ...]]
    hosts: Mapping[str, Span]
    done: dict[str, SpanSet] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    ranges: int = 0

    def resolve(self, name: str) -> SpanSet:
        if name in self.done:
            return self.done[name]
        self.open.append(name)
        found = self.combine(self.steps(name))
        self.open.pop()
        self.done[name] = found
        return found

    def steps(self, name: str) -> list[_Step]:
        found = [_step(text) for text in self.definitions[name]]
        if any(step.verb == "remove" for step in found):
            for step in found:
                if not step.verb:
                    self.refuse(step, 'with a "remove" in the set, every target needs "add" or "remove"')
        return found

    def combine(self, steps: list[_Step]) -> SpanSet:
        """The steps in their order; neighbours with the same verb are one operation."""
        found = SpanSet()
        at = 0
        while at < len(steps):
            removes = steps[at].verb == "remove"
            spans: list[Span] = []
            while at < len(steps) and (steps[at].verb == "remove") is removes:
                spans.extend(self.target(steps[at]))
                self.count(steps[at], len(spans))
                at += 1
            found = found.minus(SpanSet(spans)) if removes else found.union(spans)
        return found

    def count(self, step: _Step, ranges: int) -> None:
        self.ranges += ranges
        if self.ranges > MAX_RANGES:
            self.refuse(step, f"the sets have more than {MAX_RANGES} ranges together")

    def target(self, step: _Step) -> SpanSet:
        target = step.target
        if target.startswith("ipset:"):
            return self.inner(step)
        if target == "autogroup:internet":
            return INTERNET_SET
        if target.startswith("host:"):
            span = self.hosts.get(target[5:])
            if span is None:
                self.refuse(step, f'host not found: "{target[5:]}"')
            return SpanSet([span])
        span = parse_range(target) if "-" in target else parse_span(target)
        if span is None:
            self.refuse(step, f'"{target}": {_why_not(target)}')
        return SpanSet([span])

    def inner(self, step: _Step) -> SpanSet:
        name = step.target
        if name not in self.definitions:
            self.refuse(step, f'ipset not found: "{name}"')
        if name in self.open:
            circle = [*self.open[self.open.index(name) :], name]
            self.refuse(step, f"sets cannot contain themselves: {' -> '.join(circle)}")
        if len(self.open) >= MAX_DEPTH:
            self.refuse(step, f"sets are nested deeper than {MAX_DEPTH}")
        return self.resolve(name)

    def refuse(self, step: _Step, reason: str) -> NoReturn:
        raise PolicyError(f'ipsets["{self.open[-1]}"]: {reason}', step.text.spot)


def _step(text: Text) -> _Step:
    first, _, rest = text.value.strip().partition(" ")
    if first in ("add", "remove"):
        return _Step(first, rest.strip(), text)
    return _Step("", text.value.strip(), text)


def _why_not(target: str) -> str:
    if "@" in target or target == "*" or target.startswith(("group:", "tag:", "autogroup:", "svc:")):
        return "sets hold addresses, not users, groups, tags or devices"
    return "invalid address"
