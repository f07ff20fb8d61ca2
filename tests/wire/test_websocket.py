"""The WebSocket framing against an encoder of the test's own, cut anywhere and broken everywhere."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed, TooLarge
from meshbox.wire import websocket
from meshbox.wire.websocket import Frames, accept_upgrade, wrap

# RFC 6455, section 1.3.
HEADERS = {
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "other, tailscale-control-protocol",
}


def frame(opcode: int, payload: bytes, final: bool = True, masked: bool = True) -> bytes:
    head = bytearray([(0x80 if final else 0) | opcode])
    bit = 0x80 if masked else 0
    if len(payload) < 126:
        head.append(bit | len(payload))
    elif len(payload) < 65536:
        head += struct.pack(">BH", bit | 126, len(payload))
    else:
        head += struct.pack(">BQ", bit | 127, len(payload))
    if not masked:
        return bytes(head) + payload
    mask = os.urandom(4)
    return bytes(head) + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def read_server_frames(data: bytes) -> list[tuple[int, bytes]]:
    frames = []
    while data:
        length, offset = data[1], 2
        if length == 126:
            length, offset = struct.unpack(">H", data[2:4])[0], 4
        frames.append((data[0] & 0x0F, data[offset : offset + length]))
        data = data[offset + length :]
    return frames


def test_the_upgrade_answer_is_the_one_of_the_rfc() -> None:
    answer = accept_upgrade(HEADERS, "tailscale-control-protocol").decode()
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert "Sec-WebSocket-Protocol: tailscale-control-protocol\r\n" in answer
    assert "Extensions" not in answer


@pytest.mark.parametrize(
    "change",
    [
        {"sec-websocket-version": "8"},
        {"sec-websocket-key": "short"},
        {"sec-websocket-key": "!!!"},
        {"sec-websocket-protocol": "derp"},
        {"sec-websocket-protocol": ""},
    ],
)
def test_other_requests_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        accept_upgrade(HEADERS | change, "tailscale-control-protocol")


@given(st.lists(st.binary(max_size=400), max_size=5), st.integers(1, 50))
def test_the_stream_survives_any_cut(messages: list[bytes], step: int) -> None:
    data = b"".join(frame(websocket.BINARY, message) for message in messages)
    frames = Frames()
    received = b"".join(frames.feed(data[i : i + step]) for i in range(0, len(data), step))
    assert received == b"".join(messages)


def test_fragments_are_one_stream_and_a_ping_between_them_is_answered() -> None:
    frames = Frames()
    data = frame(websocket.BINARY, b"ab", final=False) + frame(websocket.PING, b"hi")
    data += frame(websocket.CONTINUATION, b"cd")
    assert frames.feed(data) == b"abcd"
    assert read_server_frames(bytes(frames.answers)) == [(websocket.PONG, b"hi")]


def test_a_close_is_answered_and_ends_it() -> None:
    frames = Frames()
    assert frames.feed(frame(websocket.CLOSE, b"\x03\xe8") + frame(websocket.BINARY, b"late")) == b""
    assert frames.is_closed
    assert read_server_frames(bytes(frames.answers)) == [(websocket.CLOSE, struct.pack(">H", 1000))]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(websocket.TEXT, b"hello"), websocket.UNSUPPORTED),
        (frame(websocket.BINARY, b"x", masked=False), websocket.PROTOCOL_ERROR),
        (frame(websocket.CONTINUATION, b"x"), websocket.PROTOCOL_ERROR),
        (frame(websocket.BINARY, b"x", final=False) * 2, websocket.PROTOCOL_ERROR),
        (frame(websocket.PING, b"x" * 126), websocket.PROTOCOL_ERROR),
        (frame(websocket.PING, b"x", final=False), websocket.PROTOCOL_ERROR),
        (frame(0x3, b""), websocket.PROTOCOL_ERROR),
        (frame(0x40 | websocket.BINARY, b""), websocket.PROTOCOL_ERROR),
    ],
)
def test_what_is_not_allowed_has_its_close_code(data: bytes, code: int) -> None:
    frames = Frames()
    with pytest.raises(Malformed):
        frames.feed(data)
    assert frames.close_code == code


def test_a_frame_of_any_claimed_length_is_refused_before_it_is_awaited() -> None:
    for length in (websocket.FRAME_LIMIT + 1, 2**63):
        frames = Frames()
        with pytest.raises(TooLarge):
            frames.feed(b"\x82\xff" + struct.pack(">Q", length))
        assert frames.close_code == websocket.TOO_BIG


@given(st.binary(max_size=200))
def test_any_bytes_are_data_or_a_refusal(data: bytes) -> None:
    frames = Frames()
    try:
        assert len(frames.feed(data)) <= len(data)
    except (Malformed, TooLarge):
        assert frames.close_code != websocket.NORMAL


def test_outgoing_messages_stay_below_what_browsers_take() -> None:
    data = os.urandom(100_000)
    frames = read_server_frames(wrap(data))
    assert b"".join(payload for _, payload in frames) == data
    assert {opcode for opcode, _ in frames} == {websocket.BINARY}
    assert max(len(payload) for _, payload in frames) <= 32_768
