"""Who gets in: every route says who may call it, and nobody gets in by guessing."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Iterator

import pytest

from meshbox.serve.api.audience import Audience
from meshbox.serve.api.endpoint import PREFIX
from tests.serve.api.stand import Stand
from tests.tailnet.build import NOW

WRONG = "mb-api-abcdefghijkl-" + "x" * 43


def handlers(stand: Stand) -> Iterator[tuple[str, str, object]]:
    for route in stand.routes:
        path = route.resource.canonical if route.resource else ""
        yield route.method, path, getattr(route.handler, "__self__", None)


def test_every_route_declares_who_may_call_it(stand: Stand) -> None:
    seen = list(handlers(stand))
    assert len(seen) > 60
    for method, path, handler in seen:
        assert isinstance(getattr(handler, "audience", None), Audience), (method, path)


def test_only_the_answer_for_unknown_paths_is_open_below_api(stand: Stand) -> None:
    is_open = {
        path for _, path, handler in handlers(stand) if getattr(handler, "audience", "") is Audience.ANYONE
    }
    assert {path for path in is_open if path.startswith("/api/")} == {"/api/{rest}"}


def test_without_a_key_every_administrator_route_is_closed(stand: Stand) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "ana"})
    for method, path, handler in handlers(stand):
        if getattr(handler, "audience", None) is Audience.ADMINISTRATOR:
            target = path.replace("{", "").replace("}", "")
            answer = stand.ask_public(method, target, {"name": "mallory"})
            assert answer.status == 401, (method, path)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert len(stand.ask("GET", "/api/v1/user").json["users"]) == 1


@pytest.mark.parametrize(
    "header",
    [f"Bearer {WRONG}", "Bearer x", "Bearer", f"Basic {WRONG}", WRONG, "Bearer " + "y" * 4000, "\xff\xfe"],
)
def test_wrong_credentials(stand: Stand, header: str) -> None:
    answer = stand.ask_public("GET", "/api/v1/user", Authorization=header)
    assert answer.status == 401
    assert answer.json["code"] == 16 and "Unauthorized" in answer.message


def test_a_pre_auth_key_is_no_api_key(stand: Stand) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "ana"})
    text = stand.ask("POST", "/api/v1/preauthkey", {"user": "ana"}).json["preAuthKey"]["key"]
    for spelling in (text, text.replace("mb-auth-", "mb-api-")):
        assert stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {spelling}").status == 401


def test_eleventh_guess_is_not_looked_at_even_when_right(stand: Stand) -> None:
    right = stand.ask("POST", "/api/v1/apikey", {}).json["apiKey"]
    for _ in range(10):
        assert stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {WRONG}").status == 401
    answer = stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {right}")
    assert answer.status == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    stand.address = "198.51.100.8"
    assert stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {right}").status == 200
    stand.address, stand.now = "198.51.100.7", NOW + 61
    assert stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {right}").status == 200


def test_one_v6_network_guesses_together(stand: Stand) -> None:
    for number in range(10):
        stand.address = f"2001:db8:0:1::{number:x}"
        stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {WRONG}")
    stand.address = "2001:db8:0:1:ffff::1"
    assert stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {WRONG}").status == 429
    stand.address = "2001:db8:0:2::1"
    assert stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {WRONG}").status == 401


def test_missing_key_is_no_guess(stand: Stand) -> None:
    for _ in range(12):
        assert stand.ask_public("GET", "/api/v1/user").status == 401


def test_the_socket_knows_who_opened_it(stand: Stand) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "ana"})
    [entry] = stand.do(lambda t: stand.store.newest_audit(1))
    assert entry.actor == f"local:{pwd.getpwuid(os.getuid()).pw_name}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/tailnet/-/devices", 404),
        ("GET", "/api/", 404),
        ("GET", "/api/v1/user/ana/rename/ben", 405),
        ("GET", "/api/v1/auth/approve/x", 404),
        ("PUT", "/api/v1/user", 405),
        ("DELETE", "/api/v1/user", 405),
        ("GET", "/api/v1/node/%2e%2e/user", 405),
    ],
)
def test_what_the_api_does_not_have(stand: Stand, method: str, path: str, status: int) -> None:
    for answer in (stand.ask(method, path), stand.ask_public(method, path)):
        assert answer.status == status
        assert answer.json["status"] == status
        assert ("Allow" in answer.headers) is (status == 405)


def test_the_metrics_hear_of_every_request_by_its_template(stand: Stand) -> None:
    stand.ask("GET", "/api/v1/node/laptop")
    assert stand.seen == [("GET", f"{PREFIX}/node/{{node}}", 404)]


def test_a_bug_shows_a_number_and_no_trace(stand: Stand, capfd: pytest.CaptureFixture[str]) -> None:
    stand.do(lambda t: setattr(t, "nodes", None))
    answer = stand.ask("GET", "/api/v1/node")
    assert answer.status == 500
    assert "Traceback" not in answer.body.decode() and "NoneType" not in answer.body.decode()
    request_id = answer.message.rpartition(" ")[2]
    said = capfd.readouterr().err
    assert request_id in said and "NoneType" in said


def test_a_slow_body_is_given_up(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshbox.serve.api.body.BODY_DEADLINE", 0.2)

    async def trickle() -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(stand.socket))
        writer.write(b"POST /api/v1/user HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
        writer.close()
        return head

    assert b" 408 " in asyncio.run(trickle())


def test_a_body_that_lies_about_its_length(stand: Stand) -> None:
    answer = stand.ask("POST", "/api/v1/user", b"", Content_Length=str(1 << 40))
    assert answer.status == 413


def test_handlers_are_coroutine_methods(stand: Stand) -> None:
    """aiohttp 3.8 wraps anything else and would hide the audience from the tests above."""
    assert all(asyncio.iscoroutinefunction(route.handler) for route in stand.routes)
