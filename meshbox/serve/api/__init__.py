"""The administration API, /api/v1 in Headscale's shapes, for our command line and other people's tools.

routes(context, SocketDoor())            on the unix socket: its file mode is the lock
routes(context, TokenDoor(address_of))   on the public listener: API keys
"""

from __future__ import annotations

from aiohttp import web

# Importing a module registers its endpoints.
from meshbox.serve.api import (
    apikeys,
    attributes,
    auth,
    dns,
    events,
    health,
    nodes,
    notices,
    policy,
    preauthkeys,
    questions,
    ssh,
    users,
)
from meshbox.serve.api import routes as route
from meshbox.serve.api.call import Context
from meshbox.serve.api.doors import Door, SocketDoor, TokenDoor
from meshbox.serve.api.endpoint import ENDPOINTS, PREFIX, Handler
from meshbox.serve.api.unknown import Unknown

__all__ = ["Context", "SocketDoor", "TokenDoor", "routes"]

RESOURCES = (
    apikeys,
    attributes,
    auth,
    dns,
    events,
    health,
    nodes,
    notices,
    policy,
    preauthkeys,
    questions,
    route,
    ssh,
    users,
)


def routes(context: Context, door: Door) -> list[web.RouteDef]:
    """All routes below /api/, among them one that answers for what is not there."""
    known = [
        web.route(endpoint.method, endpoint.path, Handler(context, door, endpoint).answer)
        for endpoint in ENDPOINTS
    ]
    return [*known, web.route("*", "/api/{rest:.*}", Unknown(PREFIX).answer)]
