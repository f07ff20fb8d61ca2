"""From a template to an answer: escaping, security headers, and who may open a page.

A page is a function from a View to a Page, registered with `@page(path, audience)`. Pages answer GET
and HEAD only and change nothing: opening a link must never do something (a link can be sent to a victim).
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from meshbox import log
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Context
from meshbox.serve.pages.assets import ASSETS, TYPES, address_of
from meshbox.serve.pages.times import ago, machine_time

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

HSTS = {"Strict-Transport-Security": "max-age=31536000"}
"""Only when the configured URL is https: a lab on plain HTTP must stay reachable."""

FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class View:
    """A request for a page."""

    context: Context
    now: float
    path: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """What to show: a template with its values; `refresh` seconds until the browser asks again."""

    template: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    refresh: int | None = None


Function = Callable[[View], Page]


@dataclass(frozen=True, slots=True)
class Address:
    path: str
    audience: Audience
    function: Function


PAGES: list[Address] = []


def page(path: str, audience: Audience) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        PAGES.append(Address(path, audience, function))
        return function

    return register


def _environment() -> Environment:
    templates = FileSystemLoader(Path(__file__).parent.parent / "templates")
    environment = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(ago=ago, machine_time=machine_time)
    environment.globals["asset"] = address_of
    return environment


ENVIRONMENT = _environment()


class PageHandler:
    def __init__(self, context: Context, address: Address) -> None:
        self._context = context
        self._address = address
        self._headers = HEADERS | (HSTS if context.server_url.startswith("https:") else {})

    @property
    def audience(self) -> Audience:
        return self._address.audience

    async def answer(self, request: web.Request) -> web.Response:
        view = View(self._context, self._context.clock(), dict(request.match_info))
        try:
            shown = self._address.function(view)
            text = ENVIRONMENT.get_template(shown.template).render(
                shown.values, page=shown, server_url=self._context.server_url, now=view.now
            )
        except Exception:
            return self._own_fault()
        return web.Response(
            status=shown.status, text=text, content_type="text/html", charset="utf-8", headers=self._headers
        )

    def _own_fault(self) -> web.Response:
        request_id = secrets.token_hex(6)
        log.emit("page_failed", req=request_id, route=self._address.path, err=traceback.format_exc(limit=-8))
        text = f"meshbox has a bug here; the server's log has the details under request {request_id}\n"
        return web.Response(status=500, text=text, headers=self._headers)


class AssetHandler:
    """Style and pictures, from memory and by a name that contains their hash."""

    audience = Audience.ANYONE

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        body = ASSETS.get(name)
        if body is None:
            return web.Response(status=404, text="no such file\n", headers=HEADERS)
        return web.Response(body=body, content_type=TYPES[name.rpartition(".")[2]], headers=FOREVER)
