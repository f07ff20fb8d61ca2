"""`/`: what this is and how to join, for somebody who was only given the address."""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.pages.page import Page, View, page


@page("/", Audience.ANYONE)
def home(view: View) -> Page:
    return Page("home.html", "A private network", {"has_console": view.context.has_console})
