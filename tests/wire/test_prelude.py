"""The bytes around the channel."""

from __future__ import annotations

import json

import pytest

from meshbox.errors import Malformed
from meshbox.wire import prelude
from meshbox.wire.keys import ChallengeKey, MachineKey

CHALLENGE = ChallengeKey(bytes(range(32)))


def test_the_early_payload_has_the_layout_clients_peek_for() -> None:
    payload = prelude.early_payload(CHALLENGE)
    assert payload[:5] == b"\xff\xff\xffTS"
    assert int.from_bytes(payload[5:9], "big") == len(payload) - 9
    assert json.loads(payload[9:]) == {"nodeKeyChallenge": str(CHALLENGE)}


def test_the_early_payload_is_split_from_what_follows() -> None:
    payload = prelude.early_payload(CHALLENGE)
    for missing in range(1, len(payload) + 1):
        assert prelude.split_early(payload[:-missing]) is None
    assert prelude.split_early(payload + b"h2") == ({"nodeKeyChallenge": str(CHALLENGE)}, b"h2")
    settings = b"\0\0\x06\x04\0\0\0\0\0rest"
    assert prelude.split_early(settings) == ({}, settings)


@pytest.mark.parametrize("text", [b"nojson", b"[]", b"7"])
def test_an_early_payload_without_an_object_is_malformed(text: bytes) -> None:
    with pytest.raises(Malformed):
        prelude.split_early(prelude.EARLY_MAGIC + len(text).to_bytes(4, "big") + text)


def test_an_endless_early_payload_is_malformed() -> None:
    with pytest.raises(Malformed):
        prelude.split_early(prelude.EARLY_MAGIC + b"\xff\xff\xff\xff")


def test_map_frames_count_little_endian() -> None:
    assert prelude.frame_map(0x0102) == b"\x02\x01\x00\x00"


def test_the_key_reply_names_both_keys() -> None:
    noise, legacy = MachineKey(b"n" * 32), MachineKey(b"l" * 32)
    assert json.loads(prelude.key_reply(noise, legacy)) == {
        "legacyPublicKey": str(legacy),
        "publicKey": str(noise),
    }
