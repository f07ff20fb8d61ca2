"""One stream: what is taken is what was queued, and shared bytes stay shared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.wire.h2request import UNKNOWN_LENGTH, Head
from meshbox.wire.h2stream import SENT_BATCH, Stream


def fresh(method: str = "GET") -> Stream:
    return Stream(1, Head(method, "/", (), UNKNOWN_LENGTH), 65535)


@given(st.lists(st.tuples(st.lists(st.binary(max_size=50)), st.lists(st.integers(1, 120)))))
def test_what_is_taken_is_what_was_queued(steps: list[tuple[list[bytes], list[int]]]) -> None:
    stream, queued, taken = fresh(), b"", b""
    for pieces, sizes in steps:
        assert stream.queue(pieces) == sum(map(len, pieces))
        queued += b"".join(pieces)
        for size in sizes:
            if stream.left:
                taken += b"".join(stream.take(min(size, stream.left)))
        assert stream.left == len(queued) - len(taken)
        assert queued.startswith(taken)
    if stream.left:
        taken += b"".join(stream.take(stream.left))
    assert taken == queued
    assert stream._pieces is None


def test_pieces_are_referenced_not_copied() -> None:
    shared = b"x" * 5000
    stream = fresh()
    stream.queue([shared, shared])
    first = stream.take(5000)
    assert first[0] is shared
    (view,) = stream.take(100)
    assert isinstance(view, memoryview)
    assert view.obj is shared


def test_sent_pieces_are_let_go_although_the_queue_never_empties() -> None:
    stream = fresh()
    stream.queue([b"first"])
    for _ in range(1000):
        stream.queue([b"again"])
        stream.take(5)
    assert stream.left == 5
    assert len(stream._pieces or []) <= SENT_BATCH + 1


def test_a_body_in_one_frame_is_kept_as_it_came() -> None:
    stream, data = fresh(), b"one frame"
    assert stream.collect(data) == len(data)
    assert stream.body is data
    assert stream.collect(b", two") == 14
    assert stream.body == b"one frame, two"
