"""The console: administration in a browser, below /console/, on the public listener.

It shows what the administration API answers and changes only what that changes: a screen asks endpoints, a
button is a request to one (acts.py). So there is no rule here that the API does not have, and nothing is
hidden by the page alone.
"""

from __future__ import annotations

from aiohttp import web

# Importing a module registers its screens.
from meshbox.serve.console import (
    access,
    activity,
    add,
    keys,
    machine,
    machines,
    mine,
    names,
    overview,
    users,
    waiting,
)
from meshbox.serve.console.gate import ENTER, LEAVE, Gate
from meshbox.serve.console.handler import ScreenHandler
from meshbox.serve.console.sight import SCREENS

__all__ = ["Gate", "routes"]

CONTENTS = (access, activity, add, keys, machine, machines, mine, names, overview, users, waiting)


def routes(gate: Gate) -> list[web.RouteDef]:
    """All routes below /console."""
    handlers = [ScreenHandler(gate, address) for address in SCREENS]
    return [
        web.get(ENTER, gate.entrance.show),
        web.post(ENTER, gate.entrance.enter),
        web.post(LEAVE, gate.exit.leave),
        *(web.get(handler.path, handler.show, allow_head=False) for handler in handlers),
        *(web.post(handler.path, handler.act) for handler in handlers if handler.has_acts),
    ]
