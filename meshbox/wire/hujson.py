"""HuJSON, the form of policy files: JSON with `//` and `/* */` comments and trailing commas.

Everything else is JSON to the letter, and a key written twice is refused: half of somebody's rules would
vanish without a word. Every refusal is an `Unreadable` with line and column, and the place of every
value can be asked afterwards, because a policy is refused for what it means far more often than for how
it is written.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NoReturn

from meshbox.errors import Invalid

MAX_TEXT = 1 << 20
"""Characters. The largest policies known have some 200 KB; parsing holds up the server."""
MAX_DEPTH = 32
"""Lists and objects inside each other. A policy needs eight; the parser calls itself for each."""
MAX_VALUES = 200_000
"""A policy for ten thousand nodes has some 20,000; a megabyte of `[],[],[]` would have 350,000, each
costing the server microseconds to read and much more to look at."""

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Path = tuple[str | int, ...]
"""Keys and list positions (from 0) that lead to a value."""

Place = int | tuple[int, dict[str, tuple[int, "Place"]] | list["Place"]]
"""Where a value begins; for a container also where each key and each value inside begins."""

_BLANK = r"(?:[ \t\r\n]++|//[^\n]*+|/\*(?s:.*?)\*/)*+"
_PLAIN = r'[^"\\\x00-\x1f\ud800-\udfff]++'
_ESCAPE = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'

_skip = re.compile(_BLANK).match
_value = re.compile(
    rf"{_BLANK}(?:"
    r'(")|([\[{])|((?:-?[1-9][0-9]*+|-?0)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)|(true|false|null)\b|([\]}])'
    r")"
).match
_string = re.compile(rf'"(?:{_PLAIN}|{_ESCAPE})*+"').match
_string_so_far = re.compile(rf'"(?:{_PLAIN}|{_ESCAPE})*+').match
_delimiter = re.compile(rf"{_BLANK}([,:\]}}])").match
_lone_surrogate = re.compile("[\ud800-\udfff]").search

_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}
_HINTS = {"'": "; strings stand in double quotes", "#": "; comments begin with //"}
_LOWEST, _HIGHEST = -(1 << 63), (1 << 64) - 1


class Unreadable(Invalid):
    """A text that cannot be read. `line` and `column` count from 1, columns in characters; `reason` is
    the sentence without them."""

    def __init__(self, line: int, column: int, reason: str) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.line = line
        self.column = column
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text: its value, and where each part of it stands, as offsets."""

    value: Value
    text: str
    place: Place
    _lines: list[int] = field(default_factory=list, init=False, repr=False, compare=False)
    """Where each line begins; found at the first question, since reading a policy asks thousands of times."""

    def position_of(self, path: Path) -> tuple[int, int]:
        """Line and column, from 1, of the value at `path`, or of the last part of the way that exists."""
        place = self.place
        for step in path:
            following = _inside(place, step)
            if following is None:
                break
            place = following[1]
        return self._position(place if isinstance(place, int) else place[0])

    def position_of_key(self, path: Path) -> tuple[int, int]:
        """Line and column of the key that the last step of `path` names; a list has no keys, so there it
        is the value's."""
        place = self.place
        offset = place if isinstance(place, int) else place[0]
        for step in path:
            following = _inside(place, step)
            if following is None:
                break
            offset, place = following
        return self._position(offset)

    def _position(self, offset: int) -> tuple[int, int]:
        if not self._lines:
            self._lines.append(0)
            self._lines.extend(match.end() for match in re.finditer("\n", self.text))
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1


def parse(text: str) -> Document:
    """The one value in `text`. Integers are of 64 bits at most. Raises Unreadable, and nothing else."""
    if len(text) > MAX_TEXT:
        raise Unreadable(*position_at(text, MAX_TEXT), f"the text is longer than {MAX_TEXT} characters")
    reader = _Reader(text)
    value, place = reader.value(0)
    reader.end()
    return Document(value, text, place)


