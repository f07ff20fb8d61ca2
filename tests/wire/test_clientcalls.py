from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire.clientcalls import parse_attributes, parse_audit, parse_feature, parse_recording
from tests.tailnet.build import node_key

KEY = str(node_key(1))


def body(**fields: object) -> bytes:
    return orjson.dumps({"Version": 142, "NodeKey": KEY} | fields)


def test_what_sound_clients_send() -> None:
    assert parse_attributes(body(Update={"custom:x": 1.5, "custom:y": None})).update == {
        "custom:x": 1.5,
        "custom:y": None,
    }
    audit = parse_audit(
        body(Action="DISCONNECT_NODE", Details="lunch\x1b[2J", Timestamp="2026-01-01T00:00:00Z")
    )
    assert (audit.node_key, audit.action, audit.details) == (node_key(1), "DISCONNECT_NODE", "lunch[2J")
    attempts = [{"Recorder": "100.64.0.9:80", "FailureMessage": "connection\nrefused"}]
    told = parse_recording(body(EventType=1, SrcNode=7, LocalUser="root", RecordingAttempts=attempts))
    assert (told.outcome, told.source, told.login, told.reason) == (
        "rejected",
        7,
        "root",
        "connectionrefused",
    )
    assert parse_recording(body(EventType=3)).reason == ""
    assert parse_feature(body(Feature="serve")).feature == "serve"


@pytest.mark.parametrize(
    ("parse", "raw"),
    [
        (parse_attributes, body(Update={"a": []})),
        (parse_attributes, body(Update={str(number): 1 for number in range(65)})),
        (parse_attributes, body(Update=[])),
        (parse_audit, body()),
        (parse_audit, body(Action="rm -rf")),
        (parse_feature, body(Feature=7)),
        (parse_recording, body()),
        (parse_recording, body(EventType=4)),
        (parse_recording, body(EventType=1, SrcNode="7")),
        (parse_recording, body(EventType=1, RecordingAttempts={})),
        (parse_feature, b"{}"),
        (parse_feature, b"["),
    ],
)
def test_what_nobody_sends_is_refused(parse: object, raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse(raw)  # type: ignore[operator]


@given(st.binary(max_size=60))
def test_nothing_else_is_ever_raised(raw: bytes) -> None:
    for parse in (parse_attributes, parse_audit, parse_feature, parse_recording):
        with pytest.raises(Malformed):
            parse(raw)
