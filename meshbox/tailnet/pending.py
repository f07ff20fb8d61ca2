"""Registrations that wait for a person: bounded in all and per address, forgotten after a while.

A pending registration is bound to the machine key and the node key that asked. Its id is a bearer
secret (it stands in the URL that a user is shown), so it has 192 random bits. Decided ones are
kept for the rest of their life: the client may lose its connection and ask again for the result.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import replace

from meshbox.errors import Busy, NotFound
from meshbox.tailnet.deadlines import Due
from meshbox.tailnet.model import Pending, PendingState
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.keys import MachineKey, NodeKey
from meshbox.wire.tailcfg import RegisterRequest

PENDING_LIFE = 900.0
"""Seconds a registration waits for approval."""

ID_BYTES = 24

ID_PREFIX = "reg-"
"""People type the id after `meshbox auth approve`: it must not begin with a dash, as random base64 may."""


def open_pending(
    t: Tailnet, machine_key: MachineKey, request: RegisterRequest, source: str, now: float
) -> Pending:
    """The pending registration of this device, made if need be. Raises Busy over the limits.

    A device has one: asking again with the same node key gives the same URL, a new node key
    replaces the old entry.
    """
    for other in _waiting(t.pending.values()):
        if other.machine_key == machine_key:
            if other.node_key == request.node_key:
                return other
            forget_pending(t, other.id)
            break
    _make_room(t, source)
    pending_id = ID_PREFIX + base64.urlsafe_b64encode(t.entropy(ID_BYTES)).decode()
    pending = Pending(pending_id, machine_key, request.node_key, request, source, now)
    t.pending[pending_id] = pending
    t.deadlines.set(Due.PENDING, pending_id, now + PENDING_LIFE)
    return pending


def find_pending(t: Tailnet, url_or_id: str, machine_key: MachineKey, node_key: NodeKey) -> Pending | None:
    """The entry that a follow-up names, if it exists and is the asker's own."""
    pending = t.pending.get(url_or_id.rpartition("/")[2])
    if pending is None or pending.machine_key != machine_key or pending.node_key != node_key:
        return None
    return pending


def decide(t: Tailnet, pending: Pending, state: PendingState) -> None:
    t.pending[pending.id] = replace(pending, state=state)
    t.announce()


def require_waiting(t: Tailnet, pending_id: str) -> Pending:
    pending = t.pending.get(pending_id)
    if pending is None:
        raise NotFound(
            f"no registration {pending_id!r} is waiting: it expired or never was; "
            "run `tailscale up` again for a new link"
        )
    if pending.state != "waiting":
        raise NotFound(f"registration {pending_id!r} was already {pending.state}")
    return pending


def forget_pending(t: Tailnet, pending_id: str) -> None:
    t.pending.pop(pending_id, None)
    t.deadlines.cancel(Due.PENDING, pending_id)
    t.announce()


def _waiting(entries: Iterable[Pending]) -> list[Pending]:
    return [entry for entry in entries if entry.state == "waiting"]


def _make_room(t: Tailnet, source: str) -> None:
    """Anybody with a fresh key can get here: eight per address, and the oldest go first when full."""
    if (
        sum(entry.source == source for entry in _waiting(t.pending.values()))
        >= t.settings.pending_per_address
    ):
        raise Busy(f"too many devices from {source} are waiting for approval; try again later", 60)
    while len(t.pending) >= t.settings.pending_limit:
        forget_pending(t, next(iter(t.pending)))
