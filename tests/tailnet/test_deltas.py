from __future__ import annotations

from meshbox.tailnet.changes import Dirty, Fact
from meshbox.tailnet.deltas import MEMO_LIMIT, Deltas, Span
from meshbox.tailnet.frames import PLAIN, ZSTD
from meshbox.tailnet.peers import Peers
from tests.tailnet.build import join, make_key, make_tailnet


def test_one_span_is_encoded_once_and_codings_are_kept_apart() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    deltas = Deltas(Peers(t))
    span, dirty = Span(t.everyone, t.everyone, 1, 2), Dirty({node.id: Fact.ONLINE})
    one = deltas.shared(span, dirty, ZSTD)
    assert deltas.shared(span, dirty, ZSTD) is one
    assert deltas.shared(span, dirty, PLAIN) != one


def test_what_is_remembered_is_bounded() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    deltas = Deltas(Peers(t))
    for since in range(4 * MEMO_LIMIT):
        deltas.shared(Span(t.everyone, t.everyone, since, 5000), Dirty({node.id: Fact.ONLINE}), ZSTD)
    assert len(deltas._memo) <= MEMO_LIMIT + 1


def test_a_dirty_node_outside_the_view_is_not_mentioned() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    for facts in Fact:
        assert Deltas(Peers(t)).make(Span(0, 0, 1, 2), Dirty({node.id: facts}), PLAIN) == b""
