"""A WebSocket between a protocol that wants a byte stream and the transport it arrives on.

Browser clients reach `/ts2021` and `/derp` this way. The inner protocol writes to the Pipe as to a transport.
"""

from __future__ import annotations

import asyncio
from typing import Any

from meshbox.errors import PeerError
from meshbox.serve.buffered import feed
from meshbox.wire.websocket import NORMAL, Frames, close_frame, wrap


class Pipe(asyncio.Protocol, asyncio.Transport):
    """The protocol of the outer transport, and the transport of `inner`, which is set right after."""

    def __init__(self, outer: asyncio.Transport) -> None:
        super().__init__()
        self.outer = self._outer = outer
        self._frames = Frames()
        self._is_paused = False
        self.inner: asyncio.Protocol = asyncio.Protocol()

    # Of the outer transport

    def data_received(self, data: bytes) -> None:
        frames = self._frames
        try:
            plain = frames.feed(data)
        except PeerError:
            self._outer.write(close_frame(frames.close_code))
            self._outer.close()
            return
        # A client that pings and does not read gets no more answers than the transport takes.
        if frames.answers and not self._is_paused:
            self._outer.write(bytes(frames.answers))
        frames.answers.clear()
        if plain:
            self.inner.data_received(plain)
        if frames.is_closed:
            self._outer.close()

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._is_paused = True
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self._is_paused = False
        self.inner.resume_writing()

    # For the inner protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """One that wants its bytes in a buffer of its own gets them there."""
        self.inner = _Unbuffered(protocol) if isinstance(protocol, asyncio.BufferedProtocol) else protocol  # type: ignore[assignment]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._outer.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._outer.pause_reading()

    def resume_reading(self) -> None:
        self._outer.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._outer.get_write_buffer_size()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._outer.write(wrap(bytes(data)))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._outer.set_write_buffer_limits(high, low)

    def is_closing(self) -> bool:
        return self._outer.is_closing()

    def close(self) -> None:
        if not self._outer.is_closing():
            self._outer.write(close_frame(NORMAL))
            self._outer.close()

    def abort(self) -> None:
        self._outer.abort()


class _Unbuffered(asyncio.Protocol):
    """A buffered protocol that is given bytes."""

    def __init__(self, inner: asyncio.BufferedProtocol) -> None:
        self._inner = inner
        self.connection_lost = inner.connection_lost  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        feed(self._inner, data)
