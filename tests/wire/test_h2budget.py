"""Every flood a connection counts, just below its limit and just above it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meshbox.wire import h2budget as budget
from meshbox.wire import h2frames as wire
from meshbox.wire.h2 import Closed, H2Server
from meshbox.wire.hpack import _pack_integer
from tests.wire import h2peer as peer
from tests.wire.h2peer import NOW, frames

PING = wire.frame(wire.PING, 0, 0, bytes(8))


def next_id(server: H2Server) -> int:
    return server._last_id + 1 | 1


def open_and_reset(server: H2Server) -> bytes:
    stream_id = next_id(server)
    return peer.get(stream_id) + wire.reset(stream_id, 8)


def make_us_reset(server: H2Server) -> bytes:
    """A request that is malformed: the reset is ours, the work is the same."""
    return wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, next_id(server), b"\x82")


def ask(server: H2Server) -> bytes:
    """A request that is answered, so that no stream stays open."""
    for stream_id in list(server._streams):
        server.respond(stream_id, 204)
    return peer.get(next_id(server))


def ask_at_length(server: H2Server) -> bytes:
    """A request with a header block of 8 KiB."""
    request = frames(ask(server))[0]
    rest = 8192 - len(request.payload) - 6
    long = b"\0\x01x" + _pack_integer(0, 0x7F, rest) + b"v" * rest
    return wire.frame(request.kind, request.flags, request.stream_id, request.payload + long)


def same(data: bytes) -> Callable[[H2Server], bytes]:
    return lambda _server: data


# The counter, its limit, and the bytes that move it by one. SETTINGS and its ACK have been counted, as
# pings and as frames.
FLOODS = {
    "rapid reset": ("resets", budget.RESETS, open_and_reset),
    "resets we make": ("resets", budget.RESETS, make_us_reset),
    "trailers of no stream": ("resets", budget.RESETS - 1, same(peer.get(1))),
    "pings": ("pings", budget.PINGS - 2, same(PING)),
    "answers to no ping": ("pings", budget.PINGS - 2, same(wire.frame(wire.PING, wire.ACK, 0, bytes(8)))),
    "settings": ("pings", budget.PINGS - 2, same(peer.settings({4: 70_000}))),
    "settings acknowledged": ("pings", budget.PINGS - 2, same(wire.SETTINGS_ACK)),
    "requests": ("requests", budget.REQUESTS, ask),
    "header bytes": ("header_bytes", budget.HEADER_BYTES // 8192, ask_at_length),
    "windows": ("frames", budget.FRAMES - 2, same(wire.window_update(0, 1))),
    "priorities": ("frames", budget.FRAMES - 2, same(wire.frame(wire.PRIORITY, 0, 1, bytes(5)))),
    "unknown frames": ("frames", budget.FRAMES - 2, same(wire.frame(77, 0, 0))),
}


def flood(server: H2Server, name: str, count: int, now: float) -> Closed | None:
    _, _, make = FLOODS[name]
    for _ in range(count):
        for event in server.feed(make(server), now):
            if isinstance(event, Closed):
                return event
        server.pull(1 << 20)
    return None


def primed(name: str) -> H2Server:
    server = peer.started()
    if name == "trailers of no stream":
        server.feed(peer.get(1) + wire.reset(1, 8), NOW)
    return server


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection_just_above_its_limit(name: str) -> None:
    kind, limit, _ = FLOODS[name]
    server = primed(name)
    assert flood(server, name, limit, NOW) is None
    closed = flood(server, name, 1, NOW)
    assert closed is not None
    assert closed.kind == kind
    goaway = frames(peer.drain(server))[-1]
    assert goaway.payload[4:8] == wire.word.pack(wire.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize("name", ["rapid reset", "pings", "requests"])
def test_the_same_in_good_time_is_no_flood(name: str) -> None:
    _, limit, _ = FLOODS[name]
    server = primed(name)
    for span in range(3):
        assert flood(server, name, limit, NOW + span * budget.SPAN) is None


def test_a_clock_set_back_begins_a_new_span() -> None:
    server = primed("pings")
    flood(server, "pings", budget.PINGS - 2, NOW)
    assert flood(server, "pings", budget.PINGS, NOW - 3600) is None


def test_after_a_rapid_reset_flood_nothing_is_read() -> None:
    server = peer.started()
    attack = b"".join(peer.get(number) + wire.reset(number, 8) for number in range(1, 2 * 5000, 2))
    events = server.feed(attack, NOW)
    assert len(peer.requests(events)) == budget.RESETS + 1
    assert isinstance(events[-1], Closed)
    assert server.feed(attack, NOW) == []
    assert server._buffer == b""


def test_a_header_block_without_end_is_cut_at_eight_continuations() -> None:
    server = peer.started()
    server.feed(wire.frame(wire.HEADERS, 0, 1, b"\x82"), NOW)
    more = wire.frame(wire.CONTINUATION, 0, 1)
    assert server.feed(more * budget.CONTINUATIONS, NOW) == []
    (closed,) = server.feed(more, NOW)
    assert isinstance(closed, Closed)
    assert closed.kind == "headers"


def test_a_header_block_is_cut_at_its_size() -> None:
    server = peer.started()
    server.feed(wire.frame(wire.HEADERS, 0, 1, b"\0" * 16384), NOW)
    (closed,) = server.feed(wire.frame(wire.CONTINUATION, 0, 1, b"\0"), NOW)
    assert isinstance(closed, Closed)
    assert closed.kind == "headers"


def test_a_bomb_of_header_references_is_cut() -> None:
    server = peer.started()
    server.feed(wire.frame(wire.HEADERS, 5, 1, b"\x3f\xe1\x1f" + b"\x40\x01a\x7f\x80\x1e" + b"x" * 3967), NOW)
    (closed,) = server.feed(wire.frame(wire.HEADERS, 5, 3, b"\xbe" * 1000), NOW)
    assert isinstance(closed, Closed)
    assert closed.kind == "headers"


def test_a_client_that_reads_nothing_cannot_make_us_hoard_answers() -> None:
    server = peer.started()
    closed = None
    for span in range(1000):
        for _ in range(budget.PINGS - 2):
            for event in server.feed(PING, NOW + span * budget.SPAN):
                closed = event
        if closed:
            break
        assert len(server._control) <= budget.CONTROL_LIMIT + 100
    assert isinstance(closed, Closed)
    assert closed.kind == "unread"


def test_one_byte_frames_cannot_carry_a_body_forever() -> None:
    server = peer.started()
    server.feed(peer.begin_post(1), NOW)
    drop = peer.data(1, b"x") * 1000
    events = [event for _ in range(20) for event in server.feed(drop, NOW)]
    assert isinstance(events[-1], Closed)
    assert events[-1].kind == "frames"
