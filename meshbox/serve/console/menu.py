"""The tabs, and how much waits for a person behind one of them."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.serve.console.sight import ROOT, Tab
from meshbox.tailnet.tailnet import Tailnet

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


def entries(t: Tailnet, here: Tab) -> list[Entry]:
    return [
        Entry(ROOT + path, word, waiting(t) if tab == "waiting" else 0, tab == here)
        for tab, path, word in TABS
    ]


def waiting(t: Tailnet) -> int:
    """Devices that want in, devices to approve, and logins held."""
    return (
        sum(pending.state == "waiting" for pending in t.pending.values())
        + sum(not node.is_approved for node in t.nodes.values())
        + sum(check.state == "waiting" for check in t.checks.values())
    )
