"""Address ranges as integers: single ranges as a policy writes them, and sets of them.

Integers, because a policy of 300 rules over 10,000 nodes asks millions of times whether an address
lies in a range; with ipaddress objects that alone takes seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import Literal

Family = Literal[4, 6]
Prefix = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

WIDTH: dict[Family, int] = {4: 32, 6: 128}


@dataclass(frozen=True, slots=True)
class Span:
    """The addresses `low` to `high` of one family, and how they are written on the wire."""

    family: Family
    low: int
    high: int
    text: str

    def contains(self, family: Family, address: int) -> bool:
        return family == self.family and self.low <= address <= self.high

    def overlaps(self, other: Span) -> bool:
        return self.family == other.family and self.low <= other.high and other.low <= self.high

    def covers(self, other: Span) -> bool:
        return self.family == other.family and self.low <= other.low and other.high <= self.high

    def prefixes(self) -> Iterator[Prefix]:
        """The fewest prefixes that make up the span."""
        first, last = (
            ip_address(write_address(self.family, self.low)),
            ip_address(write_address(self.family, self.high)),
        )
        return summarize_address_range(first, last)

    @property
    def is_single(self) -> bool:
        return self.low == self.high


def span_of_address(address: Address) -> Span:
    return Span(address.version, int(address), int(address), str(address))


def span_of_prefix(prefix: Prefix) -> Span:
    """A prefix of one address is written as that address."""
    low = int(prefix.network_address)
    text = str(prefix) if prefix.num_addresses > 1 else str(prefix.network_address)
    return Span(prefix.version, low, low + prefix.num_addresses - 1, text)


def parse_span(text: str) -> Span | None:
    """An address, a prefix (host bits are cut off) or None; zones and IPv4 in IPv6 dress are no addresses
    of a tailnet."""
    try:
        if "/" not in text:
            address = ip_address(text)
            return None if getattr(address, "scope_id", None) else span_of_address(address)
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if "%" in text or not text.rpartition("/")[2].isdecimal():
        return None  # a netmask in the place of the length
    return span_of_prefix(network)


def parse_range(text: str) -> Span | None:
    """`a-b`, both of one family and in order."""
    first, _, last = text.partition("-")
    low, high = parse_span(first.strip()), parse_span(last.strip())
    if low is None or high is None or not (low.is_single and high.is_single):
        return None
    if low.family != high.family or low.low > high.low:
        return None
    return make_span(low.family, low.low, high.low)


def make_span(family: Family, low: int, high: int) -> Span:
    """The range in its shortest spelling: an address, a prefix when it is exactly one, else `a-b`."""
    size = high - low + 1
    if size == 1:
        return Span(family, low, high, write_address(family, low))
    if size & (size - 1) == 0 and low % size == 0:
        length = WIDTH[family] - size.bit_length() + 1
        return Span(family, low, high, f"{write_address(family, low)}/{length}")
    return range_span(family, low, high)


def range_span(family: Family, low: int, high: int) -> Span:
    """The range as `a-b` even where a prefix would say it."""
    return Span(family, low, high, f"{write_address(family, low)}-{write_address(family, high)}")


def write_address(family: Family, value: int) -> str:
    return str(IPv4Address(value)) if family == 4 else str(IPv6Address(value))


class SpanSet:
    """A set of addresses of both families: disjoint sorted ranges. Immutable."""

    __slots__ = ("_highs", "_lows")

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._lows: dict[Family, list[int]] = {4: [], 6: []}
        self._highs: dict[Family, list[int]] = {4: [], 6: []}
        for span in sorted(spans, key=lambda one: (one.family, one.low)):
            lows, highs = self._lows[span.family], self._highs[span.family]
            if highs and span.low <= highs[-1] + 1:
                highs[-1] = max(highs[-1], span.high)
            else:
                lows.append(span.low)
                highs.append(span.high)

    def __bool__(self) -> bool:
        return bool(self._lows[4] or self._lows[6])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpanSet) and (self._lows, self._highs) == (other._lows, other._highs)

    def __hash__(self) -> int:
        return hash((tuple(self._lows[4]), tuple(self._lows[6])))

    def __iter__(self) -> Iterator[Span]:
        for family in self._lows:
            for low, high in zip(self._lows[family], self._highs[family], strict=True):
                yield make_span(family, low, high)

    def contains(self, family: Family, address: int) -> bool:
        index = bisect_right(self._lows[family], address) - 1
        return index >= 0 and address <= self._highs[family][index]

    def overlaps(self, span: Span) -> bool:
        index = bisect_right(self._lows[span.family], span.high) - 1
        return index >= 0 and span.low <= self._highs[span.family][index]

    def covers(self, span: Span) -> bool:
        index = bisect_right(self._lows[span.family], span.low) - 1
        return index >= 0 and span.high <= self._highs[span.family][index]

    def union(self, other: Iterable[Span]) -> SpanSet:
        return SpanSet([*self, *other])

    def minus(self, others: Iterable[Span]) -> SpanSet:
        rest = list(self)
        for cut in others:
            rest = [piece for span in rest for piece in _cut(span, cut)]
        return SpanSet(rest)


def _cut(span: Span, away: Span) -> list[Span]:
    if not span.overlaps(away):
        return [span]
    pieces = []
    if span.low < away.low:
        pieces.append(make_span(span.family, span.low, away.low - 1))
    if away.high < span.high:
        pieces.append(make_span(span.family, away.high + 1, span.high))
    return pieces
