"""What clients ask beside registration and map: attributes of their device, an audit entry, a feature; and
what they tell of SSH sessions that were not recorded.

Source: tailcfg.SetDeviceAttributesRequest, AuditLogRequest, QueryFeatureRequest, SSHEventNotifyRequest
(capability version 142).
"""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.errors import Malformed
from meshbox.wire.gojson import Json, child, integer, items, line, parse_object, text
from meshbox.wire.keys import NodeKey

ATTRIBUTE_LIMIT = 64
ACTION_LIMIT = 64
DETAILS_LIMIT = 1024
FEATURE_LIMIT = 64

NAME_LIMIT = 253
TYPE_LIMIT = 16
VALUE_LIMIT = 255

LOGIN_LIMIT = 64
FAILURE_LIMIT = 300
HIGHEST_ID = (1 << 53) - 1
RECORDING_EVENTS = {1: "rejected", 2: "terminated", 3: "unrecorded"}
"""What became of the session: it did not begin, it was ended, it goes on without a recording."""

Value = str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class AttributesCall:
    """None takes an attribute away."""

    node_key: NodeKey
    update: dict[str, Value]


@dataclass(frozen=True, slots=True)
class AuditCall:
    """`action` is upper-case words with underscores, as DISCONNECT_NODE; `details` a person's words."""

    node_key: NodeKey
    action: str
    details: str


@dataclass(frozen=True, slots=True)
class FeatureCall:
    node_key: NodeKey
    feature: str


@dataclass(frozen=True, slots=True)
class DnsCall:
    """A record that the client wants in the public DNS."""

    node_key: NodeKey
    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class RecordingCall:
    """`outcome` is of RECORDING_EVENTS, `source` the node the login came from, `reason` the last recorder's
    failure in the client's words."""

    node_key: NodeKey
    outcome: str
    source: int
    login: str
    reason: str


def parse_attributes(body: bytes) -> AttributesCall:
    """Raises Malformed."""
    document = parse_object(body)
    update = child(document, "Update") or {}
    if len(update) > ATTRIBUTE_LIMIT:
        raise Malformed(f"Update has {len(update)} attributes; at most {ATTRIBUTE_LIMIT} are taken at once")
    values: dict[str, Value] = {}
    for name, value in update.items():
        if value is not None and type(value) not in (str, bool, int, float):
            raise Malformed("Update wants texts, numbers, true, false or null")
        values[name] = value  # type: ignore[assignment]
    return AttributesCall(_node_key(document), values)


def parse_audit(body: bytes) -> AuditCall:
    """Raises Malformed."""
    document = parse_object(body)
    action = text(document, "Action", ACTION_LIMIT)
    if not action.isascii() or not action.replace("_", "").isalnum():
        raise Malformed("Action is missing or no word")
    return AuditCall(_node_key(document), action, line(document, "Details", DETAILS_LIMIT))


def parse_feature(body: bytes) -> FeatureCall:
    """Raises Malformed."""
    document = parse_object(body)
    return FeatureCall(_node_key(document), text(document, "Feature", FEATURE_LIMIT))


def parse_dns(body: bytes) -> DnsCall:
    """Raises Malformed. Source: tailcfg.SetDNSRequest."""
    document = parse_object(body)
    return DnsCall(
        _node_key(document),
        text(document, "Name", NAME_LIMIT),
        text(document, "Type", TYPE_LIMIT),
        text(document, "Value", VALUE_LIMIT),
    )


def parse_recording(body: bytes) -> RecordingCall:
    """Raises Malformed."""
    document = parse_object(body)
    outcome = RECORDING_EVENTS.get(integer(document, "EventType", 0, 255))
    if outcome is None:
        raise Malformed("EventType is none that is known")
    attempts = [attempt for attempt in items(document, "RecordingAttempts") if isinstance(attempt, dict)]
    reason = line(attempts[-1], "FailureMessage", FAILURE_LIMIT) if attempts else ""
    return RecordingCall(
        _node_key(document),
        outcome,
        integer(document, "SrcNode", 0, HIGHEST_ID),
        line(document, "LocalUser", LOGIN_LIMIT),
        reason,
    )


def _node_key(document: Json) -> NodeKey:
    return NodeKey.parse(text(document, "NodeKey", 128))
