"""What the API answers with: JSON, written without holding up the loop, and errors that both
generations of Headscale's tools understand.

Tools for 0.29 and older read `code` (a gRPC number) and `message`; those for 0.30 read `title`,
`status`, `detail` and `errors`. One body carries all of them.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from meshbox import fastjson
from meshbox.policy.problem import PolicyError
from meshbox.serve.api.call import Json, Listing

CHUNK = 128
"""Entries of a listing written between two turns of the loop: about 3 ms."""

GRPC_CODES = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    405: 12,
    408: 4,
    409: 6,
    412: 9,
    413: 3,
    415: 3,
    422: 3,
    429: 8,
    503: 14,
}
GRPC_INTERNAL = 13

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


async def encode(answer: Json | Listing) -> bytes:
    if isinstance(answer, dict):
        return fastjson.dumps(answer)
    pieces = []
    for number, item in enumerate(answer.items, start=1):
        pieces.append(fastjson.dumps(answer.shape(item)))
        if number % CHUNK == 0:
            await asyncio.sleep(0)
    return b'{"%s":[%s]}' % (answer.name.encode(), b",".join(pieces))


def success(body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers={**HEADERS, **(headers or {})})


def place_of(error: PolicyError) -> Json:
    """Where a policy is wrong, and each test that failed in the hosted service's form, for other programs."""
    spot = error.spot
    data = [
        {
            "user": failure.src,
            "errors": list(failure.errors),
            "line": failure.spot.line if failure.spot else None,
            "column": failure.spot.column if failure.spot else None,
        }
        for failure in error.failures
    ]
    return {"line": spot.line if spot else None, "column": spot.column if spot else None, "data": data}


def refusal(
    status: int,
    message: str,
    headers: dict[str, str] | None = None,
    kind: str = "",
    more: Json | None = None,
) -> web.Response:
    """`kind` is the name of the error's class, for our own command line's exit code; `more` are fields that
    only some errors have."""
    title = HTTPStatus(status).phrase
    body = {
        "code": GRPC_CODES.get(status, GRPC_INTERNAL),
        "message": message,
        "details": [],
        "title": title,
        "status": status,
        "detail": message,
        "errors": [{"message": message}],
        "kind": kind,
        **(more or {}),
    }
    return web.Response(
        status=status,
        body=fastjson.dumps(body),
        content_type="application/problem+json",
        headers={**HEADERS, **(headers or {})},
    )
