"""Pages for people, rendered here and complete without JavaScript: home, registration, help."""

from __future__ import annotations

from aiohttp import web

from meshbox.serve.api.call import Context

# Importing a module registers its pages.
from meshbox.serve.pages import help, home, register, ssh
from meshbox.serve.pages.assets import PREFIX
from meshbox.serve.pages.page import PAGES, AssetHandler, PageHandler

__all__ = ["routes"]

CONTENTS = (help, home, register, ssh)


def routes(context: Context) -> list[web.RouteDef]:
    """Routes for GET and HEAD; they hold no secret and change nothing."""
    return [
        *(web.get(address.path, PageHandler(context, address).answer) for address in PAGES),
        web.get(PREFIX + "{name}", AssetHandler().answer),
    ]
