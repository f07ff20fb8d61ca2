"""Tokens and key files: nothing prints, nothing is guessed, nothing half-written is believed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox import secrets
from meshbox.errors import KeyFileError
from meshbox.secrets import (
    Secret,
    hash_secret,
    load_or_create_key,
    matches,
    new_token,
    split_token,
)


def fixed(byte: int) -> Callable[[int], bytes]:
    return lambda count: bytes([byte]) * count


@given(st.binary(min_size=40, max_size=40), st.sampled_from(["auth", "api"]))
def test_a_token_comes_apart_as_it_was_made(random: bytes, kind: str) -> None:
    token = new_token(kind, lambda count: random[:count] if count == 8 else random[8 : 8 + count])  # type: ignore[arg-type]
    assert re.fullmatch(rf"mb-{kind}-[0-9A-Za-z]{{12}}-[0-9A-Za-z]{{43}}", token.text)
    parts = split_token(token.text)
    assert parts is not None
    prefix, secret = parts
    assert prefix == token.prefix and secret.reveal() == token.secret.reveal()
    assert matches(secret, hash_secret(token.secret))
    # The clients cut an auth key at this mark.
    assert "--TL" not in token.text


def test_every_bit_of_the_entropy_is_in_the_token() -> None:
    made = {new_token("auth", fixed(byte)).text for byte in (0, 1, 127, 128, 254, 255)}
    assert len(made) == 6
    flipped = [bytes(31 - i) + b"\x80" + bytes(i) for i in range(32)]
    secrets = {new_token("auth", lambda n, raw=raw: raw[:n]).secret.reveal() for raw in flipped}  # type: ignore[misc]
    assert len(secrets) == 32


def test_kinds_are_not_mixed_up() -> None:
    token = new_token("auth", os.urandom)
    assert split_token(token.text, "auth") is not None
    assert split_token(token.text, "api") is None


@given(st.integers(min_value=0, max_value=63), st.characters())
def test_a_changed_token_is_another_one_or_none(position: int, letter: str) -> None:
    token = new_token("auth", fixed(7))
    position %= len(token.text)
    changed = token.text[:position] + letter + token.text[position + 1 :]
    parts = split_token(changed, "auth")
    if changed != token.text and parts is not None:
        same = parts[0] == token.prefix and matches(parts[1], hash_secret(token.secret))
        assert not same


@pytest.mark.parametrize(
    "text", ["", "mb-auth-", "tskey-auth-x-y", "mb-auth-" + "a" * 12 + "-" + "b" * 44, "\n"]
)
def test_what_is_no_token(text: str) -> None:
    assert split_token(text) is None
    assert split_token(new_token("api", fixed(1)).text + text) is None or text == ""


def test_secrets_do_not_print() -> None:
    token = new_token("api", os.urandom)
    plain = token.secret.reveal()
    for shown in (
        str(token.secret),
        repr(token.secret),
        f"{token.secret:>8}",
        repr(token),
    ):
        assert plain not in shown
    assert token.prefix in repr(token)
    assert type(Secret("x").reveal()) is str


def test_a_key_file_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "noise.key"
    key = load_or_create_key(path, fixed(9))
    assert key == bytes([9]) * 32
    assert path.read_text() == "privkey:" + "09" * 32 + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_create_key(path, fixed(1)) == key
    assert list(path.parent.iterdir()) == [path]


def test_the_second_of_two_takes_the_key_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "noise.key"

    def slow(count: int) -> bytes:
        load_or_create_key(path, fixed(5))
        return bytes([6]) * count

    assert load_or_create_key(path, slow) == bytes([5]) * 32


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"privkey:00", "not a key file"),
        (b"privkey:" + b"0" * 64, "not a key file"),
        (b"privkey:" + b"ab" * 33, "not a key file"),
        (b"-----BEGIN PRIVATE KEY-----\n" * 300, "not a key file"),
        (b"mkey:" + b"ab" * 32, "not a key file"),
    ],
)
def test_a_broken_key_file_is_refused_and_left_alone(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "noise.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=says) as caught:
        load_or_create_key(path, os.urandom)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_key_file_for_everybody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.key"
    load_or_create_key(path, os.urandom)
    path.chmod(0o604)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_or_create_key(path, os.urandom)


def test_a_place_where_no_file_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "key"):
        with pytest.raises(KeyFileError, match="cannot be used"):
            load_or_create_key(path, os.urandom)


def test_a_backup_key_comes_back_and_its_kind_is_told() -> None:
    key = bytes(range(32))
    for kind in ("pub", "key"):
        text = secrets.backup_key_text(key, kind)  # type: ignore[arg-type]
        assert secrets.read_backup_key(f" {text}\n", kind) == key  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must stay away from the server"):
        secrets.read_backup_key(secrets.backup_key_text(key, "key"), "pub")
    with pytest.raises(ValueError, match="is the public key"):
        secrets.read_backup_key(secrets.backup_key_text(key, "pub"), "key")
    with pytest.raises(ValueError, match="is no backup key"):
        secrets.read_backup_key("mb-backup-pub-ab", "pub")


def test_every_slip_in_a_backup_key_is_found() -> None:
    text = secrets.backup_key_text(bytes(range(32)), "pub")
    start = len("mb-backup-pub-")
    for at in range(start, len(text)):
        slipped = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]
        with pytest.raises(ValueError, match="has a slip in it"):
            secrets.read_backup_key(slipped, "pub")
