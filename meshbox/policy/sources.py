"""The source side of a rule: which devices it covers, and how it is written in a filter.

The hosted service writes a plain set of strings: the addresses of every device meant by identity, every
literal as it stands in the policy, for `*` the tailnet's ranges and the approved routes; no two are joined.
Past LISTED_SINGLY strings we join neighbouring addresses into `a-b`, which means the same: a rule for
7,000 devices would otherwise be 230 KB in the filter of every device that receives it.
"""

from __future__ import annotations

from functools import cached_property

from meshbox.policy.document import Selectors
from meshbox.policy.index import Index
from meshbox.policy.postures import Expression, meets
from meshbox.policy.resolve import Resolver
from meshbox.policy.sight import View, bit, ids
from meshbox.policy.spans import Family, Span, span_of_address, span_of_prefix

Posture = tuple[Expression, ...]

LISTED_SINGLY = 64


class Source:
    """`nodes` are devices by identity, `spans` literals. Immutable but for what it remembers."""

    def __init__(
        self,
        index: Index,
        nodes: View,
        spans: tuple[Span, ...],
        wildcard: tuple[Span, ...] | None,
        is_all: bool,
    ) -> None:
        self.index = index
        self.nodes = nodes
        self.spans = spans
        self.wildcard = wildcard
        self.is_all = is_all

    @cached_property
    def key(self) -> tuple[View, frozenset[str], bool]:
        """Equal for sources that are written alike."""
        return self.nodes, self.literal_texts, self.is_all

    @cached_property
    def literal_texts(self) -> frozenset[str]:
        return frozenset(span.text for span in self.literals)

    @cached_property
    def covered(self) -> View:
        """The devices with an address in this source."""
        if self.is_all:
            return self.index.everyone
        found = self.nodes
        for span in self.literals:
            found |= self.index.devices_in(span)
        return found

    @cached_property
    def reach(self) -> View:
        """The devices that may be a sender: by an address, or for the networks behind them."""
        if self.is_all:
            return self.index.everyone
        found = self.index.closure(self.covered)
        for span in self.literals:
            found |= self.index.routers_overlapping(span)
        return found

    @cached_property
    def literals(self) -> tuple[Span, ...]:
        if self.wildcard is None:
            return self.spans
        return (*self.wildcard, *map(span_of_prefix, self.index.subnet_routes()), *self.spans)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """SrcIPs."""
        if self.is_all:
            return ("*",)
        return tuple(sorted({*addresses_of(self.index, self.nodes), *(span.text for span in self.literals)}))

    def after(self, index: Index, device_id: int, is_meant: bool) -> Source:
        """The same source once one device, which routes nothing, came, went or changed; `is_meant` says
        whether it is there now and meant by identity."""
        device = index.devices.get(device_id)
        is_covered = is_meant or bool(
            device is not None
            and (
                self.is_all
                or (self.literals and any(self._has(int(one), one.version) for one in device.addresses))
            )
        )
        own = bit(device_id)
        if not is_covered and not (self.nodes | self.covered) & own:
            # It never was in here and is not now: nothing that is known of the others changed.
            return self
        new: Source = object.__new__(Source)
        new.__dict__.update(self.__dict__, index=index)
        if (self.nodes & own) or is_meant:
            # The device may be another than it was, with other addresses.
            new.__dict__.pop("texts", None)
            new.__dict__.pop("key", None)
        new.nodes = self.nodes & ~own | (own if is_meant else 0)
        new.__dict__["covered"] = self.covered & ~own | (own if is_covered else 0)
        new.__dict__["reach"] = self.reach & ~own | (own if is_covered else 0)
        return new

    def _has(self, address: int, family: Family) -> bool:
        return any(span.contains(family, address) for span in self.literals)

    def overlaps(self, span: Span, inside: View) -> bool:
        """Is any address of the span a source? `inside` are the devices that have one in it."""
        return bool(self.is_all or self.nodes & inside or any(own.overlaps(span) for own in self.literals))

    def contains(self, family: Family, address: int) -> bool:
        if self.is_all:
            return True
        if any(span.contains(family, address) for span in self.literals):
            return True
        return bool(self.nodes & self.index.devices_in(Span(family, address, address, "")))


def addresses_of(index: Index, nodes: View) -> list[str]:
    """The addresses of devices as strings; many of them joined into ranges."""
    addresses = [span for one in ids(nodes) for span in index.spans_of(one)]
    if len(addresses) <= LISTED_SINGLY:
        return [span.text for span in addresses]
    addresses.sort(key=lambda span: (span.family, span.low))
    texts = []
    first = last = addresses[0]
    for span in addresses[1:]:
        if span.family != last.family or span.low > last.high + 1:
            texts.append(_join(first, last))
            first = span
        last = span
    return [*texts, _join(first, last)]


def _join(first: Span, last: Span) -> str:
    """A run of addresses, from the texts of its ends: writing thousands anew takes milliseconds."""
    return first.text if first is last else f"{first.text}-{last.text}"


def make_source(resolver: Resolver, selectors: Selectors, postures: tuple[Posture, ...]) -> Source:
    """`postures`: the sender must meet one of them; none: nothing is asked."""
    nodes = 0
    spans: list[Span] = []
    wildcard: tuple[Span, ...] | None = None
    is_all = False
    for selector in selectors:
        literal = resolver.spans(selector)
        if selector.kind == "any":
            wildcard = literal
        elif selector.kind == "danger-all":
            is_all = True
        elif literal:
            spans += literal
        else:
            nodes |= resolver.nodes(selector)
    index = resolver.index
    if not postures:
        return Source(index, nodes, tuple(spans), wildcard, is_all)
    return _narrow(resolver, Source(index, nodes, tuple(spans), wildcard, is_all), postures)


def _narrow(resolver: Resolver, source: Source, postures: tuple[Posture, ...]) -> Source:
    """Only devices that meet a posture; what is behind routers has none and is not asked."""
    index = source.index
    fit = 0
    for one in ids(source.covered):
        attributes = dict(index.devices[one].attributes)
        if any(meets(posture, attributes) for posture in postures):
            fit |= bit(one)
    outside = []
    inside: list[Span] = []
    literals = source.literals
    if source.is_all:
        literals = (*resolver.wildcard, *map(span_of_prefix, index.subnet_routes()))
    for span in literals:
        if not any(span.overlaps(own) for own in resolver.wildcard):
            outside.append(span)
            continue
        for one in ids(fit & index.devices_in(span)):
            inside += [
                span_of_address(address)
                for address in index.devices[one].addresses
                if span.contains(address.version, int(address))
            ]
    return Source(index, source.nodes & fit, (*inside, *outside), None, False)