def position_at(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of the character at `offset`."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _inside(place: Place, step: str | int) -> tuple[int, Place] | None:
    """Where the key `step` and its value begin; of a list, the value twice."""
    if isinstance(place, int):
        return None
    inside = place[1]
    if isinstance(inside, dict):
        return inside.get(step) if isinstance(step, str) else None
    if not isinstance(step, int) or not 0 <= step < len(inside):
        return None
    item = inside[step]
    return item if isinstance(item, int) else item[0], item


class _Reader:
    """Reads one text from its start to its end. `depth` is how many containers surround a value."""

    __slots__ = ("at", "count", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.count = 0
        # Editors on Windows put a byte order mark first.
        self.at = 1 if text.startswith("\ufeff") else 0

    def value(self, depth: int) -> tuple[Value, Place]:
        found = _value(self.text, self.at)
        if found is None or found.lastindex == 5:
            self.refuse_next("a value")
        return self.found_value(found, depth)

    def found_value(self, found: re.Match[str], depth: int) -> tuple[Value, Place]:
        kind = found.lastindex or 0
        start = found.start(kind)
        self.count += 1
        if self.count > MAX_VALUES:
            self.refuse(start, f"more than {MAX_VALUES} values")
        if kind == 1:
            return self.string(start), start
        self.at = found.end()
        if kind == 3:
            return self.number(start, found[3]), start
        if kind == 4:
            return _WORDS[found[4]], start
        if depth >= MAX_DEPTH:
            self.refuse(start, f"lists and objects are nested deeper than {MAX_DEPTH}")
        return self.list(start, depth + 1) if found[2] == "[" else self.object(start, depth + 1)

    def list(self, start: int, depth: int) -> tuple[Value, Place]:
        values: list[Value] = []
        places: list[Place] = []
        while True:
            found = _value(self.text, self.at)
            if found is None or found[5] == "}":
                self.refuse_next('a value or "]"')
            if found[5]:
                self.at = found.end()
                break
            value, place = self.found_value(found, depth)
            values.append(value)
            places.append(place)
            if self.delimiter(",]", '"," or "]"') == "]":
                break
        return values, (start, places)

    def object(self, start: int, depth: int) -> tuple[Value, Place]:
        values: dict[str, Value] = {}
        places: dict[str, tuple[int, Place]] = {}
        while True:
            found = _value(self.text, self.at)
            if found is None or (found.lastindex != 1 and found[5] != "}"):
                self.refuse_next('a key in double quotes or "}"')
            if found[5]:
                self.at = found.end()
                break
            key_at = found.start(1)
            key = self.string(key_at)
            if key in places:
                line, _ = position_at(self.text, places[key][0])
                self.refuse(key_at, f"the key {json.dumps(key)} is already given in line {line}; keep one")
            found = _delimiter(self.text, self.at)
            if found is None or found[1] != ":":
                self.refuse_next(f'":" after the key {json.dumps(key)}')
            self.at = found.end()
            values[key], place = self.value(depth)
            places[key] = key_at, place
            if self.delimiter(",}", '"," or "}"') == "}":
                break
        return values, (start, places)

    def string(self, start: int) -> str:
        found = _string(self.text, start)
        if found is None:
            self.refuse_string(start)
        self.at = found.end()
        raw = found[0]
        if "\\" not in raw:
            return raw[1:-1]
        decoded: str = json.loads(raw)
        if _lone_surrogate(decoded):
            self.refuse(start, "half of a surrogate pair, which is no character")
        return decoded

    def number(self, start: int, raw: str) -> int | float:
        if raw.lstrip("-").isdigit():
            # Checked by length first: Python itself refuses to read thousands of digits.
            if len(raw) > 21 or not _LOWEST <= int(raw) <= _HIGHEST:
                self.refuse(start, "a whole number of more than 64 bits")
            return int(raw)
        value = float(raw)
        if not math.isfinite(value):
            self.refuse(start, "a number too large for a 64-bit float")
        return value

    def delimiter(self, allowed: str, expected: str) -> str:
        found = _delimiter(self.text, self.at)
        if found is None or found[1] not in allowed:
            self.refuse_next(expected)
        self.at = found.end()
        return found[1]

    def end(self) -> None:
        self.at = self.after_blank()
        if self.at != len(self.text):
            self.refuse_next("the end of the text")

    def after_blank(self) -> int:
        found = _skip(self.text, self.at)
        assert found is not None  # it matches the empty text
        return found.end()

    def refuse_next(self, expected: str) -> NoReturn:
        at = self.after_blank()
        if self.text.startswith("/*", at):
            self.refuse(at, 'this comment has no end: expected "*/"')
        if at == len(self.text):
            self.refuse(at, f"expected {expected}, found the end of the text")
        self.refuse(at, f"expected {expected}, found {self.shown(at)}{_HINTS.get(self.text[at], '')}")

    def refuse_string(self, start: int) -> NoReturn:
        found = _string_so_far(self.text, start)
        at = found.end() if found else start
        if at == len(self.text):
            self.refuse(start, "this string has no end: expected a double quote")
        if self.text[at] == "\\":
            self.refuse(at, f"a backslash before {self.shown(at + 1)} is no escape that JSON knows")
        if self.text[at] in "\r\n":
            self.refuse(at, "a string ends in the line where it begins: expected a double quote")
        self.refuse(at, f"a string may not contain {self.shown(at)}; write it as an escape")

    def shown(self, at: int) -> str:
        """The character, or the whole word, at `at`, fit for a message."""
        word = re.compile(r"[A-Za-z0-9_.+-]{1,40}|(?s:.)").match(self.text, at)
        return json.dumps(word[0]) if word else "the end of the text"

    def refuse(self, at: int, reason: str) -> NoReturn:
        raise Unreadable(*position_at(self.text, at), reason)
