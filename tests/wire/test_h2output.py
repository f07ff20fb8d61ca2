"""The writing half of the HTTP/2 codec: windows, turns, limits of a pull, and the drain."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.wire import h2frames as wire
from meshbox.wire.h2 import Closed, Drained, H2Server
from meshbox.wire.h2budget import UNSENT_LIMIT
from tests.wire import h2peer as peer
from tests.wire.h2peer import NOW, frames

POLL, OTHER = 1, 3


def serving(values: dict[int, int] | None = None) -> H2Server:
    """A server with two open streams whose answers have begun."""
    server = peer.started(values)
    server.feed(peer.get(POLL) + peer.get(OTHER), NOW)
    for stream_id in (POLL, OTHER):
        server.respond(stream_id, 200, end=False)
    peer.drain(server)
    return server


def body_of(data: bytes, stream_id: int) -> bytes:
    return b"".join(frame.payload for frame in frames(data) if frame.stream_id == stream_id)


def test_a_small_delta_is_one_frame_and_shares_its_bytes() -> None:
    server = serving()
    delta = b"\x04\0\0\0abcd"
    assert server.queue(POLL, [delta])
    assert server.pending(POLL) == 8
    assert server.pull(4077) == wire.frame(wire.DATA, 0, POLL, delta)
    assert server.pending(POLL) == 0
    assert server.events() == [Drained(POLL)]
    assert server.events() == []


def test_a_stream_stops_at_its_window_and_goes_on_behind_it() -> None:
    server = serving({4: 100})
    server.queue(POLL, [bytes(range(150))], end=True)
    first = peer.drain(server)
    assert (len(body_of(first, POLL)), server.pending(POLL)) == (100, 50)
    assert server.feed(wire.window_update(POLL, 49), NOW) == []
    assert len(body_of(peer.drain(server), POLL)) == 49
    server.feed(wire.window_update(POLL, 1), NOW)
    (last,) = frames(peer.drain(server))
    assert last == (wire.DATA, wire.END_STREAM, POLL, bytes([149]))


def test_the_connection_window_binds_all_streams() -> None:
    server = serving({4: 1 << 20})
    server.queue(POLL, [b"a" * 50_000])
    server.queue(OTHER, [b"b" * 50_000])
    out = peer.drain(server)
    assert sum(len(frame.payload) for frame in frames(out)) == wire.DEFAULT_WINDOW
    server.feed(wire.window_update(0, 1 << 20), NOW)
    out += peer.drain(server)
    assert (body_of(out, POLL), body_of(out, OTHER)) == (b"a" * 50_000, b"b" * 50_000)


def test_a_smaller_initial_window_makes_open_windows_negative() -> None:
    server = serving({4: 1000})
    server.queue(POLL, [b"x" * 2000])
    peer.drain(server)
    server.feed(peer.settings({4: 10}), NOW)
    peer.drain(server)
    server.feed(wire.window_update(POLL, 990), NOW)
    assert not server.wants_write
    server.feed(wire.window_update(POLL, 7), NOW)
    assert len(body_of(peer.drain(server), POLL)) == 7
    server.feed(peer.settings({4: 1010}), NOW)
    assert server.pull(9) == wire.SETTINGS_ACK
    assert len(body_of(peer.drain(server), POLL)) == 993


def test_an_end_goes_out_although_no_window_is_left() -> None:
    server = serving({4: 0})
    server.queue(POLL, [], end=True)
    server.queue(OTHER, [b"x"], end=True)
    assert frames(peer.drain(server)) == [(wire.DATA, wire.END_STREAM, POLL, b"")]
    assert server.open_streams == 1


def test_streams_take_turns() -> None:
    server = serving({4: 1 << 20})
    server.feed(wire.window_update(0, 1 << 20), NOW)
    server.queue(POLL, [b"m" * 300_000])
    assert server.pull(4077)
    server.queue(OTHER, [b"small answer"], end=True)
    assert {frame.stream_id for frame in frames(server.pull(4077) + server.pull(4077))} == {POLL, OTHER}


@pytest.mark.parametrize("limit", [10, 11, 100, 4077, 16393, 16394, 65536])
def test_a_pull_stays_below_its_limit_and_loses_nothing(limit: int) -> None:
    server = serving({4: 1 << 20})
    server.feed(wire.window_update(0, 1 << 20) + peer.get(5), NOW)
    body = bytes(range(256)) * 20
    server.queue(POLL, [body[:1000], body[1000:1001], body[1001:]], end=True)
    server.respond(5, 200, ((b"x-long", b"h" * 200),), body)
    out = peer.drain(server, limit)
    assert body_of(out, POLL) == body
    assert body_of(out, 5).endswith(body)
    assert max(len(frame.payload) for frame in frames(out)) <= min(wire.FRAME_LIMIT, max(limit, 250))


def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    server = peer.started()
    server.feed(wire.frame(wire.HEADERS, 5, 1, peer.block("HEAD", "/ping")), NOW)
    server.respond(1, 200, body=b"12345")
    (only,) = frames(peer.drain(server))
    assert (only.kind, only.flags) == (wire.HEADERS, wire.END_HEADERS | wire.END_STREAM)
    assert only.payload.endswith(b"\x015")


@pytest.mark.parametrize(("status", "has_length"), [(200, True), (204, False), (304, False), (501, True)])
def test_an_empty_answer_is_one_frame(status: int, has_length: bool) -> None:
    server = peer.started()
    server.feed(peer.get(1), NOW)
    server.respond(1, status)
    (only,) = frames(peer.drain(server))
    assert only.flags == wire.END_HEADERS | wire.END_STREAM
    assert only.payload.endswith(b"\x0f\x0d\x010") == has_length


def test_headers_too_long_for_a_frame_are_our_fault() -> None:
    server = peer.started()
    server.feed(peer.get(1), NOW)
    with pytest.raises(ValueError, match="do not fit"):
        server.respond(1, 200, ((b"x", b"y" * 17_000),))


def test_nothing_is_queued_behind_four_unsent_megabytes() -> None:
    server = serving({4: 0})
    # One message may be as large as it is, and holds up no answer on another stream.
    assert server.queue(POLL, [b"x" * UNSENT_LIMIT, b"y"])
    assert server.queue(OTHER, [b"z"])
    assert server.pending(POLL) == UNSENT_LIMIT + 1
    assert not server.queue(POLL, [b"z"])
    (event,) = server.events()
    assert isinstance(event, Closed)
    assert event.kind == "unsent"
    (goaway,) = frames(peer.drain(server))
    assert goaway.payload[4:8] == wire.word.pack(wire.ENHANCE_YOUR_CALM)
    assert server.pending(POLL) == 0


def test_a_ping_goes_out_before_data_and_its_answer_is_no_event() -> None:
    server = serving()
    server.queue(POLL, [b"data"])
    server.ping()
    first, second = frames(peer.drain(server))
    assert first == (wire.PING, 0, 0, bytes(8)) and second.payload == b"data"
    server.events()
    assert server.feed(wire.frame(wire.PING, wire.ACK, 0, bytes(8)), NOW) == []
    assert server.pull(4077) == b""
    server.goaway(wire.PROTOCOL_ERROR, "over")
    server.pull(4077)
    server.ping()
    assert server.pull(4077) == b""


def test_a_stream_can_be_given_up() -> None:
    server = serving({4: 10})
    server.queue(POLL, [b"x" * 50])
    peer.drain(server)
    server.cancel(POLL)
    server.cancel(POLL)
    assert frames(peer.drain(server)) == [(wire.RST_STREAM, 0, POLL, bytes(4))]
    assert (server.is_open(POLL), server.is_open(OTHER), server.pending(POLL)) == (False, True, 0)
    server.events()
    assert server.feed(wire.reset(POLL, 8), NOW) == []
    assert server._unsent == 0


def test_a_drain_lets_open_streams_finish_and_refuses_new_ones() -> None:
    server = serving()
    server.goaway()
    server.goaway()
    assert frames(peer.drain(server)) == [(wire.GOAWAY, 0, 0, wire.word.pack(OTHER) + bytes(4))]
    assert server.feed(peer.get(5), NOW) == []
    assert frames(peer.drain(server)) == [(wire.RST_STREAM, 0, 5, wire.word.pack(wire.REFUSED_STREAM))]
    server.queue(POLL, [b"news"])
    assert body_of(peer.drain(server), POLL) == b"news"
    server.queue(POLL, [], end=True)
    peer.drain(server)
    assert not server.closed
    assert server.feed(wire.reset(OTHER, 8), NOW)[-1] == Closed(
        "all streams have ended after GOAWAY", "drained"
    )
    assert server.closed
    server.goaway(wire.PROTOCOL_ERROR, "too late")
    assert not server.wants_write


def test_a_drain_of_an_idle_connection_is_over_at_once() -> None:
    server = peer.started()
    server.goaway(text="restart")
    assert server.closed
    assert frames(peer.drain(server)) == [(wire.GOAWAY, 0, 0, bytes(8) + b"restart")]


def test_a_goodbye_with_a_code_drops_everything() -> None:
    server = serving()
    server.queue(POLL, [b"unsent"])
    server.goaway(wire.ENHANCE_YOUR_CALM, "stalled")
    assert server.events() == [Closed("stalled", "local")]
    (goaway,) = frames(peer.drain(server))
    assert goaway.payload == wire.word.pack(OTHER) + wire.word.pack(0xB) + b"stalled"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([POLL, OTHER]),
            st.lists(st.binary(max_size=400), max_size=4),
            st.integers(10, 600),
            st.integers(1, 500),
        ),
        max_size=25,
    )
)
@settings(max_examples=100, deadline=None)
def test_what_is_pulled_is_what_was_queued(steps: list[tuple[int, list[bytes], int, int]]) -> None:
    server = serving({4: 300})
    queued = {POLL: b"", OTHER: b""}
    granted = {POLL: 300, OTHER: 300}
    out = b""
    for stream_id, pieces, limit, increment in steps:
        server.queue(stream_id, pieces)
        queued[stream_id] += b"".join(pieces)
        out += server.pull(limit)
        server.feed(wire.window_update(stream_id, increment), NOW)
        granted[stream_id] += increment
    out += peer.drain(server)
    for stream_id, expected in queued.items():
        sent = body_of(out, stream_id)
        assert sent == expected[: granted[stream_id]]
        assert server.pending(stream_id) == len(expected) - len(sent)
