"""The one door log events go through: named events with fields, never loose text.

    log.emit("node_registered", node=node.name, user=user.name)

The name must be in `vocabulary.EVENTS`, whose text is filled with the fields. Under systemd (with
systemd-python) an event becomes a journal entry with MESSAGE_ID, MESHBOX_EVENT and a MESHBOX_
field for each field; otherwise one line on stderr, logfmt or JSON. Whatever a field holds it
stays one line and is cut to length, and full keys and tokens are blotted out.

`emit_limited` is for what strangers can cause: of one trouble from one source, one line a minute
and then the number of the others. What libraries log comes through the same door. `recent` has the last
events, for who looks where there is no journal.
"""

from __future__ import annotations

from meshbox.log.door import emit, emit_limited, flush, is_journal, recent, setup
from meshbox.log.journal import message_id
from meshbox.log.lines import Line

__all__ = ["Line", "emit", "emit_limited", "flush", "is_journal", "message_id", "recent", "setup"]
