"""Handing bytes that somebody else received to a buffered protocol."""

from __future__ import annotations

import asyncio
from typing import cast


def feed(protocol: asyncio.BufferedProtocol, received: bytes) -> None:
    """Hand bytes to a buffered protocol as its transport would."""
    rest = memoryview(received)
    while rest:
        buffer = cast(memoryview, protocol.get_buffer(-1))
        count = min(len(buffer), len(rest))
        buffer[:count] = rest[:count]
        protocol.buffer_updated(count)
        rest = rest[count:]
