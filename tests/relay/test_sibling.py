from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.relay.queue import Run
from meshbox.relay.sibling import (
    Word,
    WordReader,
    numbered,
    read_numbered,
    read_run,
    run_pieces,
    word,
)
from meshbox.wire.derp import FrameType, encode
from tests.relay.board import Board, Socket, disco, key_of, send


class Wire:
    """Two workers of one relay, and what crosses between them at once."""

    def __init__(self) -> None:
        self.one, self.other = Board(), Board()
        self.ways = {}
        for here, there in ((self.one, self.other), (self.other, self.one)):
            way = Way(there)
            self.ways[here] = way

            def told(key: bytes, is_here: bool, here: Board = here, there: Board = there) -> None:
                back = self.ways[there]
                if is_here:
                    there.switch.yield_to(key, back, there.now)
                else:
                    there.switch.unlearn(key, back)

            here.switch.note_presence = told

    def turn(self) -> None:
        self.one.turn()
        self.other.turn()


class Way:
    def __init__(self, there: Board) -> None:
        self.there = there

    def forward(self, to: bytes, run: Run) -> None:
        for kind, body in WordReader().feed(b"".join(run_pieces(to, run))):
            assert kind == Word.RUN
            self.there.switch.take_from_worker(*read_run(body), self.there.now)


def packets(socket: Socket) -> list[bytes]:
    return [packet for _, packet in socket.packets()]


def test_clients_of_two_workers_reach_each_other() -> None:
    wire = Wire()
    ann, to_ann = wire.one.join("ann")
    bob, to_bob = wire.other.join("bob")
    wire.one.say(ann, send(bob.key, b"one") + send(bob.key, b"two") + send(bob.key, disco(b"d")))
    wire.other.say(bob, send(ann.key, b"back"))
    wire.turn()
    assert sorted(packets(to_bob)) == sorted([b"one", b"two", disco(b"d")])
    assert to_bob.packets()[0][0] == ann.key
    assert to_ann.packets() == [(bob.key, b"back")]


def test_the_newest_connection_gets_the_packets_wherever_it_is() -> None:
    wire = Wire()
    ann, _ = wire.one.join("ann")
    _, old = wire.one.join("phone")
    _, new = wire.other.join("phone")
    wire.one.say(ann, send(key_of("phone"), b"hello"))
    wire.turn()
    assert (packets(old), packets(new)) == ([], [b"hello"])


def test_the_connection_that_spoke_last_gets_them_back() -> None:
    wire = Wire()
    ann, _ = wire.other.join("ann")
    first, old = wire.one.join("phone")
    second, new = wire.other.join("phone")
    wire.one.say(first, encode(FrameType.PING, bytes(8)))
    wire.other.say(ann, send(key_of("phone"), b"hello"))
    wire.turn()
    assert (packets(old), packets(new)) == ([b"hello"], [])
    wire.other.say(second, encode(FrameType.PING, bytes(8)))
    wire.other.say(ann, send(key_of("phone"), b"again"))
    wire.turn()
    assert (packets(old), packets(new)) == ([b"hello"], [b"again"])


def test_the_one_that_stays_takes_over() -> None:
    wire = Wire()
    ann, to_ann = wire.one.join("ann")
    first, old = wire.one.join("phone")
    second, _ = wire.other.join("phone")
    wire.one.say(first, send(ann.key, b"hi"))
    wire.other.say(second, send(ann.key, b"hi"))
    wire.other.leave(second)
    wire.one.say(ann, send(key_of("phone"), b"hello"))
    wire.turn()
    assert packets(old) == [b"hello"]
    assert to_ann.of(FrameType.PEER_GONE) == []
    wire.one.leave(first)
    wire.turn()
    assert to_ann.of(FrameType.PEER_GONE) == [key_of("phone") + b"\x00"]
    assert not wire.one.switch.active.keys() - {ann.key}
    assert not wire.one.switch.yielded and not wire.one.switch.twins


def test_a_peer_is_gone_only_when_it_is_gone_from_all_workers() -> None:
    wire = Wire()
    ann, to_ann = wire.one.join("ann")
    first, _ = wire.one.join("phone")
    wire.one.say(first, send(ann.key, b"hi"))
    second, _ = wire.other.join("phone")
    wire.one.leave(first)
    wire.turn()
    assert to_ann.of(FrameType.PEER_GONE) == []
    wire.other.leave(second)
    wire.turn()
    assert to_ann.of(FrameType.PEER_GONE) == [key_of("phone") + b"\x00"]


def test_a_yielded_connection_is_still_listed_and_cut() -> None:
    wire = Wire()
    first, _ = wire.one.join("phone")
    wire.other.join("phone")
    assert wire.one.switch.connections_of(key_of("phone")) == (first,)
    assert list(wire.one.switch.every_connection()) == [first]


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=90)), max_size=12), st.data())
def test_words_arrive_whole_however_they_are_cut(said: list[tuple[int, bytes]], data: st.DataObject) -> None:
    words = []
    for kind, text in said:
        words.append(numbered(Word.ASK, kind, text) if kind else word(Word.PUSH, text))
    stream, reader, heard = b"".join(words), WordReader(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        heard += [(kind, bytes(body)) for kind, body in reader.feed(stream[:cut])]
        stream = stream[cut:]
    assert len(heard) == len(said)
    for (kind, body), (number, text) in zip(heard, said, strict=True):
        if kind == Word.ASK:
            assert read_numbered(memoryview(body)) == (number, text)
        else:
            assert body == text
