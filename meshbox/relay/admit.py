"""Who is at the door: the relay's identity and the handshake with a client.

A client proves that it has its node's private key by sealing its ClientInfo to our key (NaCl box:
X25519, XSalsa20, Poly1305). That is all the authentication there is; whether the node may use this
relay is asked of others, with the key that was proved.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TypeVar

from nacl.bindings import (
    crypto_box_afternm,
    crypto_box_beforenm,
    crypto_box_open_afternm,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from meshbox.errors import Malformed
from meshbox.wire.derp import NONCE_BYTES, PROTOCOL_VERSION, FrameType, check_length, encode, server_key
from meshbox.wire.keys import KEY_BYTES, NodeKey

T = TypeVar("T")
MESH_KEY = re.compile(r"[0-9a-fA-F]{64}")
APP_NAME_LIMIT = 64
"""Characters kept of the name a client gives itself; it is shown in lists."""


@dataclass(frozen=True, slots=True)
class Hello:
    """A client that proved its key. `secret` seals our answer; `mesh_key` is None if it sent none."""

    key: NodeKey
    secret: bytes
    version: int = 0
    can_ack_pings: bool = False
    is_prober: bool = False
    app_name: str = ""
    mesh_key: bytes | None = None


class Identity:
    """The relay's key pair (a node key by its kind) and what is said with it."""

    __slots__ = ("_private", "greeting", "public")

    def __init__(self, private: bytes) -> None:
        self._private = private
        self.public = NodeKey(crypto_scalarmult_base(private))
        self.greeting = server_key(self.public)

    def open_client_info(self, body: bytes) -> Hello:
        """Read the body of a ClientInfo frame. Raises Malformed; the connection then ends without a word."""
        check_length(FrameType.CLIENT_INFO, len(body))
        key = NodeKey(body[:KEY_BYTES])
        nonce = body[KEY_BYTES : KEY_BYTES + NONCE_BYTES]
        try:
            # A point of low order has no shared secret and is refused here as well.
            secret = crypto_box_beforenm(key, self._private)
            text = crypto_box_open_afternm(body[KEY_BYTES + NONCE_BYTES :], nonce, secret)
        except CryptoError:
            raise Malformed("the client's hello is not sealed to this relay by the key it names") from None
        return _read_info(key, secret, text)

    def server_info(self, hello: Hello, nonce: bytes) -> bytes:
        """The ServerInfo frame for that client. `nonce` is 24 fresh random bytes."""
        text = b'{"version":%d}' % PROTOCOL_VERSION
        return encode(FrameType.SERVER_INFO, nonce, crypto_box_afternm(text, nonce, hello.secret))


def seal_client_info(private: bytes, server_key: bytes, mesh_key: bytes, nonce: bytes) -> bytes:
    """Nonce and box of our own hello to another relay of the region. `nonce` is 24 fresh random bytes."""
    text = json.dumps({"version": PROTOCOL_VERSION, "meshKey": mesh_key.hex(), "CanAckPings": False}).encode()
    return nonce + crypto_box_afternm(text, nonce, crypto_box_beforenm(server_key, private))


def _read_info(key: NodeKey, secret: bytes, text: bytes) -> Hello:
    try:
        info = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("the client's hello is not JSON") from None
    if not isinstance(info, dict):
        raise Malformed("the client's hello is not a JSON object")
    # Go takes the names of fields in any case.
    fields = {name.lower(): value for name, value in info.items() if value is not None}
    return Hello(
        key,
        secret,
        version=_typed(fields, "version", int, 0),
        can_ack_pings=_typed(fields, "canackpings", bool, False),
        is_prober=_typed(fields, "isprober", bool, False),
        app_name=_typed(fields, "appname", str, "")[:APP_NAME_LIMIT],
        mesh_key=_mesh_key(fields),
    )


def _typed(fields: dict[str, object], name: str, kind: type[T], absent: T) -> T:
    value = fields.get(name, absent)
    if type(value) is not kind:
        raise Malformed(f"{name} in the client's hello is no {kind.__name__}")
    return value


def _mesh_key(fields: dict[str, object]) -> bytes | None:
    """A key that is spelled wrong ends the connection, as with the official relay."""
    if "meshkey" not in fields:
        return None
    text = _typed(fields, "meshkey", str, "")
    if not MESH_KEY.fullmatch(text):
        raise Malformed("meshKey in the client's hello is not 64 hex digits")
    return bytes.fromhex(text)
