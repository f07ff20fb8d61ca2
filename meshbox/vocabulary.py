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
    "api_failed": Event(
        "error",
        "{method} {route} failed by a fault of meshbox (request {req}): {err}",
        "An administration request ended in an error that meshbox did not expect, and was answered with 500. "
        "Nothing was changed halfway. Report it with the err field, which holds the traceback.",
    ),
    "api_key_refused": Event(
        "warning",
        "a wrong API key from {peer_ip}",
        "Somebody called the API with a key that is unknown, expired or revoked. If it is a tool of yours, "
        "give it a new key (meshbox apikeys create). After ten in a minute the address is not listened to "
        "for the rest of it.",
    ),
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
    "page_failed": Event(
        "error",
        "page {route} failed by a fault of meshbox (request {req}): {err}",
        "A page ended in an error that meshbox did not expect, and was answered with 500. Report it with the "
        "err field, which holds the traceback.",
    ),
}
