"""Pages for people, rendered here and complete without JavaScript: home, registration, help."""

from __future__ import annotations

from aiohttp import web

from meshbox.serve.api.call import Context
from meshbox.serve.api.doors import TokenDoor

# Importing a module registers its pages.
from meshbox.serve.pages import help, home, register, signin, ssh
from meshbox.serve.pages.assets import PREFIX
from meshbox.serve.pages.page import PAGES, AssetHandler, PageHandler

__all__ = ["routes"]

CONTENTS = (help, home, register, ssh)


def routes(context: Context, door: TokenDoor, welcome: signin.Welcome | None = None) -> list[web.RouteDef]:
    """GET and HEAD change nothing; POST is for those who bring an API key, or come back from the provider."""
    handlers = [(address, PageHandler(context, address, door)) for address in PAGES]
    return [
        *(web.get(address.path, handler.answer) for address, handler in handlers),
        *(web.post(address.path, handler.act) for address, handler in handlers if address.act is not None),
        web.get(PREFIX + "{name}", AssetHandler().answer),
        *([] if context.sign_in is None else signin.routes(context, context.sign_in, welcome)),
    ]
