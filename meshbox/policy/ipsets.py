"""Named sets of addresses: `ipset:x` built from targets added and removed in the order written.

A target is an address, a prefix, a range `a-b`, `host:name`, `autogroup:internet` or another set. `add` may
be left out as long as the set has no `remove`: with one, a line without a verb is more likely a slip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from typing import NoReturn

from meshbox.policy.document import Text
from meshbox.policy.problem import PolicyError
from meshbox.policy.ranges import INTERNET_SET
from meshbox.policy.spans import WIDTH, Family, Span, SpanSet, make_span, parse_range, parse_span

MAX_TARGETS = 10_000
"""Targets of all sets together."""
MAX_DEPTH = 32
"""Sets inside each other; a chain of thousands would exhaust the stack."""
MAX_RANGES = 20_000
"""Ranges that the lines of all sets stand for, before they are put together: fifty sets that each add the
one before twice are short to write and would double fifty times."""


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
        layers: list[_Layer] = []
        for at, step in enumerate(steps):
            layers.extend(_Layer(span, at, step.verb != "remove") for span in self.target(step))
            if self.ranges + len(layers) > MAX_RANGES:
                self.refuse(step, f"the sets have more than {MAX_RANGES} ranges together")
        self.ranges += len(layers)
        return SpanSet(span for family in WIDTH for span in _paint(family, layers))

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


@dataclass(frozen=True, slots=True)
class _Layer:
    """A range put on, or cut out of, everything before it."""

    span: Span
    at: int
    is_added: bool


def _paint(family: Family, layers: list[_Layer]) -> Iterator[Span]:
    """What is left of the layers of one family, in pieces. The last layer over an address decides, so one
    walk over all edges does it; one layer after the other would take minutes for thousands of them."""
    own = sorted((one for one in layers if one.span.family == family), key=lambda one: one.span.low)
    edges = sorted({edge for one in own for edge in (one.span.low, one.span.high + 1)})
    over: list[tuple[int, int, bool]] = []  # a heap: the last layer first, with its end
    started = 0
    for low, following in pairwise(edges):
        while started < len(own) and own[started].span.low == low:
            heappush(over, (-own[started].at, own[started].span.high, own[started].is_added))
            started += 1
        while over and over[0][1] < low:
            heappop(over)
        if over and over[0][2]:
            yield make_span(family, low, following - 1)


def _step(text: Text) -> _Step:
    first, _, rest = text.value.strip().partition(" ")
    if first in ("add", "remove"):
        return _Step(first, rest.strip(), text)
    return _Step("", text.value.strip(), text)


def _why_not(target: str) -> str:
    if "@" in target or target == "*" or target.startswith(("group:", "tag:", "autogroup:", "svc:")):
        return "sets hold addresses, not users, groups, tags or devices"
    return "invalid address"
