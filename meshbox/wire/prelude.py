"""What stands around the channel: the `/key` reply before it, the early payload and the map frames in it.

Sources: tailscale control/controlclient/direct.go (loadServerPubKeys, sendMapRequest) and
control/ts2021/conn.go. The lengths differ in byte order: the early payload's is big-endian, a map
frame's little-endian.
"""

from __future__ import annotations

import json
import struct

from meshbox.errors import Malformed
from meshbox.wire.keys import ChallengeKey, MachineKey

EARLY_MAGIC = b"\xff\xff\xffTS"
# Clients up to 1.88 read the first nine bytes before they send a request, to see whether this is it.
EARLY_HEAD_BYTES = 9
EARLY_LIMIT = 10 << 20

_early_head = struct.Struct(">5sI")
_map_head = struct.Struct("<I")


def early_payload(challenge: ChallengeKey) -> bytes:
    """The first plaintext of the server, in front of its HTTP/2 SETTINGS; understood since version 49."""
    text = json.dumps({"nodeKeyChallenge": str(challenge)}, separators=(",", ":")).encode()
    return _early_head.pack(EARLY_MAGIC, len(text)) + text


def split_early(plaintext: bytes) -> tuple[dict[str, str], bytes] | None:
    """The client's side: the early payload and the HTTP/2 bytes behind it, or None while bytes are missing.

    Without the magic everything is HTTP/2 already and the payload is empty.
    """
    if len(plaintext) < EARLY_HEAD_BYTES:
        return None
    magic, length = _early_head.unpack_from(plaintext)
    if magic != EARLY_MAGIC:
        return {}, plaintext
    if length > EARLY_LIMIT:
        raise Malformed(f"an early payload of {length} bytes")
    end = EARLY_HEAD_BYTES + length
    if len(plaintext) < end:
        return None
    try:
        payload = json.loads(plaintext[EARLY_HEAD_BYTES:end])
    except ValueError:
        raise Malformed("the early payload is no JSON") from None
    if not isinstance(payload, dict):
        raise Malformed("the early payload is no JSON object")
    return payload, plaintext[end:]


def frame_map(payload_length: int) -> bytes:
    """The length in front of one message of a map stream, whose payload may be several zstd frames."""
    return _map_head.pack(payload_length)


def key_reply(noise: MachineKey, legacy: MachineKey) -> bytes:
    """The body of `GET /key`.

    `legacy` must not be zero: the client's test "do I have keys" looks at it, and would fetch `/key`
    again at each login attempt.
    """
    reply = {"legacyPublicKey": str(legacy), "publicKey": str(noise)}
    return json.dumps(reply, separators=(",", ":")).encode()
