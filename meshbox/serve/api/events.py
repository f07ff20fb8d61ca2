"""/api/v1/events and /audit: what happened lately, and who did what.

Events are those of this process since its start, the last two thousand: where there is a journal, it has
them all. `wait` holds the answer back until something happens, so that following costs one request each
half minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from meshbox import log
from meshbox.log.ring import LINES, Kept
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.moments import write_moment
from meshbox.store.audit import SEARCH_LIMIT, Entry, Search

WAIT_LIMIT = 25
"""Seconds an answer is held back; our command line gives a request thirty."""

LOOK_EVERY = 0.25
MANY = 10**15


@endpoint("GET", "/events", Audience.ADMINISTRATOR)
async def events(call: Call) -> Json:
    """Oldest first: those after number `after`, or the last `limit`; of one `node`, `user` or `event`, since
    `since`. With `wait`, not before there is one. `cursor` is the `after` of the next call; `missed` says how
    many are gone that it asked for."""
    after, wait = call.number("after", 0, MANY), call.number("wait", 0, WAIT_LIMIT)
    limit = call.number("limit", LINES, LINES)
    looks = int(wait / LOOK_EVERY)
    ring = log.recent()
    if after > ring.newest:
        # The server was restarted since: its numbers begin anew.
        after = 0
    while True:
        cursor = ring.newest
        found = list(_wanted(call, after))
        if found or looks <= 0:
            break
        looks -= 1
        await asyncio.sleep(LOOK_EVERY)
    shown = found[-limit:] if limit else []
    return {
        "events": [_event_json(kept) for kept in shown],
        "cursor": cursor,
        "missed": ring.missed(after) if after else 0,
        "journal": log.is_journal(),
    }


@endpoint("GET", "/audit", Audience.ADMINISTRATOR)
async def audit(call: Call) -> Listing:
    """Newest first, of one `actor`, `object` or `action`, from `since` until `until`, before the id `before`;
    at most `limit`."""
    before = call.number("before", MANY, MANY)
    wanted = Search(
        actor=call.text("actor") or None,
        object=call.text("object") or None,
        action=call.text("action") or None,
        since=call.moment("since"),
        until=call.moment("until"),
        before=before,
        limit=call.number("limit", 100, SEARCH_LIMIT),
    )
    found: Sequence[Entry] = await asyncio.to_thread(call.context.audit, wanted)
    return Listing("entries", found, _audit_json)


def _wanted(call: Call, after: int) -> Iterator[Kept]:
    node, user, since = call.text("node"), call.text("user"), call.moment("since")
    names = frozenset(filter(None, call.text("event").split(",")))
    for kept in log.recent().after(after):
        fields = kept.line.fields
        if node and node not in (fields.get("node"), str(fields.get("node_id", ""))):
            continue
        if user and fields.get("user") != user:
            continue
        if (names and kept.line.event not in names) or (since is not None and kept.line.at < since):
            continue
        yield kept


def _event_json(kept: Kept) -> Json:
    line = kept.line
    return {
        "number": kept.number,
        "time": write_moment(line.at),
        "level": line.level,
        "event": line.event,
        "message": line.text,
        "fields": dict(line.fields),
    }


def _audit_json(entry: Entry) -> Json:
    audit = entry.audit
    return {
        "id": str(entry.id),
        "time": write_moment(audit.at),
        "actor": audit.actor,
        "action": audit.action,
        "object": audit.object,
        "detail": audit.detail,
    }
