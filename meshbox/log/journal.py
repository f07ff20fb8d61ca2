"""Where lines go: the journal when it is listening, otherwise stderr.

systemd-python is an extra: without it, lines for the journal go to stderr with the priority in
front, which journald understands, but the fields stay inside the text.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import TextIO

from meshbox.log.lines import Line, journal_fields, json_line, logfmt
from meshbox.vocabulary import Level

Sink = Callable[[Line], None]
PRIORITIES: Mapping[Level, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_NAMESPACE = bytes.fromhex("3f1d8f6b5c0e4c1f9a7e62b0d4a9c853")


@cache
def message_id(event: str) -> str:
    """The MESSAGE_ID of an event, 32 hex digits: a version 5 UUID, so that it follows from the name
    alone and cannot meet one of systemd's own."""
    digest = bytearray(hashlib.sha1(_NAMESPACE + event.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return digest.hex()


def reaches_journal(stream: TextIO, env: Mapping[str, str]) -> bool:
    """Whether `stream` is the one systemd connected to the journal. The variable alone proves
    nothing: it is inherited by programs whose output was sent elsewhere."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return env.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def text_sink(format: str, *, to_journal: bool = False) -> Sink:
    def write(line: Line) -> None:
        stream = sys.stderr
        text = json_line(line) if format == "json" else logfmt(line, stamped=not to_journal)
        prefix = f"<{PRIORITIES[line.level]}>" if to_journal else ""
        # A full disk or a closed pipe under the log must not take the server down.
        with contextlib.suppress(OSError, ValueError):
            stream.write(f"{prefix}{text}\n")
            stream.flush()

    return write


def journal_sink() -> Sink | None:
    """Structured entries through systemd-python, or None when it is not installed."""
    try:
        sendv = importlib.import_module("systemd.journal").sendv
    except ImportError:
        return None

    def write(line: Line) -> None:
        # Without SYSLOG_IDENTIFIER entries are tagged with the interpreter's name.
        entry = [
            "SYSLOG_IDENTIFIER=meshbox",
            f"PRIORITY={PRIORITIES[line.level]}",
            f"MESSAGE_ID={message_id(line.event)}",
        ]
        entry += [f"{name}={value}" for name, value in journal_fields(line)]
        with contextlib.suppress(OSError):
            sendv(*entry)

    return write
