"""A log event as one line, whatever its fields hold.

Fields come from strangers: host names, user agents, paths. So nothing in a value can end the
line, colour the terminal or reverse the reading direction; no value is longer than its cap; and
keys and tokens that somebody put into a text are blotted out here, behind everybody's back.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from meshbox.vocabulary import Level

FIELD_MAX = 1000
"""Characters of one value. A host name of 60 KB must not become a line of 60 KB."""
TRACEBACK_MAX = 8000
"""Characters of a field that may hold a traceback, of which the end is what matters."""
_TRACEBACKS = ("traceback", "err")
_KEY = re.compile(r"(privkey|nodekey|mkey|discokey|chalpub|nlpub|tlpub):([0-9a-fA-F]{64})")
_TOKEN = re.compile(r"(mb-(?:auth|api)-[0-9A-Za-z]{12}|mb-backup-key|tskey-[a-z]+)-[0-9A-Za-z-]+")
# C0 and C1 controls, line and paragraph separators, direction overrides, half surrogates.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BARE = re.compile(r"[^\s\"=\\]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One event, ready to be written. `at` is in seconds since the epoch."""

    at: float
    level: Level
    event: str
    text: str
    fields: Mapping[str, str | int | float | bool]


def shown(name: str, value: object) -> str | int | float | bool:
    """A field's value as it may be logged: short keys, no secrets, cut to length."""
    match value:
        case bool() | int():
            return value
        case float():
            return round(value, 3)
        case None:
            return ""
        case str():
            text = str(value)
        case BaseException():
            text = str(value) or type(value).__name__
        case list() | tuple() | set() | frozenset():
            text = ",".join(str(shown(name, one)) for one in value)
        case _:
            # Public keys know their short form; other bytes say nothing to a reader.
            short = getattr(value, "short", None)
            text = short if isinstance(short, str) else _other(value)
    return _cut(name, _blot(text))


def _other(value: object) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes | bytearray | memoryview) else str(value)


def _blot(text: str) -> str:
    if ":" in text:
        text = _KEY.sub(_short_key, text)
    return _TOKEN.sub(r"\1-***", text) if "-" in text else text


def _short_key(match: re.Match[str]) -> str:
    if match[1] == "privkey":
        return "privkey:***"
    return f"[{base64.b64encode(bytes.fromhex(match[2]))[:5].decode()}]"


def _cut(name: str, text: str) -> str:
    if name in _TRACEBACKS:
        return text if len(text) <= TRACEBACK_MAX else "..." + text[-TRACEBACK_MAX:]
    return text if len(text) <= FIELD_MAX else text[:FIELD_MAX] + "..."


def on_one_line(text: str) -> str:
    """`text` with everything that could leave its line written as an escape."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    point = ord(match[0])
    return _SHORT.get(match[0]) or (f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}")


def logfmt(line: Line, *, stamped: bool = True) -> str:
    """`ts=... level=info event=node_registered msg="..." node=laptop`"""
    parts = [f"ts={_time(line.at)}"] if stamped else []
    parts += [f"level={line.level}", f"event={line.event}", f"msg={_quoted(line.text)}"]
    parts += [f"{name}={_value(value)}" for name, value in line.fields.items()]
    return " ".join(parts)


def json_line(line: Line) -> str:
    # ASCII only: then no terminal and no collector can misread a value.
    head: dict[str, object] = {
        "ts": _time(line.at),
        "level": line.level,
        "event": line.event,
        "msg": line.text,
    }
    return json.dumps(head | dict(line.fields))


def journal_fields(line: Line) -> Iterable[tuple[str, str]]:
    """The journal's names and values, without MESSAGE_ID and PRIORITY."""
    yield "MESSAGE", on_one_line(line.text)
    yield "MESHBOX_EVENT", line.event
    for name, value in line.fields.items():
        # An empty field would be found by nobody and shown to everybody.
        if value != "":
            yield f"MESHBOX_{name.upper()}", on_one_line(_plain(value))


def _value(value: str | int | float | bool) -> str:
    text = _plain(value)
    return text if _BARE.fullmatch(text) and not _UNPRINTABLE.search(text) else _quoted(text)


def _plain(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{on_one_line(escaped)}"'


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
