"""Saying that we have said everything, to a peer that may have gone already."""

from __future__ import annotations

import asyncio


def half_close(transport: asyncio.WriteTransport) -> None:
    """End our half once what is buffered was sent.

    asyncio shuts an idle socket down at once, and the kernel refuses (ENOTCONN) when the peer's reset came in
    before the loop read it: whoever was answering got an OSError out of `close()`, and the journal a
    traceback for each client that closes abruptly. Such a connection has no half left to end.
    """
    try:
        transport.write_eof()
    except OSError:
        transport.abort()
