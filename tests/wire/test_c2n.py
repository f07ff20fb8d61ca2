from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire.c2n import Pong, Response, c2n_request, head_request, ping_request, read_pong, read_response

URL = "https://ctl.example.org/machine/answer/x"
# As the official client 1.102.5 wrote it.
ECHO = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\nhello\r\n\r\nworld"


def test_the_question_is_an_http_request_in_base64() -> None:
    asked = c2n_request(URL, "GET", "/debug/health", 18)
    assert (asked["URL"], asked["Types"], asked["URLIsNoise"]) == (URL, "c2n", True)
    assert base64.b64decode(asked["Payload"]) == (
        b"GET /debug/health HTTP/1.1\r\nHost: c2n\r\nC2n-Handler-Timeout: 18s\r\n\r\n"
    )


def test_pings_name_their_kind_and_address() -> None:
    assert head_request(URL) == {"URL": URL, "URLIsNoise": True}
    assert ping_request(URL, "disco", "100.64.0.2")["IP"] == "100.64.0.2"


def test_the_answer_ends_with_the_stream() -> None:
    assert read_response(ECHO) == Response(200, "text/plain", b"hello\r\n\r\nworld")


@pytest.mark.parametrize(
    "raw", [b"", b"200 OK\r\n\r\n", b"HTTP/1.1 20\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"x" * 20_000]
)
def test_what_is_no_response_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_response(raw)


@given(st.binary(max_size=80))
def test_nothing_else_is_ever_raised(raw: bytes) -> None:
    for read in (read_response, read_pong):
        try:
            read(raw)
        except Malformed:
            continue


def test_pongs() -> None:
    direct = b'{"Type":"disco","NodeName":"ben","LatencySeconds":0.012,"Endpoint":"10.0.0.2:41641"}'
    assert read_pong(direct) == Pong("ben", 0.012, "10.0.0.2:41641")
    assert read_pong(b'{"NodeName":"ben","DERPRegionID":999,"DERPRegionCode":"lab"}') == Pong(
        "ben", 0.0, relay="lab"
    )
    assert read_pong(b'{"Err":"no matching peer"}').error == "no matching peer"
