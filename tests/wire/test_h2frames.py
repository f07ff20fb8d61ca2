"""Frame layout: our frames against hyperframe, which the h2 library reads with."""

from __future__ import annotations

import pytest
from hyperframe.frame import Frame, GoAwayFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from meshbox.errors import PeerError
from meshbox.wire import h2frames as wire


def read(data: bytes) -> Frame:
    found, length = Frame.parse_frame_header(memoryview(data[:9]))
    assert length == len(data) - 9
    found.parse_body(memoryview(data[9:]))
    return found


def test_control_frames_say_what_they_mean() -> None:
    reset = read(wire.reset(7, wire.REFUSED_STREAM))
    assert isinstance(reset, RstStreamFrame)
    assert (reset.stream_id, reset.error_code) == (7, 7)
    update = read(wire.window_update(3, 65535))
    assert isinstance(update, WindowUpdateFrame)
    assert (update.stream_id, update.window_increment) == (3, 65535)
    goaway = read(wire.frame(wire.GOAWAY, 0, 0, wire.word.pack(5) + wire.word.pack(11) + b"why"))
    assert isinstance(goaway, GoAwayFrame)
    assert (goaway.last_stream_id, goaway.error_code, goaway.additional_data) == (5, 11, b"why")


def test_our_settings_keep_no_header_table_and_invite_100_streams() -> None:
    settings = read(wire.OUR_SETTINGS)
    assert isinstance(settings, SettingsFrame)
    assert settings.settings == {
        SettingsFrame.HEADER_TABLE_SIZE: 0,
        SettingsFrame.MAX_CONCURRENT_STREAMS: 100,
        SettingsFrame.MAX_HEADER_LIST_SIZE: 16384,
    }
    acknowledged = read(wire.SETTINGS_ACK)
    assert isinstance(acknowledged, SettingsFrame)
    assert "ACK" in acknowledged.flags


@pytest.mark.parametrize(
    ("payload", "inside"), [(b"\0abc", b"abc"), (b"\x02a\0\0", b"a"), (b"\x02\0\0", b"")]
)
def test_padding_is_stripped(payload: bytes, inside: bytes) -> None:
    assert wire.strip(wire.PADDED, payload) == inside
    assert wire.strip(0, payload) == payload


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x05abcd"])
def test_padding_longer_than_its_frame_is_a_fault_of_the_peer(payload: bytes) -> None:
    with pytest.raises(PeerError):
        wire.strip(wire.PADDED, payload)
