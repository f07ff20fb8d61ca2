"""Typed fields of a DERP map document, whichever way it is spelt, with errors that say where.

Names are looked up in lower case: `HostName` of Go's JSON and `hostname` of a YAML file are one field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address, ip_address

from meshbox.errors import Invalid

HOST_LIMIT = 253

_HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?", re.IGNORECASE)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Fields:
    """One object of the document. A field that is absent or null is zero; each getter raises Invalid."""

    __slots__ = ("_asked", "_is_strict", "_values", "_where")

    def __init__(self, where: str, values: object, is_strict: bool = False) -> None:
        self._where = where
        self._is_strict = is_strict
        self._asked: set[str] = set()
        if not isinstance(values, Mapping):
            raise self.invalid("is not a table of fields")
        self._values = {str(name).lower(): value for name, value in values.items()}

    def invalid(self, problem: str) -> Invalid:
        return Invalid(f"{self._where}: {problem}")

    def called(self, what: str) -> Fields:
        """The same fields, under a better name for errors."""
        self._where = f"{self._where.rpartition(', ')[0]}, {what}"
        return self

    def names(self) -> list[str]:
        return list(self._values)

    def skip(self, name: str) -> None:
        """A field that is known and not used."""
        self._asked.add(name)

    def done(self) -> None:
        """In a file written by hand, a field nobody asked for is a spelling mistake."""
        unknown = [name for name in self._values if name not in self._asked]
        if self._is_strict and unknown:
            close = get_close_matches(unknown[0], self._asked, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise self.invalid(f"unknown key {unknown[0]!r}{hint}")

    def child(self, name: str, called: str = "") -> Fields | None:
        """An object inside; errors name it as `called`, or not at all."""
        value = self._get(name)
        if value is None:
            return None
        return Fields(f"{self._where}, {called}" if called else self._where, value, self._is_strict)

    def children(self, name: str, called: str) -> list[Fields]:
        values = self._get(name)
        if not isinstance(values, list | None):
            raise self.invalid(f"{name} is not a list")
        return [
            Fields(f"{self._where}, {called} {number}", value, self._is_strict)
            for number, value in enumerate(values or (), 1)
        ]

    def text(self, name: str, limit: int) -> str:
        value = self._get(name)
        if value is None:
            return ""
        if type(value) is int:
            return str(value)  # `name: 900` in YAML; Go takes it for a text as well.
        if not isinstance(value, str):
            raise self.invalid(f"{name} is not a text; put it in quotes")
        if len(value) > limit or not value.isprintable():
            raise self.invalid(f"{name} is not one line of at most {limit} characters")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        value = self._get(name)
        if value is None:
            return 0
        if type(value) is not int or not low <= value <= high:
            raise self.invalid(f"{name} is {value!r}, not a number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float) -> float:
        value = self._get(name)
        if value is None:
            return 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.invalid(f"{name} is {value!r}, not a number from {low:g} to {high:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool | None):
            raise self.invalid(f"{name} is {value!r}, neither true nor false")
        return bool(value)

    def host(self, name: str) -> str:
        """A host name or an address; it must be there."""
        value = self.text(name, HOST_LIMIT)
        if not value:
            raise self.invalid(f"has no {name}")
        if not _is_host(value):
            raise self.invalid(f"{name} {value!r} is neither a host name nor an address")
        return value

    def address(self, name: str, version: int) -> str:
        """A literal address, "none", or ""."""
        value = self.text(name, 64)
        if value in ("", "none"):
            return value
        try:
            # A zone ("fe80::1%eth0") means something on one host only.
            return str(IPv4Address(value) if version == 4 else IPv6Address(value.replace("%", "zone")))
        except ValueError:
            raise self.invalid(f"{name} is {value!r}, neither an IPv{version} address nor none") from None

    def pin_or_host(self, name: str, pin: str) -> str:
        """A host name, or `pin` and the hex digits of a SHA-256, which clients want in lower case."""
        value = self.text(name, HOST_LIMIT)
        if value.startswith(pin):
            value = value.lower()
            if not _SHA256.fullmatch(value.removeprefix(pin)):
                raise self.invalid(f"{name}: after {pin} come 64 hex digits")
        elif value and not _is_host(value):
            raise self.invalid(f"{name} {value!r} is neither a host name nor {pin} and a fingerprint")
        return value

    def _get(self, name: str) -> object:
        self._asked.add(name)
        return self._values.get(name)


def _is_host(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return bool(_HOST_NAME.fullmatch(value))
    return "%" not in value
