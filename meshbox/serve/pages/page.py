"""From a template to an answer: escaping, security headers, and who may open a page.

A page is a function from a View to a Page, registered with `@page(path, audience)`. Opening a page changes
nothing: a link can be sent to a victim. A page may have an act, which is done by a form sent to the same
address with an API key in it: nobody's browser holds one, so nothing can be done in somebody else's name.
"""

from __future__ import annotations

import json
import secrets
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from meshbox import log
from meshbox.errors import MeshboxError
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Context
from meshbox.serve.api.doors import TokenDoor
from meshbox.serve.pages.assets import ASSETS, TYPES, address_of
from meshbox.serve.pages.times import ago, machine_time, relative

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

CONSOLE_PATH = "/console"

HSTS = {"Strict-Transport-Security": "max-age=31536000"}
"""Only when the configured URL is https: a lab on plain HTTP must stay reachable."""

FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class View:
    """A request for a page."""

    context: Context
    now: float
    path: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def shall_sign_in(self) -> bool:
        """People decide by signing in, unless they say that an administrator will."""
        return self.context.sign_in is not None and self.query.get("by") != "administrator"


@dataclass(frozen=True, slots=True)
class Page:
    """What to show: a template with its values; `refresh` seconds until the browser asks again. With a
    `location` the browser is sent there and nothing is shown."""

    template: str
    title: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    refresh: int | None = None
    location: str = ""


Function = Callable[[View], Page]
Act = Callable[[View, str, str], None]
"""`act(view, wish, actor)`: what the pressed button says. Raises MeshboxError."""

FORM_LIMIT = 4096
"""Bytes of a form: a key and a word."""


@dataclass(frozen=True, slots=True)
class Address:
    path: str
    audience: Audience
    function: Function
    act: Act | None = None


PAGES: list[Address] = []


def page(path: str, audience: Audience, act: Act | None = None) -> Callable[[Function], Function]:
    def register(function: Function) -> Function:
        PAGES.append(Address(path, audience, function, act))
        return function

    return register


def has_form(view: View) -> bool:
    """May somebody type an API key here? Not where it would travel in the clear."""
    return view.context.server_url.startswith("https:")


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _environment() -> Environment:
    templates = FileSystemLoader(Path(__file__).parent.parent / "templates")
    environment = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(ago=ago, machine_time=machine_time, relative=relative, pretty=_pretty)
    environment.globals["asset"] = address_of
    return environment


ENVIRONMENT = _environment()


class PageHandler:
    def __init__(self, context: Context, address: Address, door: TokenDoor) -> None:
        self._context = context
        self._door = door
        self._address = address
        self._headers = headers_of(context)

    @property
    def audience(self) -> Audience:
        return self._address.audience

    async def answer(self, request: web.Request) -> web.Response:
        return self._show(self._view(request))

    def _view(self, request: web.Request) -> View:
        return View(self._context, self._context.clock(), dict(request.match_info), dict(request.query))

    async def act(self, request: web.Request) -> web.Response:
        """The form was sent: do what it wants, or show the page again with why not."""
        view = self._view(request)
        act = self._address.act
        if act is None or (request.content_length or 0) > FORM_LIMIT:
            return web.Response(status=405 if act is None else 413, headers=self._headers)
        fields = await request.post()
        try:
            actor = self._door.bearer(request, self._context, _text(fields.get("key")).strip(), view.now)
            act(view, _text(fields.get("wish")), actor)
        except MeshboxError as refusal:
            return self._show(view, refusal)
        return web.Response(status=303, headers={**self._headers, "Location": request.path})

    def _show(self, view: View, refusal: MeshboxError | None = None) -> web.Response:
        try:
            shown = self._address.function(view)
            may_act = self._address.act is not None and has_form(view)
            return draw(view, shown, refusal=refusal, has_form=may_act)
        except Exception:
            return own_fault(self._address.path, self._headers)


def headers_of(context: Context) -> Mapping[str, str]:
    return HEADERS | (HSTS if context.server_url.startswith("https:") else {})


def draw(
    view: View, shown: Page, *, refusal: MeshboxError | None = None, has_form: bool = False
) -> web.Response:
    """A page as an answer."""
    headers = headers_of(view.context)
    if shown.location:
        return web.Response(status=303, headers={**headers, "Location": shown.location})
    text = ENVIRONMENT.get_template(shown.template).render(
        shown.values,
        page=shown,
        server_url=view.context.server_url,
        now=view.now,
        refusal="" if refusal is None else str(refusal),
        has_form=has_form,
    )
    status = shown.status if refusal is None else refusal.status
    return web.Response(status=status, text=text, content_type="text/html", charset="utf-8", headers=headers)


def own_fault(route: str, headers: Mapping[str, str]) -> web.Response:
    request_id = secrets.token_hex(6)
    log.emit("page_failed", req=request_id, route=route, err=traceback.format_exc(limit=-8))
    text = f"meshbox has a bug here; the server's log has the details under request {request_id}\n"
    return web.Response(status=500, text=text, headers=headers)


def _text(field: object) -> str:
    return field if isinstance(field, str) else ""


class AssetHandler:
    """Style and pictures, from memory and by a name that contains their hash."""

    audience = Audience.ANYONE

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        body = ASSETS.get(name)
        if body is None:
            return web.Response(status=404, text="no such file\n", headers=HEADERS)
        return web.Response(body=body, content_type=TYPES[name.rpartition(".")[2]], headers=FOREVER)
