"""Secrets: text that does not print, tokens people carry around, and private key files.

A token is `mb-auth-<prefix>-<secret>`: twelve characters that name it and may be shown, and 43
that prove it. The secret is 256 random bits, so a plain SHA-256 is kept of it: nothing is left
to guess, and a slow hash on a public endpoint would be a lever (a wrong key may cost 0.5 ms of
CPU, not 60). Only letters and digits, because clients cut an auth key at `--TL`.

A backup key is `mb-backup-pub-` or `mb-backup-key-`, and 64 hex digits of the key with eight of their
SHA-256: a public key with a slip in it would be a key all the same, of backups nobody can ever open.

A private key file is one line, `privkey:` and 64 hex digits, readable by its owner.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from meshbox.errors import KeyFileError

TokenKind = Literal["auth", "api"]
BackupKeyKind = Literal["pub", "key"]
BACKUP_CHECK_BYTES = 4
PREFIX_LENGTH = 12
SECRET_LENGTH = 43
KEY_FILE_MODE = 0o600
KEY_FILE_BYTES = 1024
"""A key file has 73 bytes; more is some other file, given by mistake."""
LEAST_TOKEN = 32
"""Characters of a shared token. It is the only lock of a door that the whole net can knock at."""
TOKEN_FILE_BYTES = 4096
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN = re.compile(rf"mb-(auth|api)-([0-9A-Za-z]{{{PREFIX_LENGTH}}})-([0-9A-Za-z]{{{SECRET_LENGTH}}})")
_BACKUP_KEY = re.compile(r"mb-backup-(pub|key)-([0-9a-f]{72})")
_KEY_FILE = re.compile(rb"""(?:\s*\{\s*"PrivateKey":\s*")?privkey:([0-9a-fA-F]{64})(?:"\s*\})?\s*""")
"""Also as the official derper keeps it, so that its relay can become one of ours without a new key."""


class Secret(str):
    """Text that shows as *** wherever it is printed or formatted. `reveal` gives it away."""

    __slots__ = ()

    def reveal(self) -> str:
        return str.__str__(self)

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "Secret(***)"

    def __format__(self, spec: str) -> str:
        return format("***", spec)


@dataclass(frozen=True, slots=True)
class Token:
    """A new token. `text` is shown once, `prefix` is kept, of `secret` only the hash."""

    prefix: str
    secret: Secret = field(repr=False)
    text: str = field(repr=False)


def new_token(kind: TokenKind, entropy: Callable[[int], bytes]) -> Token:
    prefix = _digits(entropy(8), PREFIX_LENGTH)
    secret = _digits(entropy(32), SECRET_LENGTH)
    return Token(prefix, Secret(secret), f"mb-{kind}-{prefix}-{secret}")


def split_token(text: str, kind: TokenKind | None = None) -> tuple[str, Secret] | None:
    """(prefix, secret) of a token's text, or None when it is none (or not of this kind)."""
    match = _TOKEN.fullmatch(text)
    if match is None or kind not in (None, match[1]):
        return None
    return match[2], Secret(match[3])


def hash_secret(text: str) -> bytes:
    """SHA-256 of the secret part of a token, as it is stored."""
    return hashlib.sha256(text.encode()).digest()


def matches(secret: str, stored: bytes) -> bool:
    """Whether `secret` hashes to `stored`, in time that does not depend on where they differ."""
    return hmac.compare_digest(hash_secret(secret), stored)


def backup_key_text(key: bytes, kind: BackupKeyKind) -> str:
    """32 bytes as people copy them."""
    return f"mb-backup-{kind}-{(key + _check_bytes(key)).hex()}"


def read_backup_key(text: str, kind: BackupKeyKind) -> bytes:
    """Raises ValueError with one clause that says what is wrong."""
    match = _BACKUP_KEY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"is no backup key; it begins with mb-backup-{kind}- and has 72 hex digits after it")
    if match[1] != kind:
        other = {"pub": "the private key, which must stay away from the server", "key": "the public key"}
        raise ValueError(f"is {other[kind]}; wanted is mb-backup-{kind}-...")
    raw = bytes.fromhex(match[2])
    key = raw[:-BACKUP_CHECK_BYTES]
    if raw[-BACKUP_CHECK_BYTES:] != _check_bytes(key):
        raise ValueError("has a slip in it: copy it again")
    return key


def _check_bytes(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:BACKUP_CHECK_BYTES]


def read_token(path: Path) -> Secret:
    """A token that two machines share, from a file. Raises KeyFileError."""
    try:
        with path.open() as file:
            text = file.read(TOKEN_FILE_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyFileError(f"{path}: cannot be used as a token file: {reason}") from None
    if len(text) < LEAST_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise KeyFileError(
            f"{path}: wants one line of at least {LEAST_TOKEN} characters; openssl rand -hex 32 makes one"
        )
    return Secret(text)


def load_or_create_key(path: Path, entropy: Callable[[int], bytes]) -> bytes:
    """The 32 bytes of a private key file; the file is created when there is none.

    Raises KeyFileError when it cannot be read, is not a key, or others may read it.
    """
    try:
        key = _read_key(path)
        if key is None:
            _create_key(path, entropy(32))
            key = _read_key(path)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be used as a key file: {error.strerror}") from None
    if key is None:
        raise KeyFileError(f"{path}: the key file vanished while it was read; try again")
    return key


def _digits(raw: bytes, length: int) -> str:
    """`raw` as a number in base 62, padded: 32 bytes need 43 digits, 8 bytes eleven."""
    number = int.from_bytes(raw, "big")
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _read_key(path: Path) -> bytes | None:
    """None when there is no such file."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(KEY_FILE_BYTES)
    except FileNotFoundError:
        return None
    if mode & 0o007:
        raise KeyFileError(f"{path}: everybody on this machine may use this key file; run: chmod 600 {path}")
    if not text:
        raise KeyFileError(
            f"{path}: the key file is empty; restore it from a backup, or remove it for a new key"
        )
    match = _KEY_FILE.fullmatch(text)
    key = bytes.fromhex(match[1].decode()) if match else bytes(32)
    if not any(key):
        raise KeyFileError(f"{path}: not a key file: wants one line, privkey: and 64 hex digits")
    return key


def _create_key(path: Path, key: bytes) -> None:
    """Write the file whole or not at all. Whoever comes second (control and relay may start
    together) finds the first one's file and leaves it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, KEY_FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"privkey:" + key.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
