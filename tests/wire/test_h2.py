"""The reading half of the HTTP/2 codec: requests, the rules clients may break, arbitrary bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.wire import h2frames as wire
from meshbox.wire.h2 import Closed, Drained, H2Server, Request, Reset
from meshbox.wire.h2budget import BODIES_LIMIT, BODY_LIMIT, CONTROL_LIMIT
from tests.wire import h2peer as peer
from tests.wire.h2peer import NOW, Frame, frames

END = wire.END_HEADERS | wire.END_STREAM


def closed_with(server: H2Server, data: bytes) -> int:
    """Feed bytes that must end the connection; returns the code of GOAWAY."""
    events = server.feed(data, NOW)
    assert isinstance(events[-1], Closed)
    assert server.closed == events[-1].reason
    last = frames(peer.drain(server))[-1]
    assert (last.kind, last.stream_id) == (wire.GOAWAY, 0)
    assert server.feed(peer.get(99), NOW) == []
    assert server.pull(9999) == b""
    return int.from_bytes(last.payload[4:8], "big")


def resets(server: H2Server) -> list[tuple[int, int]]:
    found = frames(peer.drain(server))
    assert {frame.kind for frame in found} <= {wire.RST_STREAM}
    return [(frame.stream_id, int.from_bytes(frame.payload, "big")) for frame in found]


def test_settings_are_there_before_the_client_has_said_anything() -> None:
    server = H2Server()
    assert server.wants_write
    assert frames(server.pull(4077)) == [
        Frame(wire.SETTINGS, 0, 0, bytes.fromhex("000100000000" + "000300000064" + "000600004000"))
    ]
    assert not server.wants_write


def test_a_request_and_its_answer() -> None:
    server = peer.started()
    asked = server.feed(peer.begin_post(1, "/machine/register", extra=[("ts-lb", "nodekey:0")]), NOW)
    assert asked == []
    assert server.feed(peer.data(1, b"{}", end=True), NOW) == [
        Request(1, "POST", "/machine/register", ((b"ts-lb", b"nodekey:0"),), b"{}")
    ]
    assert server.respond(1, 200, ((b"content-type", b"text/plain"),), b"hello")
    answer = frames(peer.drain(server))
    assert answer == [
        Frame(wire.HEADERS, wire.END_HEADERS, 1, b"\x88\x0f\x10\x0atext/plain\x0f\x0d\x015"),
        Frame(wire.DATA, wire.END_STREAM, 1, b"hello"),
    ]
    assert server.events() == [Drained(1)]
    assert server.open_streams == 0
    assert not server.respond(1, 200)
    assert not server.queue(1, [b"late"])


def test_bytes_may_arrive_one_by_one() -> None:
    server = H2Server()
    body = bytes(range(256)) * 3
    stream = wire.PREFACE + peer.settings({4: 7}) + peer.begin_post(1) + peer.data(1, body, end=True)
    events = [event for byte in stream for event in server.feed(bytes([byte]), NOW)]
    assert events == [Request(1, "POST", "/", (), body)]


def test_a_body_in_many_frames_with_padding_and_trailers() -> None:
    server = peer.started()
    padded = wire.frame(wire.DATA, wire.PADDED, 1, b"\x05bcd\0\0\0\0\0")
    events = server.feed(peer.begin_post(1) + peer.data(1, b"a") + padded + peer.data(1), NOW)
    assert events == []
    assert server.buffered == 4
    trailers = wire.frame(wire.HEADERS, END, 1, b"\x00\x01t\x01v")
    assert server.feed(trailers, NOW) == [Request(1, "POST", "/", (), b"abcd")]
    assert server.buffered == 0


def test_a_header_block_in_many_frames_with_priority_and_padding() -> None:
    server = peer.started()
    block = peer.block("GET", "/a/long/path/to/cut")
    first = wire.frame(
        wire.HEADERS,
        wire.END_STREAM | wire.PADDED | wire.WITH_PRIORITY,
        1,
        b"\x02" + b"\0\0\0\0\x10" + block[:3] + b"\0\0",
    )
    middle = wire.frame(wire.CONTINUATION, 0, 1, block[3:9])
    last = wire.frame(wire.CONTINUATION, wire.END_HEADERS, 1, block[9:])
    assert server.feed(first + middle, NOW) == []
    assert server.feed(last, NOW) == [Request(1, "GET", "/a/long/path/to/cut", (), b"")]


def test_windows_are_given_back_while_a_body_arrives() -> None:
    server = peer.started()
    server.feed(peer.begin_post(1), NOW)
    granted = {0: 0, 1: 0}
    for sent in range(1, 41):
        assert server.feed(peer.data(1, b"x" * 16384), NOW) == []
        for frame in frames(peer.drain(server)):
            granted[frame.stream_id] += int.from_bytes(frame.payload, "big")
        assert min(granted.values()) + wire.DEFAULT_WINDOW - sent * 16384 >= 16384
    assert len(server.feed(peer.data(1, end=True), NOW)[0].body) == 40 * 16384  # type: ignore[union-attr]


def test_bodies_over_a_megabyte_are_refused_as_soon_as_that_is_known() -> None:
    server = peer.started()
    assert server.feed(peer.begin_post(1, extra=[("content-length", str(BODY_LIMIT + 1))]), NOW) == []
    answer = frames(peer.drain(server))
    assert [frame.kind for frame in answer] == [wire.HEADERS, wire.DATA, wire.RST_STREAM]
    assert b"413" in answer[0].payload
    assert answer[2].payload == bytes(4)
    server = peer.started()
    server.feed(peer.begin_post(1), NOW)
    for _ in range(BODY_LIMIT // 16384):
        assert server.feed(peer.data(1, b"x" * 16384), NOW) == []
    peer.drain(server)
    assert server.feed(peer.data(1, b"x"), NOW) == []
    assert server.buffered == 0
    assert [frame.kind for frame in frames(peer.drain(server))] == [wire.HEADERS, wire.DATA, wire.RST_STREAM]
    # What is still on its way is let go; the connection lives on.
    assert server.feed(peer.data(1, b"x" * 999) + peer.data(1, end=True), NOW) == [Drained(1)]
    assert peer.requests(server.feed(peer.get(3), NOW))


def test_a_body_of_a_megabyte_is_taken() -> None:
    server = peer.started()
    server.feed(peer.begin_post(1, extra=[("content-length", str(BODY_LIMIT))]), NOW)
    events = []
    for number in range(64):
        events += server.feed(peer.data(1, b"x" * 16384, end=number == 63), NOW)
    assert [len(event.body) for event in peer.requests(events)] == [BODY_LIMIT]


def test_many_slow_bodies_together_are_bounded() -> None:
    server = peer.started()
    for stream_id in range(1, 63, 2):
        server.feed(peer.begin_post(stream_id), NOW)
    for _ in range(BODY_LIMIT // 16384 - 1):
        for stream_id in range(1, 63, 2):
            server.feed(peer.data(stream_id, b"x" * 16384), NOW)
            assert server.buffered <= BODIES_LIMIT + 16384
            peer.drain(server)
    assert not server.closed


@pytest.mark.parametrize(
    "fields",
    [
        [(":method", "GET"), (":path", "/")],
        [(":method", "GET"), (":scheme", "https")],
        [(":path", "/"), (":scheme", "https")],
        [(":method", "GET"), (":path", "/"), (":path", "/"), (":scheme", "https")],
        [(":method", "GET"), ("a", "b"), (":path", "/"), (":scheme", "https")],
        [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":status", "200")],
        [(":method", "GET"), (":path", "/"), (":scheme", "https"), ("", "x")],
    ],
)
def test_a_malformed_head_resets_its_stream_only(fields: list[tuple[str, str]]) -> None:
    server = peer.started()
    block = b"".join(
        b"\0%c%b%c%b" % (len(name), name.encode(), len(value), value.encode()) for name, value in fields
    )
    assert server.feed(wire.frame(wire.HEADERS, END, 1, block), NOW) == []
    assert resets(server) == [(1, wire.PROTOCOL_ERROR)]
    assert peer.requests(server.feed(peer.get(3), NOW))


@pytest.mark.parametrize("body", [b"", b"1234", b"123456"])
def test_a_content_length_that_lies_resets_the_stream(body: bytes) -> None:
    server = peer.started()
    server.feed(peer.begin_post(1, extra=[("content-length", "5")]), NOW)
    assert server.feed(peer.data(1, body, end=True), NOW) in ([], [Reset(1)])
    assert resets(server) == [(1, wire.PROTOCOL_ERROR)]


def test_a_cancelled_request_is_told_once_and_takes_its_bytes_along() -> None:
    server = peer.started()
    server.feed(peer.get(1), NOW)
    server.respond(1, 200, end=False)
    server.queue(1, [b"x" * 100_000])
    peer.drain(server)
    assert server.pending(1) == 100_000 - wire.DEFAULT_WINDOW
    cancel = wire.reset(1, 8)
    assert server.feed(cancel + cancel, NOW) == [Reset(1)]
    assert (server.pending(1), server.open_streams, server.wants_write) == (0, 0, False)
    # One whose request never was complete was nobody's business.
    assert server.feed(peer.begin_post(3) + wire.reset(3, 8), NOW) == []


def test_the_second_half_of_a_finished_stream_is_harmless() -> None:
    server = peer.started()
    server.feed(peer.get(1), NOW)
    server.respond(1, 204)
    peer.drain(server)
    late = wire.window_update(1, 5) + wire.reset(1, 8) + peer.data(1, b"x")
    assert server.feed(late + wire.frame(wire.HEADERS, END, 1, b"\x00\x01t\x01v"), NOW) == []
    assert not server.closed


def test_more_than_32_streams_are_refused_not_fatal() -> None:
    server = peer.started()
    events = server.feed(b"".join(peer.get(number) for number in range(1, 81, 2)), NOW)
    assert len(peer.requests(events)) == 32
    assert resets(server) == [(number, wire.REFUSED_STREAM) for number in range(65, 81, 2)]
    server.respond(1, 200)
    assert peer.requests(server.feed(peer.get(81), NOW))


def test_pings_are_answered_and_their_answers_are_not() -> None:
    server = peer.started()
    server.feed(
        wire.frame(wire.PING, 0, 0, b"12345678") + wire.frame(wire.PING, wire.ACK, 0, b"87654321"), NOW
    )
    assert frames(peer.drain(server)) == [Frame(wire.PING, wire.ACK, 0, b"12345678")]


def test_unknown_frames_and_priorities_are_passed_over() -> None:
    server = peer.started()
    odd = (
        wire.frame(200, 255, 5, b"grease") + wire.frame(wire.PRIORITY, 0, 7, bytes(5)) + wire.frame(16, 0, 0)
    )
    assert peer.requests(server.feed(odd + peer.get(1), NOW))


def test_an_orderly_goodbye_waits_for_the_answers() -> None:
    server = peer.started()
    server.feed(peer.get(1), NOW)
    goodbye = wire.frame(wire.GOAWAY, 0, 0, bytes(8))
    assert server.feed(goodbye, NOW) == []
    server.respond(1, 200, body=b"last words")
    assert frames(peer.drain(server))[-1].payload == b"last words"
    assert [type(event) for event in server.events()] == [Drained, Closed]


@pytest.mark.parametrize("code", [0, 2])
def test_a_goodbye_with_nothing_open_or_in_anger_closes_at_once(code: int) -> None:
    server = peer.started()
    if code:
        server.feed(peer.get(1), NOW)
    (event,) = server.feed(wire.frame(wire.GOAWAY, 0, 0, bytes(7) + bytes([code]) + b"debug"), NOW)
    assert isinstance(event, Closed)
    assert event.kind == "left"
    assert not server.wants_write


FATAL = {
    "another protocol": (b"GET / HTTP/1.1\r\n", wire.PROTOCOL_ERROR),
    "an idle stream's data": (peer.data(1, b"x"), wire.PROTOCOL_ERROR),
    "an idle stream's reset": (wire.reset(1, 8), wire.PROTOCOL_ERROR),
    "an idle stream's window": (wire.window_update(1, 1), wire.PROTOCOL_ERROR),
    "an even stream": (peer.get(2), wire.PROTOCOL_ERROR),
    "headers on stream 0": (peer.get(0), wire.PROTOCOL_ERROR),
    "data on stream 0": (peer.data(0, b"x"), wire.PROTOCOL_ERROR),
    "settings on a stream": (wire.frame(wire.SETTINGS, 0, 1), wire.PROTOCOL_ERROR),
    "ping on a stream": (wire.frame(wire.PING, 0, 1, bytes(8)), wire.PROTOCOL_ERROR),
    "goaway on a stream": (wire.frame(wire.GOAWAY, 0, 1, bytes(8)), wire.PROTOCOL_ERROR),
    "a push": (wire.frame(wire.PUSH_PROMISE, 4, 1, bytes(4)), wire.PROTOCOL_ERROR),
    "a stray continuation": (wire.frame(wire.CONTINUATION, 4, 1), wire.PROTOCOL_ERROR),
    "an interrupted block": (wire.frame(wire.HEADERS, 0, 1) + peer.get(1), wire.PROTOCOL_ERROR),
    "another's continuation": (
        wire.frame(wire.HEADERS, 0, 1) + wire.frame(wire.CONTINUATION, 4, 3),
        wire.PROTOCOL_ERROR,
    ),
    "padding over its frame": (wire.frame(wire.HEADERS, 8 | END, 1, b"\x05abc"), wire.PROTOCOL_ERROR),
    "padding of nothing": (wire.frame(wire.HEADERS, 8 | END, 1), wire.PROTOCOL_ERROR),
    "a short priority": (wire.frame(wire.HEADERS, 32 | END, 1, b"abcd"), wire.FRAME_SIZE_ERROR),
    "data after the end": (peer.get(1) + peer.data(1, b"x"), wire.STREAM_CLOSED),
    "two ends": (peer.get(1) + peer.data(1, end=True), wire.STREAM_CLOSED),
    "headers after the end": (peer.get(1) + peer.get(1), wire.STREAM_CLOSED),
    "a large frame": (b"\x00\x40\x01\x00\x00\x00\x00\x00\x01", wire.FRAME_SIZE_ERROR),
    "settings of five bytes": (wire.frame(wire.SETTINGS, 0, 0, bytes(5)), wire.FRAME_SIZE_ERROR),
    "a full acknowledgement": (wire.frame(wire.SETTINGS, 1, 0, bytes(6)), wire.FRAME_SIZE_ERROR),
    "a ping of seven bytes": (wire.frame(wire.PING, 0, 0, bytes(7)), wire.FRAME_SIZE_ERROR),
    "a reset of three bytes": (wire.frame(wire.RST_STREAM, 0, 1, bytes(3)), wire.FRAME_SIZE_ERROR),
    "a window of three bytes": (wire.frame(wire.WINDOW_UPDATE, 0, 0, bytes(3)), wire.FRAME_SIZE_ERROR),
    "a priority of four bytes": (wire.frame(wire.PRIORITY, 0, 1, bytes(4)), wire.FRAME_SIZE_ERROR),
    "a goaway of seven bytes": (wire.frame(wire.GOAWAY, 0, 0, bytes(7)), wire.FRAME_SIZE_ERROR),
    "a window by nothing": (wire.window_update(0, 0), wire.PROTOCOL_ERROR),
    "a window too wide": (wire.window_update(0, wire.WINDOW_LIMIT), wire.FLOW_CONTROL_ERROR),
    "an initial window too wide": (peer.settings({4: 1 << 31}), wire.FLOW_CONTROL_ERROR),
    "frames of no bytes": (peer.settings({5: 0}), wire.PROTOCOL_ERROR),
    "frames too small": (peer.settings({5: 16383}), wire.PROTOCOL_ERROR),
    "frames too large": (peer.settings({5: 1 << 24}), wire.PROTOCOL_ERROR),
    "a push setting of two": (peer.settings({2: 2}), wire.PROTOCOL_ERROR),
    "a broken block": (wire.frame(wire.HEADERS, END, 1, b"\x80"), wire.COMPRESSION_ERROR),
}


@pytest.mark.parametrize("name", FATAL)
def test_what_breaks_the_protocol_ends_the_connection(name: str) -> None:
    data, code = FATAL[name]
    server = H2Server() if name == "another protocol" else peer.started()
    assert closed_with(server, data) == code


@pytest.mark.parametrize("first", [peer.get(1), wire.SETTINGS_ACK, wire.frame(wire.PING, 0, 0, bytes(8))])
def test_the_first_frame_is_settings(first: bytes) -> None:
    assert closed_with(H2Server(), wire.PREFACE + first) == wire.PROTOCOL_ERROR


def test_a_wrong_preface_is_known_by_its_first_byte() -> None:
    assert closed_with(H2Server(), b"X") == wire.PROTOCOL_ERROR


@pytest.mark.parametrize(
    ("increment", "code"), [(0, wire.PROTOCOL_ERROR), (wire.WINDOW_LIMIT, wire.FLOW_CONTROL_ERROR)]
)
def test_a_wrong_window_update_resets_its_stream(increment: int, code: int) -> None:
    server = peer.started()
    server.feed(peer.get(1), NOW)
    assert server.feed(wire.window_update(1, increment), NOW) == [Reset(1)]
    assert resets(server) == [(1, code)]


def test_trailers_without_an_end_reset_their_stream() -> None:
    server = peer.started()
    assert server.feed(peer.begin_post(1) + peer.begin_post(1), NOW) == []
    assert resets(server) == [(1, wire.PROTOCOL_ERROR)]


# Arbitrary input

KINDS = st.integers(0, 11)
IDS = st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 7, 2**31 - 1])
PAYLOADS = st.one_of(
    st.sampled_from(
        [b"", bytes(4), bytes(8), b"\0\0\0\x01", b"\x7f\xff\xff\xff", peer.block(), peer.block("HEAD", "/h")]
    ),
    st.binary(max_size=40),
)
FRAMES = st.builds(wire.frame, KINDS, st.sampled_from([0, 1, 4, 5, 8, 12, 13, 32, 37, 255]), IDS, PAYLOADS)
ACTIONS = st.sampled_from(["nothing", "respond", "stream", "pull", "pull little", "goaway"])


def act(server: H2Server, action: str, ids: list[int]) -> None:
    """What an owner might do between two chunks."""
    for stream_id in ids[-3:]:
        if action == "respond":
            server.respond(stream_id, 200, ((b"content-type", b"text/plain"),), b"some body")
        elif action == "stream":
            server.respond(stream_id, 200, end=False)
            server.queue(stream_id, [b"x" * 70_000, b"", b"y"])
    if action == "pull":
        peer.drain(server)
    elif action == "pull little":
        server.pull(20)
    elif action == "goaway":
        server.goaway()


@given(st.lists(st.tuples(FRAMES, ACTIONS), max_size=30), st.integers(1, 200))
@settings(max_examples=300, deadline=None)
def test_arbitrary_frames_end_in_events_and_bounded_memory(script: list[tuple[bytes, str]], cut: int) -> None:
    server = peer.started()
    ids: list[int] = []
    closings = 0
    for data, action in script:
        for at in range(0, len(data), cut):
            for event in server.feed(data[at : at + cut], NOW):
                closings += isinstance(event, Closed)
                if isinstance(event, Request):
                    ids.append(event.stream_id)
        act(server, action, ids)
        assert len(server._buffer) <= wire.HEAD_BYTES + wire.FRAME_LIMIT
        assert len(server._control) <= CONTROL_LIMIT + 2000
        assert server.buffered <= BODIES_LIMIT
        assert server._unsent == sum(stream.left for stream in server._streams.values())
    closings += sum(isinstance(event, Closed) for event in server.events())
    assert closings == bool(server.closed)
    peer.drain(server)


@given(st.binary(max_size=300), st.booleans())
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_end_in_events(data: bytes, behind_settings: bool) -> None:
    server = peer.started() if behind_settings else H2Server()
    for event in server.feed(data, NOW):
        assert isinstance(event, Request | Reset | Closed)
    peer.drain(server)
