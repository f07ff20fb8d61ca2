"""The closed list of log events: name, level, text and what to do about it.

`text` is a format string over the event's fields. `help` is for the reader of the journal
(`journalctl -x`): what happened and what to do. A test reads every call of `log.emit` and fails
for a name that is not here, and for one here that nothing emits. Keep the list sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Event:
    level: Level
    text: str
    help: str


EVENTS: dict[str, Event] = {
    "library_debug": Event(
        "debug",
        "{logger}: {message}",
        "A library meshbox uses said something. Only shown while log.level is debug.",
    ),
    "library_error": Event(
        "error",
        "{logger}: {message}",
        "A library met an error that meshbox did not expect. The server goes on. If it repeats, report it "
        "with the traceback field (journalctl -o verbose shows it).",
    ),
    "library_warning": Event(
        "warning",
        "{logger}: {message}",
        "A library warns of something. Nothing has to be done unless it repeats.",
    ),
}
