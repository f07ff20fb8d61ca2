"""MagicDNS labels: from whatever a device calls itself to a name that is safe and its own.

As the hosted service does it: "Joe's Mac mini" is joes-mac-mini, "db1.example.com" is db1, the second
of a name is name-1. What cannot be written in [a-z0-9-] is transliterated if it is Latin and left
out if it is not: a label in another script would need punycode, with which one name can look like
another. For the same reason no label has two dashes in a row, so none can begin with `xn--`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from meshbox.errors import Conflict

LABEL_LIMIT = 63

FALLBACK = "node"
"""The label of a device that gives no usable name: nothing, only signs, or "localhost", which is what
half of all phones say and what no peer must resolve to another host."""

HOSTNAME_READ = 256
"""Characters of a host name that are looked at; a longer one is an attack or an accident."""

SUFFIX_LIMIT = 1_000_000

_APOSTROPHES = re.compile("['\u2018\u2019\u02bc\u00b4`]")
_FOREIGN = re.compile(r"[^a-z0-9]+")
_HOST_AND_DOMAIN = re.compile(r"([a-z0-9_-]+)\.[a-z0-9._-]+", re.ASCII | re.IGNORECASE)
_NUMBERS_AND_DOTS = re.compile(r"[0-9.]+")

# Latin letters that Unicode does not take apart.
_LATIN = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i", "ħ": "h", "ŧ": "t"}
)


def sanitise(hostname: str) -> str:
    """A DNS label of 1 to 63 characters from [a-z0-9-] for a device that calls itself `hostname`.

    A label that is sound already comes back as it is.
    """
    hostname = hostname[:HOSTNAME_READ].strip()
    qualified = _HOST_AND_DOMAIN.fullmatch(hostname)
    # "10.0.0.7" has no domain to leave out, and "Mac OS 14.5" is no host name.
    if qualified and not _NUMBERS_AND_DOTS.fullmatch(hostname):
        hostname = qualified[1]
    label = _FOREIGN.sub("-", _APOSTROPHES.sub("", _latin(hostname)))
    label = label.strip("-")[:LABEL_LIMIT].rstrip("-")
    return FALLBACK if label in ("", "localhost") else label


def unique(label: str, taken: Callable[[str], bool]) -> str:
    """The label, or the label with -1, -2, ... : one that is not taken. Raises Conflict at a million.

    When a thousand phones share a name, trying every number would make enrolling them quadratic. So
    the numbers tried double until one is free, and the gap to the last taken one is halved: about
    twenty questions at worst. With no gaps in the series that is the lowest free number.
    """
    if not taken(label):
        return label
    occupied, free = 0, 1
    while taken(_numbered(label, free)):
        occupied, free = free, free * 2
        if free > SUFFIX_LIMIT:
            raise Conflict(f"there are too many nodes named {label!r}")
    while free - occupied > 1:
        middle = (occupied + free) // 2
        if taken(_numbered(label, middle)):
            occupied = middle
        else:
            free = middle
    return _numbered(label, free)


def _numbered(label: str, number: int) -> str:
    suffix = f"-{number}"
    return label[: LABEL_LIMIT - len(suffix)].rstrip("-") + suffix


def _latin(hostname: str) -> str:
    """Lower case, and accents taken off."""
    if hostname.isascii():
        return hostname.lower()
    decomposed = unicodedata.normalize("NFKD", hostname.casefold().translate(_LATIN))
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).lower()
