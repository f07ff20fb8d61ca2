"""The door itself: what is loud enough, where it goes, and what libraries say."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from meshbox.log.journal import Sink, journal_sink, reaches_journal, text_sink
from meshbox.log.lines import Line, shown
from meshbox.log.repeats import Repeats
from meshbox.log.ring import Ring
from meshbox.vocabulary import EVENTS, Level

RANKS: Mapping[Level, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_QUIET = ("aiohttp.access",)


@dataclass(slots=True)
class _Door:
    threshold: int
    sink: Sink
    clock: Callable[[], float]
    is_journal: bool = False
    repeats: Repeats = field(default_factory=Repeats)


_door = _Door(RANKS["info"], text_sink("text"), time.time)
_recent = Ring()


def setup(
    level: Level, format: str, *, clock: Callable[[], float] = time.time, sink: Sink | None = None
) -> None:
    """Open the door for events of `level` and above. `format` is text or json and matters on stderr;
    `sink` takes the lines instead of journal and stderr."""
    global _door
    flush(math.inf)
    is_journal = sink is None and reaches_journal(sys.stderr, os.environ)
    _door = _Door(RANKS[level], sink or _outlet(format, is_journal), clock, is_journal)
    root = logging.getLogger()
    root.handlers = [_Libraries()]
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    for name in _QUIET:
        logging.getLogger(name).disabled = True


def _outlet(format: str, is_journal: bool) -> Sink:
    if not is_journal:
        return text_sink(format)
    return journal_sink() or text_sink(format, to_journal=True)


def recent() -> Ring:
    """The last events of this process."""
    return _recent


def is_journal() -> bool:
    """Whether events go to the journal."""
    return _door.is_journal


def emit(event: str, /, **fields: object) -> None:
    """Log an event. Costs next to nothing when its level is off; an unknown name is a bug."""
    known = EVENTS[event]
    if RANKS[known.level] >= _door.threshold:
        _write(event, fields)


def emit_limited(event: str, key: object, /, **fields: object) -> None:
    """Log an event that may come in floods: `key` says which of them are alike."""
    known = EVENTS[event]
    if RANKS[known.level] < _door.threshold:
        return
    now = _door.clock()
    flush(now)
    if _door.repeats.admit(event, key, fields, now):
        _write(event, fields)


def flush(now: float | None = None) -> None:
    """Write the counts of repeated events whose minute is over. Call it now and then, since
    otherwise a flood that stopped is not counted up until the next; `now` of infinity writes all."""
    for event, fields, similar in _door.repeats.ended(_door.clock() if now is None else now):
        _write(event, {**fields, "similar": similar})


def _write(event: str, fields: Mapping[str, object]) -> None:
    known = EVENTS[event]
    values = {name: shown(name, value) for name, value in fields.items()}
    text = known.text.format_map(_Filled(values)).rstrip()
    if "similar" in values:
        text += f" (+{values['similar']} similar)"
    line = Line(_door.clock(), known.level, event, text, values)
    _recent.add(line)
    _door.sink(line)


class _Filled(dict[str, object]):
    """A field the text wants and the call forgot must not turn a log line into a crash."""

    def __missing__(self, name: str) -> str:
        return "?"


class _Libraries(logging.Handler):
    """What asyncio, aiohttp and others log. Strangers can cause it (a bad request line is an error
    to aiohttp), so it is limited per logger and format string."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        key = (record.name, record.msg)
        if record.levelno >= logging.ERROR:
            trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
            emit_limited("library_error", key, logger=record.name, message=message, traceback=trace)
        elif record.levelno >= logging.WARNING:
            emit_limited("library_warning", key, logger=record.name, message=message)
        else:
            emit_limited("library_debug", key, logger=record.name, message=message)
