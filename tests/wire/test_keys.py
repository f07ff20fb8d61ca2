"""Keys: one text for one key, and nothing else is a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire.keys import ChallengeKey, DiscoKey, Key, LockKey, MachineKey, NodeKey

KINDS: list[type[Key]] = [MachineKey, NodeKey, DiscoKey, ChallengeKey, LockKey]
RAW = st.binary(min_size=32, max_size=32)


@given(RAW, st.sampled_from(KINDS))
def test_a_key_survives_its_text(raw: bytes, kind: type[Key]) -> None:
    key = kind(raw)
    assert kind.parse(str(key)) == key
    assert kind.parse(kind.prefix + raw.hex().upper()) == key
    assert key.is_zero == (raw == bytes(32))


def test_the_prefixes_are_the_clients() -> None:
    assert [kind.prefix for kind in KINDS] == ["mkey:", "nodekey:", "discokey:", "chalpub:", "nlpub:"]


def test_one_kind_is_not_read_as_another() -> None:
    for kind in KINDS:
        for other in KINDS:
            if kind is not other:
                with pytest.raises(Malformed):
                    kind.parse(str(other(bytes(32))))


@given(RAW, st.integers(min_value=0, max_value=71), st.characters())
def test_every_changed_character_makes_another_key_or_none(raw: bytes, position: int, letter: str) -> None:
    text = str(NodeKey(raw))
    changed = text[:position] + letter + text[position + 1 :]
    try:
        parsed = NodeKey.parse(changed)
    except Malformed:
        assert changed != text
    else:
        assert (parsed == NodeKey(raw)) == (changed.lower() == text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nodekey:",
        "nodekey:" + "0" * 63,
        "nodekey:" + "0" * 65,
        # bytes.fromhex would skip the spaces, and int() would take the other digits.
        "nodekey:" + "00 " * 21 + "0",
        "nodekey:" + "٠" * 64,
        "nodekey:" + "0" * 63 + "\n",
        "NODEKEY:" + "0" * 64,
        "nodekey:" + "0x" + "0" * 62,
    ],
)
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(Malformed, match="NodeKey"):
        NodeKey.parse(text)


@given(st.binary(max_size=64).filter(lambda raw: len(raw) != 32))
def test_a_key_has_32_bytes(raw: bytes) -> None:
    with pytest.raises(Malformed, match="32 bytes"):
        DiscoKey(raw)


def test_logs_see_the_short_form_only() -> None:
    key = NodeKey(bytes(range(32)))
    assert key.short == "[AAECA]"
    assert repr(key) == "NodeKey([AAECA])"
    assert key.hex() not in f"{key!r} {[key]}"
