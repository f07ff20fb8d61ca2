"""From an HTTP request to a handler's answer: who calls, what they sent, what went wrong.

`@endpoint(method, path, audience)` registers a handler and declares who may call it; there is no
other way to add one. Whatever a handler raises on purpose becomes its status and its sentence; a bug
becomes 500 with a request id that stands in the log beside the traceback, and nothing else.
"""

from __future__ import annotations

import inspect
import secrets
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from meshbox import fastjson, log
from meshbox.errors import Busy, Malformed, MeshboxError, Unauthenticated
from meshbox.policy.problem import PolicyError
from meshbox.serve.api.answers import encode, place_of, refusal, success
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.body import BODY_DEADLINE, receive
from meshbox.serve.api.call import Answer, Call, Context, Function, Marked
from meshbox.serve.api.doors import Door

PREFIX = "/api/v1"

BODY_LIMIT = 64 << 10
"""Bytes of a request body. The largest sensible one is a node's tags, about 3 KiB."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    path: str
    audience: Audience
    function: Function
    body_limit: int = BODY_LIMIT


ENDPOINTS: list[Endpoint] = []


def endpoint(
    method: str, path: str, audience: Audience, body_limit: int = BODY_LIMIT
) -> Callable[[Function], Function]:
    """Register the handler of `method` and `path` (below /api/v1)."""

    def register(function: Function) -> Function:
        ENDPOINTS.append(Endpoint(method, PREFIX + path, audience, function, body_limit))
        return function

    return register


class Handler:
    """One endpoint behind one door."""

    def __init__(self, context: Context, door: Door, endpoint: Endpoint) -> None:
        self._context = context
        self._door = door
        self._endpoint = endpoint

    @property
    def audience(self) -> Audience:
        return self._endpoint.audience

    async def answer(self, request: web.Request) -> web.Response:
        started = time.perf_counter()
        response = await self._answer(request)
        seconds = time.perf_counter() - started
        self._context.observe(request.method, self._endpoint.path, response.status, seconds)
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            answer = await self._call(request)
            if isinstance(answer, Marked):
                return success(await encode(answer.body), {"ETag": f'"{answer.etag}"'})
            return success(await encode(answer))
        except Busy as error:
            return refusal(error.status, str(error), {"Retry-After": str(error.retry_after)})
        except Unauthenticated as error:
            return refusal(error.status, str(error), {"WWW-Authenticate": "Bearer"})
        except TimeoutError:
            return refusal(408, f"the request did not arrive within {BODY_DEADLINE:.0f} seconds")
        except PolicyError as error:
            return refusal(error.status, error.told, kind=type(error).__name__, more=place_of(error))
        except MeshboxError as error:
            return refusal(error.status, str(error), kind=type(error).__name__)
        except Exception:
            return self._own_fault(request)

    async def _call(self, request: web.Request) -> Answer:
        context, now, actor = self._context, self._context.clock(), "anyone"
        if self._endpoint.audience is not Audience.ANYONE:
            actor = self._door.actor(request, context, now)
        body = await _read_body(request, self._endpoint.body_limit)
        if_match = request.headers.get("If-Match", "")
        call = Call(context, actor, now, dict(request.match_info), dict(request.query), body, if_match)
        answer = self._endpoint.function(call)
        return await answer if inspect.isawaitable(answer) else answer

    def _own_fault(self, request: web.Request) -> web.Response:
        request_id = secrets.token_hex(6)
        log.emit(
            "api_failed",
            req=request_id,
            method=request.method,
            route=self._endpoint.path,
            err=traceback.format_exc(limit=-8),
        )
        return refusal(500, f"meshbox has a bug here; the log has the details under request {request_id}")


async def _read_body(request: web.Request, limit: int) -> Mapping[str, Any]:
    """The body's object, whatever content type it claims (the field's UIs send none); {} when empty."""
    return _parse_body(await receive(request, limit))


def _parse_body(received: bytes) -> Mapping[str, Any]:
    if not received.strip():
        return {}
    try:
        body = fastjson.loads(received)
    except ValueError:
        raise Malformed("the request body is not JSON") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise Malformed("the request body is not a JSON object")
    return body
