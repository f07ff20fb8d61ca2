"""The tabs, and how much waits for a person behind one of them."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.serve.console.rights import Right
from meshbox.serve.console.sessions import Session
from meshbox.serve.console.sight import ROOT, Tab
from meshbox.tailnet.tailnet import Tailnet

MINE: tuple[Tab, str, str] = ("mine", "/mine", "My machines")

TABS: tuple[tuple[Tab, str, str], ...] = (
    ("overview", "", "Overview"),
    ("machines", "/machines", "Machines"),
    ("waiting", "/waiting", "Waiting"),
    ("users", "/users", "Users"),
    ("keys", "/keys", "Keys"),
    ("access", "/access", "Access"),
    ("names", "/names", "DNS"),
    ("activity", "/activity", "Activity"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    path: str
    word: str
    count: int
    is_here: bool


def entries(t: Tailnet, session: Session, here: Tab) -> list[Entry]:
    """What this visitor may see."""
    tabs = TABS if session.right >= Right.LOOK else ()
    if session.user_id is not None:
        tabs = (*tabs, MINE)
    return [
        Entry(ROOT + path, word, waiting(t) if tab == "waiting" else 0, tab == here)
        for tab, path, word in tabs
    ]


def waiting(t: Tailnet) -> int:
    """Devices that want in, devices to approve, and logins held."""
    return (
        sum(pending.state == "waiting" for pending in t.pending.values())
        + sum(not node.is_approved for node in t.nodes.values())
        + sum(check.state == "waiting" for check in t.checks.values())
    )
