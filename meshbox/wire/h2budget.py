"""How much a client may make one HTTP/2 connection do. Everything inside the tunnel is public.

Counts run over fixed spans of time; passing one is a Fault with ENHANCE_YOUR_CALM whose `kind` is the
counter's name. Sizes are constants that the codec checks where it would spend them.
"""

from __future__ import annotations

from meshbox.wire.h2frames import ENHANCE_YOUR_CALM, Fault

SPAN = 10.0  # seconds
# Rapid reset (CVE-2023-44487): open and cancel streams faster than they can be served. Resets we are
# made to send count too (CVE-2025-8671), and so do frames for streams that are gone.
RESETS = 100
# Each asks for an answer; a client that does not read would fill our memory with them.
PINGS = 50
# The official client makes a handful; with a bad key it retries about ten times in four seconds.
REQUESTS = 1000
# Header blocks may be Huffman code, which costs 0.2 us a byte to decode here: without a limit 1.6 MB/s of
# full-size headers would take a quarter of a core. An official request is about 200 bytes.
HEADER_BYTES = 512 << 10
# Frames that cost us time and buy the client nothing: WINDOW_UPDATE, PRIORITY, unknown types, empty or
# one-byte DATA. The official client sends a WINDOW_UPDATE for each 4 KiB it read, on the stream and on
# the connection: about 5,000 for a plain-text map of 10 MB.
FRAMES = 10_000
# CONTINUATION flood (CVE-2024-27316): a header block that never ends.
CONTINUATIONS = 8
# Open streams. The official client has two or three.
STREAMS = 32
# Register and map requests are a few KB; the cap on all bodies that are not complete yet keeps many slow
# uploads on one connection from being many times the cap.
BODY_LIMIT = 1 << 20
BODIES_LIMIT = 2 << 20
# Nothing is queued behind this many unsent bytes of a stream. One message may be larger, as a first map of
# 30,000 nodes is, and small answers pass beside it.
UNSENT_LIMIT = 4 << 20
# Acks, resets and header blocks a client lets pile up by not reading.
CONTROL_LIMIT = 32 << 10


class Budget:
    """What one connection did in the present span."""

    __slots__ = ("_frames", "_headers", "_pings", "_requests", "_resets", "_since")

    def __init__(self) -> None:
        self._since = 0.0
        self._frames = self._headers = self._pings = self._requests = self._resets = 0

    def advance(self, now: float) -> None:
        """Start a new span when the old one is over, or when the clock was set back."""
        if not 0 <= now - self._since < SPAN:
            self._since = now
            self._frames = self._headers = self._pings = self._requests = self._resets = 0

    def frame(self) -> None:
        self._frames += 1
        if self._frames > FRAMES:
            raise _calm("frames", FRAMES)

    def ping(self) -> None:
        self._pings += 1
        if self._pings > PINGS:
            raise _calm("pings", PINGS)

    def request(self) -> None:
        self._requests += 1
        if self._requests > REQUESTS:
            raise _calm("requests", REQUESTS)

    def header_block(self, size: int) -> None:
        self._headers += size
        if self._headers > HEADER_BYTES:
            raise _calm("header_bytes", HEADER_BYTES)

    def reset(self) -> None:
        self._resets += 1
        if self._resets > RESETS:
            raise _calm("resets", RESETS)


def _calm(kind: str, limit: int) -> Fault:
    return Fault(ENHANCE_YOUR_CALM, f"more than {limit} {kind.replace('_', ' ')} in {SPAN:.0f} s", kind)
