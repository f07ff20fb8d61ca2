"""The ranges that the hosted service gives a meaning of their own, spelled as it spells them."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from meshbox.policy.spans import Span, SpanSet, range_span, span_of_prefix

CGNAT = span_of_prefix(IPv4Network("100.64.0.0/10"))
ULA = span_of_prefix(IPv6Network("fd7a:115c:a1e0::/48"))
CHROME_OS = span_of_prefix(IPv4Network("100.115.92.0/23"))
"""Virtual machines of ChromeOS live here, so it is nobody's tailnet address."""
SERVICE = span_of_prefix(IPv4Network("100.100.100.0/24"))
"""Holds 100.100.100.100, the client's own resolver."""

WILDCARD: tuple[Span, ...] = (
    range_span(4, CGNAT.low, CHROME_OS.low - 1),
    range_span(4, CHROME_OS.high + 1, CGNAT.high),
    ULA,
)
"""`*` as a source: every tailnet address. The approved subnet routes come with it."""

EVERYTHING: tuple[Span, ...] = (
    span_of_prefix(IPv4Network("0.0.0.0/0")),
    span_of_prefix(IPv6Network("::/0")),
)
DEFAULT_ROUTES = ("0.0.0.0/0", "::/0")

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10")
INTERNET_SET = SpanSet(
    [
        *SpanSet(EVERYTHING[:1]).minus([span_of_prefix(IPv4Network(text)) for text in _PRIVATE]),
        span_of_prefix(IPv6Network("2000::/3")),
    ]
)
INTERNET: tuple[Span, ...] = tuple(range_span(one.family, one.low, one.high) for one in INTERNET_SET)
"""`autogroup:internet`; written as ranges even where a prefix would do, as captured."""
