"""Questions to the administration API from inside: the same functions that its routes call."""

from __future__ import annotations

import asyncio
import inspect
from functools import cache

from meshbox.serve.api.answers import CHUNK
from meshbox.serve.api.call import Call, Json, Listing, Marked
from meshbox.serve.api.endpoint import ENDPOINTS, PREFIX, Endpoint


@cache
def endpoint_of(method: str, path: str) -> Endpoint:
    """The endpoint that is registered for `path`, such as /node/{node}. Raises KeyError."""
    for endpoint in ENDPOINTS:
        if (endpoint.method, endpoint.path) == (method, PREFIX + path):
            return endpoint
    raise KeyError(f"{method} {path}")


async def ask(call: Call, method: str, path: str) -> Json:
    """What the API answers to the call; `path` is written as it is registered. Raises MeshboxError."""
    answer = endpoint_of(method, path).function(call)
    if inspect.isawaitable(answer):
        answer = await answer
    match answer:
        case Listing():
            return {answer.name: await _shapes(answer)}
        case Marked():
            return answer.body
        case _:
            return answer


async def _shapes(listing: Listing) -> list[Json]:
    shaped = []
    for number, item in enumerate(listing.items, start=1):
        shaped.append(listing.shape(item))
        if number % CHUNK == 0:
            await asyncio.sleep(0)
    return shaped
