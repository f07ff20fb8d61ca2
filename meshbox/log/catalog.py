"""systemd/meshbox.catalog, written from the vocabulary: `python -m meshbox.log.catalog`.

With it `journalctl -x` explains each of our lines: what happened, what to do, what shows more of it.
The form is systemd's (https://systemd.io/CATALOG): an entry per MESSAGE_ID, @FIELD@ stands for the field of
the entry that is shown.
"""

from __future__ import annotations

import string
import textwrap
from collections.abc import Iterator

from meshbox.log.journal import message_id
from meshbox.vocabulary import EVENTS, Event

WIDTH = 78
HEAD = """\
# What meshbox's log events mean, for `journalctl -x`.
# Written from meshbox/vocabulary.py by `make docs`; a test keeps it true.
"""


def catalog() -> str:
    return "\n".join([HEAD, *(_entry(name, event) for name, event in EVENTS.items())])


def _entry(name: str, event: Event) -> str:
    lines = [
        f"-- {message_id(name)}",
        f"Subject: {_subject(event.text)}",
        "Defined-By: meshbox",
        "Documentation: man:meshbox(1)",
        "",
        *textwrap.wrap(event.help, WIDTH),
        "",
        *_more(name, event),
        "",
    ]
    return "\n".join(lines)


def _subject(text: str) -> str:
    return "".join(
        literal + (f"@{_field(name)}@" if name else "")
        for literal, name, _, _ in string.Formatter().parse(text)
    )


def _more(name: str, event: Event) -> Iterator[str]:
    yield f"    journalctl -t meshbox MESHBOX_EVENT={name}"
    # Only of a node, whose name is a DNS label: people paste these lines into a root shell, and other
    # fields hold what strangers sent.
    if "{node}" in event.text:
        yield "    journalctl -t meshbox 'MESHBOX_NODE=@MESHBOX_NODE@'"


def _field(name: str) -> str:
    return f"MESHBOX_{name.upper()}"


if __name__ == "__main__":
    print(catalog(), end="")
