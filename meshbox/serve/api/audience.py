"""Who may call a handler. Every route of the API and of the pages declares one; a test walks them."""

from __future__ import annotations

from enum import Enum


class Audience(Enum):
    ANYONE = "anyone"
    """Needs no proof. Such a handler changes nothing and tells nothing about the tailnet."""

    SIGNED_IN = "signed in"
    """Comes back from the sign-in provider, in the browser that was sent there, and may decide about the one
    thing it was sent for."""

    CONSOLE = "console"
    """Somebody in a browser, by the cookie of a session that an API key or a sign-in began; what they may do
    is their role's (serve/console/rights.py)."""

    ADMINISTRATOR = "administrator"
    """Holds an API key, or can open the unix socket."""
