"""The policy file given as YAML, as older guides show it: the same values as its HuJSON, or a refusal.

YAML is read as JSON with fewer signs. Only `true`, `false`, `null` (or nothing) and JSON numbers mean
something else than their letters: to YAML 1.1 `no` is false, `22:30` is 1350 and a date is a date, and a
policy means none of that. Anchors, aliases, tags and several documents are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from meshbox.policy.problem import PolicyError, Spot
from meshbox.wire.hujson import MAX_DEPTH, MAX_VALUES, Document, Place, Unreadable, Value, position_at
from meshbox.wire.hujson import parse as parse_hujson

MAX_YAML = 256 << 10
"""Characters. Without its C library YAML is read at 100 KB per second; larger policies are to be HuJSON."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None, "~": None, "": None}
_BEFORE_BRACE = re.compile(r"\ufeff?(?:[ \t\r\n]++|//[^\n]*+|/\*(?s:.*?)\*/)*+(?:\{|\Z|/)")


def read(text: str) -> Document:
    """HuJSON if the text begins as HuJSON does, with a brace, and YAML otherwise. Raises PolicyError."""
    try:
        return parse_hujson(text) if _BEFORE_BRACE.match(text) else parse(text)
    except Unreadable as error:
        raise PolicyError(error.reason, Spot(error.line, error.column)) from None


def parse(text: str) -> Document:
    """The one YAML document in `text`. Raises Unreadable, and nothing else."""
    if len(text) > MAX_YAML:
        raise Unreadable(*position_at(text, MAX_YAML), f"YAML of more than {MAX_YAML} characters; use HuJSON")
    text = text.removeprefix("\ufeff")
    events = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        value, place = _Reader(text, events).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse_syntax(text, min(mark.index, len(text)) if mark else 0, error.problem or "not YAML")
    except (yaml.YAMLError, UnicodeError) as error:
        raise Unreadable(1, 1, " ".join(str(error).split())) from None
    return Document(value, text, place)


def _refuse_syntax(text: str, at: int, problem: str) -> NoReturn:
    star = "*" in text[max(at - 1, 0) : at + 1]
    hint = '; in YAML a text that begins with "*" stands in quotes' if star else ""
    raise Unreadable(*position_at(text, at), f"{problem}{hint}") from None


def _start(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


class _Reader:
    """Makes one value of the events of a YAML text. They come lazily: the libraries take quadratic time
    over a megabyte of brackets, and here the depth ends it at once."""

    def __init__(self, text: str, events: Iterator[yaml.Event]) -> None:
        self.text = text
        self.events = events
        self.count = 0

    def document(self) -> tuple[Value, Place]:
        next(self.events)  # the start of the stream
        if isinstance(next(self.events), StreamEndEvent):
            raise Unreadable(1, 1, "there is no value in this text")
        read = self.value(next(self.events), 0)
        next(self.events)  # the end of the document
        following = next(self.events)
        if not isinstance(following, StreamEndEvent):
            self.refuse(following, "a second document begins here; a policy is one")
        return read

    def value(self, event: yaml.Event, depth: int) -> tuple[Value, Place]:
        self.count += 1
        if self.count > MAX_VALUES:
            self.refuse(event, f"more than {MAX_VALUES} values")
        if isinstance(event, ScalarEvent):
            return self.scalar(event), _start(event)
        self.check_plain(event)
        if depth >= MAX_DEPTH:
            self.refuse(event, f"lists and objects are nested deeper than {MAX_DEPTH}")
        read = self.list if isinstance(event, SequenceStartEvent) else self.object
        return read(event, depth + 1)

    def list(self, start: yaml.Event, depth: int) -> tuple[Value, Place]:
        values: list[Value] = []
        places: list[Place] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            value, place = self.value(event, depth)
            values.append(value)
            places.append(place)
        return values, (_start(start), places)

    def object(self, start: yaml.Event, depth: int) -> tuple[Value, Place]:
        values: dict[str, Value] = {}
        places: dict[str, tuple[int, Place]] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                self.refuse(event, "a key is a text")
            self.check_plain(event)
            key = event.value
            if key in places:
                line, _ = position_at(self.text, places[key][0])
                self.refuse(event, f"the key {json.dumps(key)} is already given in line {line}; keep one")
            values[key], place = self.value(next(self.events), depth)
            places[key] = _start(event), place
        return values, (_start(start), places)

    def scalar(self, event: ScalarEvent) -> Value:
        self.check_plain(event)
        text: str = event.value
        if event.style not in (None, "") or not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if not _NUMBER.fullmatch(text):
            return text
        if not text.lstrip("-").isdigit():
            return float(text)
        # What has more than 64 bits is no number to JSON either.
        return int(text) if -(1 << 63) <= int(text) < 1 << 64 else text

    def check_plain(self, event: yaml.Event) -> None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            self.refuse(event, "a policy has no YAML anchors and aliases; write the value out")
        if getattr(event, "tag", None):
            self.refuse(event, "a policy has no YAML tags")

    def refuse(self, event: yaml.Event, reason: str) -> NoReturn:
        raise Unreadable(*position_at(self.text, _start(event)), reason)
