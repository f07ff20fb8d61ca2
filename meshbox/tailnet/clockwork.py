"""What time alone brings about: offline after the grace, expiry, clean-up."""

from __future__ import annotations

from meshbox.errors import StoreError
from meshbox.tailnet.checks import forget_check
from meshbox.tailnet.deadlines import Due
from meshbox.tailnet.model import Audit
from meshbox.tailnet.pending import forget_pending
from meshbox.tailnet.ports import Delete
from meshbox.tailnet.tailnet import Tailnet

RETRY = 10.0
"""Seconds until what the store refused to write is tried again."""


def advance(t: Tailnet, now: float) -> float | None:
    """Do everything that is due; return the time of the next deadline, or None.

    Raises StoreError when something could not be written, after everything else was done: a full
    disk must not keep nodes online. What failed is due again RETRY later.
    """
    refused: StoreError | None = None
    for kind, subject in t.deadlines.take(now):
        try:
            if kind is Due.PENDING:
                forget_pending(t, str(subject))
            elif kind is Due.CHECK:
                forget_check(t, str(subject))
            elif isinstance(subject, int) and subject in t.nodes:
                _node_due(t, kind, subject, now)
        except StoreError as error:
            t.deadlines.set(kind, subject, now + RETRY)
            refused = error
    if refused is not None:
        raise refused
    return t.deadlines.next_at()


def _node_due(t: Tailnet, kind: Due, node_id: int, now: float) -> None:
    match kind:
        case Due.OFFLINE:
            t.presence.settle(node_id, now)
        case Due.EXPIRY:
            t.expire_now(node_id)
        case Due.EPHEMERAL:
            _clean_up(t, node_id, now)
        case _:
            raise AssertionError(f"{kind} is no deadline of a node")


def _clean_up(t: Tailnet, node_id: int, now: float) -> None:
    """An ephemeral node that stayed away is deleted; one that is back has no such deadline."""
    if t.is_online(node_id):
        return
    node = t.nodes[node_id]
    t.commit(now, Delete("node", node_id), Audit(now, "meshbox", "node.ephemeral_gone", node.name))
