"""docs/events.md, written from the vocabulary: `python -m meshbox.log.reference > docs/events.md`."""

from __future__ import annotations

from collections.abc import Iterator

from meshbox.log.journal import message_id
from meshbox.vocabulary import EVENTS, FIELDS

HEAD = """\
# Log events

Written from `meshbox/vocabulary.py` by `make docs`; a test keeps it true.

Every line meshbox logs is one of these events. On stderr it is logfmt (or JSON with
`log.format: json`); under systemd it is a journal entry:

    journalctl -t meshbox MESHBOX_EVENT=node_registered        all events of one kind
    journalctl -t meshbox MESHBOX_NODE=laptop -o json          all about one node, with every field
    journalctl -t meshbox -p warning                           what deserves a look

*error*: somebody must act. *warning*: something is degraded or odd. *info*: state changed. *debug*: for
looking closely. Of troubles that strangers can cause, one line a minute is written and the others are
counted (`similar`). Keys are shown in their short form; tokens and private keys never are.
"""


def reference() -> str:
    return "\n".join([HEAD, *_events(), *_fields()]) + "\n"


def _events() -> Iterator[str]:
    yield "## Events\n"
    for name, event in EVENTS.items():
        yield f"### {name}\n"
        yield f"*{event.level}*: `{event.text}`\n"
        yield f"{event.help}\n"
        yield f"MESSAGE_ID `{message_id(name)}`\n"


def _fields() -> Iterator[str]:
    yield "## Fields\n"
    yield "| Field | In the journal | Holds |"
    yield "|---|---|---|"
    yield from (f"| `{name}` | `MESHBOX_{name.upper()}` | {text} |" for name, text in FIELDS.items())


if __name__ == "__main__":
    print(reference(), end="")
