from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from meshbox.tailnet.tailnet import Tailnet
from tests.cli.conftest import Shell
from tests.tailnet.build import join, make_key

PONG = {"Type": "disco", "NodeName": "phone", "LatencySeconds": 0.0123, "Endpoint": "10.0.0.2:41641"}


@pytest.fixture
def shell(shell: Shell) -> Shell:
    def fill(t: Tailnet) -> None:
        key = make_key(t, "ana", reusable=True)
        join(t, 1, key, "laptop")
        join(t, 2, key, "phone")

    shell.stand.do(fill)
    return shell


def allow(shell: Shell) -> None:
    shell.stand.do(lambda t: t.configure(replace(t.settings, may_ask=True)))


def test_ping_asks_for_a_sign_of_life(shell: Shell) -> None:
    shell.stand.answer = b""
    assert shell.type("nodes", "ping", "laptop").out.startswith("laptop reached the server in ")
    assert shell.stand.asked == [{"URL": "https://ctl/x", "URLIsNoise": True}]


def test_ping_of_a_peer(shell: Shell) -> None:
    shell.stand.answer = json.dumps(PONG).encode()
    said = shell.type("nodes", "ping", "laptop", "--to", "phone").out
    assert said == "laptop reached phone in 12 ms (via 10.0.0.2:41641)\n"
    assert (shell.stand.asked[0]["Types"], shell.stand.asked[0]["IP"]) == ("disco", "100.64.0.2")
    shell.stand.answer = b'{"DERPRegionID":9,"DERPRegionCode":"lab"}'
    assert shell.json("nodes", "ping", "laptop", "--to", "phone", "--via", "TSMP")["via"] == "relay lab"
    shell.stand.answer = b'{"Err":"no matching peer"}'
    failed = shell.type("nodes", "ping", "laptop", "--to", "phone")
    assert (failed.code, failed.err) == (6, "meshbox: node laptop cannot reach phone: no matching peer\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("laptop",), 6, "node laptop is not connected"),
        (("nobody",), 3, "there is no node 'nobody'"),
        (("laptop", "--to", "laptop"), 2, "to: a node does not ping itself"),
        (("laptop", "--to", "phone", "--via", "pigeon"), 2, "via: wants disco, TSMP, ICMP, peerapi"),
    ],
)
def test_ping_that_cannot_be(shell: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    outcome = shell.type("nodes", "ping", *words)
    assert outcome.code == code and said in outcome.err


def test_ask_is_off_audited_and_from_a_closed_list(shell: Shell) -> None:
    refused = shell.type("nodes", "ask", "laptop", "prefs")
    assert (refused.code, shell.stand.asked) == (4, []) and "set c2n.enabled to true" in refused.err
    allow(shell)
    shell.stand.answer = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"WantRunning": true}'
    assert shell.type("nodes", "ask", "laptop", "prefs").out == '{"WantRunning": true}\n'
    assert base64.b64decode(shell.stand.asked[0]["Payload"]).startswith(b"GET /debug/prefs HTTP/1.1\r\n")
    (entry,) = shell.stand.do(lambda t: shell.stand.store.newest_audit(1))
    assert (entry.action, entry.object, entry.detail) == ("node.ask", "laptop", "prefs")
    assert shell.type("nodes", "ask", "laptop", "diary").code == 2
    assert "needs the domain" in shell.type("nodes", "ask", "laptop", "certificate").err
    assert "takes no argument" in shell.type("nodes", "ask", "laptop", "prefs", "x").err
    shell.type("nodes", "ask", "laptop", "certificate", "a b&c")
    assert b"?domain=a%20b%26c HTTP" in base64.b64decode(shell.stand.asked[-1]["Payload"])


def test_ask_tells_what_the_client_refuses(shell: Shell) -> None:
    allow(shell)
    shell.stand.answer = b"HTTP/1.1 400 Bad Request\r\n\r\nunknown c2n path"
    outcome = shell.type("nodes", "ask", "laptop", "services")
    assert outcome.code == 2 and "node laptop answered 400: unknown c2n path" in outcome.err
    shell.stand.answer = b"hello"
    assert "is no HTTP response" in shell.type("nodes", "ask", "laptop", "services").err


def test_attributes_are_typed_shown_and_taken_away(shell: Shell) -> None:
    words = ("custom:tier=gold", "custom:score=7", "custom:share=0.5", "custom:kiosk=true", "custom:note=a=b")
    shell.type("nodes", "attributes", "laptop", *(part for word in words for part in ("--set", word)))
    found = shell.json("nodes", "attributes", "laptop")
    assert found["node:os"] == "linux"
    assert {name: value for name, value in found.items() if name.startswith("custom:")} == {
        "custom:tier": "gold",
        "custom:score": 7,
        "custom:share": 0.5,
        "custom:kiosk": True,
        "custom:note": "a=b",
    }
    lines = shell.type("nodes", "attributes", "laptop").lines
    assert "custom:kiosk\ttrue" in lines and "node:os\tlinux" in lines
    shell.type("nodes", "attributes", "laptop", "--unset", "custom:tier")
    assert "custom:tier" not in shell.json("nodes", "attributes", "laptop")


@pytest.mark.parametrize("wrong", ["tier=gold", "node:os=plan9", "custom:tier", "custom:a b=1"])
def test_what_is_no_attribute(shell: Shell, wrong: str) -> None:
    outcome = shell.type("nodes", "attributes", "laptop", "--set", wrong)
    assert outcome.code == 2 and outcome.err.startswith("meshbox: ")
