"""A place in the parsed text: reads values of the kind a section wants, or refuses with the place.

Keys are matched without regard to case, as the hosted service does (its own exports write both
`tagOwners` and `TagOwners`); null is the same as absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from meshbox.policy.document import Json, Text
from meshbox.policy.problem import PolicyError, Spot
from meshbox.wire.hujson import Document as Source
from meshbox.wire.hujson import Path, Value

_KINDS: dict[type, str] = {
    dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number",
}  # fmt: skip


class Cursor:
    __slots__ = ("path", "source", "value")

    def __init__(self, source: Source, path: Path = (), value: Value = None) -> None:
        self.source = source
        self.path = path
        self.value = value

    @property
    def spot(self) -> Spot:
        return Spot(*self.source.position_of(self.path))

    @property
    def name(self) -> str:
        """The place as a reader would write it: `acls[2].src`."""
        text = ""
        for step in self.path:
            text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
        return text or "policy"

    def refuse(self, message: str) -> NoReturn:
        raise PolicyError(message, self.spot)

    def fields(self, names: Iterable[str]) -> dict[str, Cursor]:
        """The members of an object that may only have these keys, under these names."""
        known = {name.lower(): name for name in names}
        found: dict[str, Cursor] = {}
        for key, member in self.members():
            name = known.get(key.lower())
            if name is None:
                raise PolicyError(f'json: unknown field "{key}"', member.key_spot)
            if name in found:
                raise PolicyError(f'"{key}" is given twice, in different spellings', member.key_spot)
            if member.value is not None:
                found[name] = member
        return found

    @property
    def key_spot(self) -> Spot:
        return Spot(*self.source.position_of_key(self.path))

    def members(self) -> list[tuple[str, Cursor]]:
        if not isinstance(self.value, dict):
            self.refuse_kind("an object")
        return [(key, Cursor(self.source, (*self.path, key), value)) for key, value in self.value.items()]

    def items(self) -> list[Cursor]:
        if not isinstance(self.value, list):
            self.refuse_kind("a list")
        return [Cursor(self.source, (*self.path, at), value) for at, value in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.refuse_kind("a string")
        return self.value

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def placed_texts(self) -> tuple[Text, ...]:
        return tuple(Text(item.text(), item.spot) for item in self.items())

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            self.refuse_kind("a boolean")
        return self.value

    def json(self) -> Json:
        return self.value

    def refuse_kind(self, wanted: str) -> NoReturn:
        kind = _KINDS.get(type(self.value), "null")
        self.refuse(f"{self.name} must be {wanted}, not {kind}")
