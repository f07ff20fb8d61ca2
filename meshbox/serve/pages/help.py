"""`/help` and its siblings: how to join from each system, with this server's own address in the commands.

`/windows`, `/apple` and `/android` are addresses people know from Headscale's manual.
"""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.pages.page import Page, View, page

SYSTEMS = {
    "linux": "Linux",
    "windows": "Windows",
    "macos": "macOS",
    "ios": "iPhone, iPad and Apple TV",
    "android": "Android",
}


@page("/help", Audience.ANYONE)
def index(view: View) -> Page:
    return Page("help.html", "How to join", {"systems": SYSTEMS})


@page("/help/{system}", Audience.ANYONE)
def system_page(view: View) -> Page:
    system = view.path["system"].lower()
    if system not in SYSTEMS:
        return Page("help.html", "How to join", {"systems": SYSTEMS}, status=404)
    return _of(system)


@page("/linux", Audience.ANYONE)
def linux(view: View) -> Page:
    return _of("linux")


@page("/windows", Audience.ANYONE)
def windows(view: View) -> Page:
    return _of("windows")


@page("/android", Audience.ANYONE)
def android(view: View) -> Page:
    return _of("android")


@page("/apple", Audience.ANYONE)
def apple(view: View) -> Page:
    return Page("help-apple.html", "Join from a Mac, iPhone, iPad or Apple TV")


def _of(system: str) -> Page:
    return Page(f"help-{system}.html", f"Join from {SYSTEMS[system]}")
