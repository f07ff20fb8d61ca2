from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.relay.roster import Push, Roster, Stale, decode

ANN, BOB, EVE = (bytes([number]) * 32 for number in (1, 2, 3))
EPOCH = "00c0ffee"


def whole(*keys: bytes, to: int = 1, epoch: str = EPOCH) -> Push:
    return Push(epoch, None, to, dict.fromkeys(keys, 0.0))


def test_nobody_is_admitted_before_anything_was_told() -> None:
    roster = Roster()
    assert not roster.is_known
    assert not roster.admits(ANN, 0.0)


def test_a_whole_set_takes_the_place_of_the_one_before() -> None:
    roster = Roster()
    assert roster.take(whole(ANN, BOB)) == []
    assert roster.take(whole(BOB, EVE, epoch="feedc0de")) == [ANN]
    assert [roster.admits(key, 0.0) for key in (ANN, BOB, EVE)] == [False, True, True]


def test_a_change_builds_on_what_is_there() -> None:
    roster = Roster()
    roster.take(whole(ANN))
    assert roster.take(Push(EPOCH, 1, 2, {BOB: 0.0}, (ANN, EVE))) == [ANN]
    assert (roster.epoch, roster.generation) == (EPOCH, 2)
    assert roster.admits(BOB, 0.0)


@pytest.mark.parametrize("push", [Push(EPOCH, 2, 3, {EVE: 0.0}), Push("feedc0de", 1, 2, {EVE: 0.0})])
def test_a_change_that_does_not_fit_changes_nothing(push: Push) -> None:
    roster = Roster()
    roster.take(whole(ANN))
    with pytest.raises(Stale):
        roster.take(push)
    assert roster.admits(ANN, 0.0)
    assert not roster.admits(EVE, 0.0)


def test_a_key_expires_by_itself_and_is_told_once() -> None:
    roster = Roster()
    roster.take(Push(EPOCH, None, 1, {ANN: 100.0, BOB: 0.0}))
    assert roster.admits(ANN, 99.9)
    assert roster.expired(99.9) == []
    assert not roster.admits(ANN, 100.0)
    assert roster.expired(100.0) == [ANN]
    assert roster.expired(200.0) == []


def test_a_renewed_key_does_not_expire_at_its_old_date() -> None:
    roster = Roster()
    roster.take(Push(EPOCH, None, 1, {ANN: 100.0}))
    roster.take(Push(EPOCH, 1, 2, {ANN: 300.0}))
    assert roster.expired(200.0) == []
    assert roster.admits(ANN, 200.0)
    assert roster.expired(300.0) == [ANN]


def test_another_relay_learns_the_same_from_the_whole() -> None:
    roster, other = Roster(), Roster()
    roster.take(Push(EPOCH, None, 4, {ANN: 100.0, BOB: 0.0}))
    other.take(decode(roster.whole().encode()))
    assert (other.epoch, other.generation, len(other)) == (EPOCH, 4, 2)
    assert other.take(Push(EPOCH, 4, 5, {}, (BOB,))) == [BOB]


@given(
    st.integers(0, 2**40),
    st.dictionaries(st.binary(min_size=32, max_size=32), st.integers(0, 10**11), max_size=4),
)
def test_what_is_written_reads_the_same(since: int, admit: dict[bytes, int]) -> None:
    push = Push(EPOCH, since, since + 1, {key: float(at) for key, at in admit.items()}, tuple(admit))
    assert decode(push.encode()) == push


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"epoch":"xyz","since":null,"to":1}',
        b'{"epoch":"00c0ffee","since":-1,"to":1}',
        b'{"epoch":"00c0ffee","since":null,"to":true}',
        b'{"epoch":"00c0ffee","since":null,"to":1,"admit":{"00":0}}',
        b'{"epoch":"00c0ffee","since":null,"to":1,"admit":{"%s":"never"}}' % (b"00" * 32),
        b'{"epoch":"00c0ffee","since":null,"to":1,"admit":{"%s":1e300}}' % (b"00" * 32),
        b'{"epoch":"00c0ffee","since":null,"to":1,"cut":["%s"]}' % (b"0G" * 32),
        b'{"epoch":"00c0ffee","since":null,"to":1,"cut":{}}',
    ],
)
def test_what_is_no_push_is_refused(document: bytes) -> None:
    with pytest.raises(Malformed):
        decode(document)
