from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.relay.queue import DEPTH, Lane, Outbox, Run
from meshbox.wire.derp import FrameReader, FrameType, encode

KEY = bytes(32)


def run_of(*packets: bytes, is_disco: bool = False) -> Run:
    frames = b"".join(encode(FrameType.RECV_PACKET, KEY, packet) for packet in packets)
    return Run(frames, len(packets), is_disco)


def packets_in(runs: list[Run]) -> list[bytes]:
    reader = FrameReader()
    return [frame.body[32:] for run in runs for frame in reader.feed(run.frames)]


def test_the_oldest_are_dropped_out_of_the_middle_of_a_run() -> None:
    lane = Lane()
    lane.push(run_of(b"1", b"22"))
    lane.push(run_of(b"333", b"4444", b"55555"))
    assert lane.drop_oldest(2) == (3, len(b"122333"))
    assert (lane.packets, lane.size) == (2, 2 * 37 + 9)
    assert packets_in(lane.runs) == [b"4444", b"55555"]


@given(st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=50), max_size=12), st.integers(0, 40))
def test_dropping_keeps_the_newest_in_order(runs: list[list[bytes]], keep: int) -> None:
    lane = Lane()
    for packets in runs:
        lane.push(run_of(*packets))
    pushed = [packet for packets in runs for packet in packets]
    dropped, size = lane.drop_oldest(keep)
    kept = pushed[max(0, len(pushed) - keep) :]
    assert packets_in(lane.runs) == kept
    assert dropped == len(pushed) - len(kept)
    assert size == sum(map(len, pushed)) - sum(map(len, kept))
    assert (lane.packets, lane.size) == (len(kept), sum(len(p) + 37 for p in kept))


def test_dropping_again_and_again_from_one_run() -> None:
    lane = Lane()
    lane.push(run_of(*(bytes([n]) for n in range(10))))
    for keep in range(9, -1, -1):
        assert lane.drop_oldest(keep) == (1, 1)
        assert packets_in(lane.runs) == [bytes([n]) for n in range(10 - keep, 10)]


def test_discovery_goes_before_data_and_control_is_apart() -> None:
    outbox = Outbox()
    outbox.data.push(run_of(b"data"))
    outbox.disco.push(run_of(b"disco", is_disco=True))
    outbox.push_control(b"control")
    assert outbox.packets == 2
    assert outbox.take_control() == [b"control"]
    assert packets_in(outbox.take_runs(10_000)) == [b"disco", b"data"]
    assert not outbox


def test_taking_stops_at_the_limit_and_goes_on_where_it_stopped() -> None:
    outbox = Outbox()
    for number in range(10):
        outbox.data.push(run_of(bytes([number]) * 63))
    assert packets_in(outbox.take_runs(250)) == [bytes([n]) * 63 for n in range(3)]
    assert packets_in(outbox.take_runs(1)) == [bytes([3]) * 63]
    assert len(packets_in(outbox.take_runs(100_000))) == 6


def test_a_pong_alone_is_something_to_write() -> None:
    outbox = Outbox()
    assert not outbox
    outbox.pong = b"12345678"
    assert outbox


def test_the_depth_is_the_official_relays() -> None:
    assert DEPTH == 32
