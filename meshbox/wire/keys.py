"""Public keys of the control protocol: 32 bytes with a prefix in their text form.

Source: tailscale types/key/*.go. Text is the prefix and lower-case hex of exact length; parsing
takes either case, as the clients do. An all-zero key means "absent" and is really sent that way
(`OldNodeKey` of a first registration), so `is_zero` is part of the vocabulary.
"""

from __future__ import annotations

import base64
from typing import ClassVar, Self

from meshbox.errors import Malformed

KEY_BYTES = 32


class Key(bytes):
    """Thirty-two bytes that know their text form."""

    __slots__ = ()
    prefix: ClassVar[str] = ""

    def __new__(cls, raw: bytes) -> Self:
        if len(raw) != KEY_BYTES:
            raise Malformed(f"{cls.__name__} wants {KEY_BYTES} bytes, got {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; raises Malformed for any other prefix, length or digit."""
        if not text.startswith(cls.prefix) or len(text) != len(cls.prefix) + 2 * KEY_BYTES:
            raise Malformed(f"not a {cls.__name__}: wants {cls.prefix!r} and 64 hex digits")
        digits = text[len(cls.prefix) :]
        # bytes.fromhex skips white space, which would let two texts name one key.
        if not digits.isalnum() or not digits.isascii():
            raise Malformed(f"not a {cls.__name__}: its digits are not hexadecimal")
        try:
            return cls(bytes.fromhex(digits))
        except ValueError:
            raise Malformed(f"not a {cls.__name__}: its digits are not hexadecimal") from None

    @classmethod
    def zero(cls) -> Self:
        return cls(bytes(KEY_BYTES))

    @property
    def is_zero(self) -> bool:
        return not any(self)

    @property
    def short(self) -> str:
        """The short form for logs: a bracket and five base64 characters, as the clients print it."""
        return f"[{base64.b64encode(self)[:5].decode()}]"

    def __str__(self) -> str:
        return self.prefix + self.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.short})"


class MachineKey(Key):
    """The Noise static key of a device: long-lived, the only proven identity in a tunnel."""

    __slots__ = ()
    prefix = "mkey:"


class NodeKey(Key):
    """The WireGuard public key of a node; changes when the node logs in again."""

    __slots__ = ()
    prefix = "nodekey:"


class DiscoKey(Key):
    """The key of a node's path discovery; changes at each start of the client."""

    __slots__ = ()
    prefix = "discokey:"


class ChallengeKey(Key):
    __slots__ = ()
    prefix = "chalpub:"


class LockKey(Key):
    """The tailnet-lock key of a node; the wire says `nlpub:`, the client's display `tlpub:`."""

    __slots__ = ()
    prefix = "nlpub:"
