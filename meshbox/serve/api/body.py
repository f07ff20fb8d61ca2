"""The bytes of a request body, with a limit and a deadline: aiohttp by itself waits for ever."""

from __future__ import annotations

import asyncio

from aiohttp import ClientPayloadError, web

from meshbox.errors import Malformed, TooLarge

BODY_DEADLINE = 15.0
"""Seconds for a body to arrive: one byte per second would hold a connection for a day."""


async def receive(request: web.Request, limit: int) -> bytes:
    """The whole body. Raises Malformed, TooLarge, TimeoutError."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Malformed("compressed request bodies are not accepted")
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the request body is larger than {limit >> 10} KiB")
    received = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            while piece := await request.content.readany():
                received += piece
                if len(received) > limit:
                    raise TooLarge(f"the request body is larger than {limit >> 10} KiB")
    except (web.RequestPayloadError, ClientPayloadError, ConnectionError):
        raise Malformed("the request body broke off") from None
    return bytes(received)
