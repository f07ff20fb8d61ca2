"""Who gets into the console, and until when."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from meshbox.serve.api.audience import Audience
from meshbox.tailnet import apikeys
from tests.serve.api.stand import Stand
from tests.serve.api.test_doors import handlers
from tests.serve.console.visitor import SENT_BY_US, Visitor

MALLORY = {"act": ["user.create"], "name": ["mallory"]}


def users(stand: Stand) -> list[str]:
    return stand.do(lambda t: list(t.by_user_name))


def test_a_stranger_sees_no_screen_and_presses_no_button(stand: Stand) -> None:
    screens = [
        (method, path)
        for method, path, handler in handlers(stand)
        if getattr(handler, "audience", None) is Audience.CONSOLE
    ]
    assert len(screens) >= 20
    for method, path in screens:
        target = path.replace("{", "").replace("}", "")
        for cookies in ({}, {"__Host-meshbox-console": "x" * 43}):
            answer = Visitor(stand, cookies).ask(
                method, target, MALLORY if method == "POST" else None, **SENT_BY_US
            )
            assert answer.status == 303, (method, path)
            assert answer.headers["Location"].startswith("/console/enter") and not answer.body
    assert users(stand) == []


def test_a_key_opens_and_leads_to_where_one_wanted_to_go(stand: Stand) -> None:
    visitor = Visitor(stand)
    away = visitor.ask("GET", "/console/machines?q=web").headers["Location"]
    assert away == "/console/enter?next=%2Fconsole%2Fmachines%3Fq%3Dweb"
    assert "apikeys create" in visitor.open("/enter").text
    key = stand.do(lambda t: apikeys.create(t, stand.now + 60, "", "test", stand.now)[1])
    answer = visitor.ask("POST", away, {"key": [f" {key} "]}, **SENT_BY_US)
    assert answer.status == 303 and answer.headers["Location"] == "/console/machines?q=web"
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-meshbox-console=")
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert key not in cookie and visitor.open("/machines").text
    assert visitor.ask("GET", "/console/enter").headers["Location"] == "/console"


@pytest.mark.parametrize(
    "wanted", ["https://evil.example", "//evil.example", "/consolex", "/console\r\nX: y", "/help", "\\evil"]
)
def test_nobody_is_sent_elsewhere(stand: Stand, wanted: str) -> None:
    visitor = Visitor(stand)
    visitor.sign_in()
    assert visitor.ask("GET", f"/console/enter?next={quote(wanted)}").headers["Location"] == "/console"


def test_wrong_keys_are_refused_and_counted(stand: Stand) -> None:
    for _ in range(10):
        answer = Visitor(stand).ask("POST", "/console/enter", {"key": ["mb-api-0123456789ab-" + "x" * 43]})
        assert answer.status == 401 and "Set-Cookie" not in answer.headers
    assert Visitor(stand).sign_in().status == 429, "a right one among guesses would tell the guesser"


@pytest.mark.parametrize("end", ["revoke", "delete", "expire"])
def test_a_session_ends_with_its_key(stand: Stand, admin: Visitor, end: str) -> None:
    admin.open()
    [key] = stand.do(lambda t: list(t.api_keys.values()))
    match end:
        case "revoke":
            stand.do(lambda t: apikeys.revoke(t, key.id, "test", stand.now))
        case "delete":
            stand.do(lambda t: apikeys.delete(t, key.id, "test", stand.now))
        case _:
            stand.now = key.expires_at
    assert admin.ask("GET", "/console").headers["Location"].startswith("/console/enter")
    assert admin.ask("POST", "/console/users", MALLORY, **SENT_BY_US).status == 303
    assert users(stand) == []


def test_signing_out_ends_it(stand: Stand, admin: Visitor) -> None:
    cookies = dict(admin.cookies)
    assert admin.ask("POST", "/console/leave", {}, **SENT_BY_US).status == 403, "not without the form's token"
    [leave] = [form for form in admin.forms("") if form.action == "/console/leave"]
    assert admin.ask("POST", leave.action, leave.fields, **SENT_BY_US).status == 303
    assert admin.cookies["__Host-meshbox-console"] == ""
    assert Visitor(stand, cookies).ask("GET", "/console").status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_sites_form_does_nothing(stand: Stand, admin: Visitor, headers: dict[str, str]) -> None:
    [form] = [form for form in admin.forms("/users") if "user.create" in form.acts]
    answer = admin.ask("POST", "/console/users", form.fields | {"name": ["mallory"]}, **headers)
    assert answer.status == 403 and users(stand) == []


def test_a_form_without_its_token_does_nothing(stand: Stand, admin: Visitor) -> None:
    for token in ([], [""], ["x" * 43]):
        answer = admin.ask("POST", "/console/users", MALLORY | {"form_token": token}, **SENT_BY_US)
        assert answer.status == 403 and "earlier visit" in answer.body.decode()
    assert users(stand) == []


def test_a_screen_does_only_its_own_acts(stand: Stand, admin: Visitor) -> None:
    [form] = [form for form in admin.forms("/users") if "user.create" in form.acts]
    for act in ("api.create", "node.delete", "nothing", ""):
        answer = admin.ask("POST", "/console/users", form.fields | {"act": [act]}, **SENT_BY_US)
        assert answer.status == 422 and "press one of the buttons" in answer.body.decode()
    assert len(stand.do(lambda t: t.api_keys)) == 1


def test_a_form_has_an_end(stand: Stand, admin: Visitor) -> None:
    token = admin.forms("/users")[0].fields["form_token"]
    big = {"act": ["user.create"], "form_token": token, "name": ["x" * (70 << 10)]}
    assert admin.ask("POST", "/console/users", big, **SENT_BY_US).status == 413
    many = {"form_token": token, **{f"f{number}": ["x"] for number in range(1200)}}
    assert admin.ask("POST", "/console/users", many, **SENT_BY_US).status == 413
    kept = f"__Host-meshbox-console={admin.cookies['__Host-meshbox-console']}"
    assert stand.ask_public("POST", "/console/users", b"name=%ff", Cookie=kept).status == 400


def test_a_key_does_not_travel_in_the_clear(tmp_path: Path) -> None:
    with Stand(tmp_path, url="http://mesh.example.org") as stand:
        visitor = Visitor(stand)
        page = visitor.open("/enter")
        assert "input" not in page.tags and "plain HTTP" in page.text
        assert visitor.sign_in().status == 422 and not visitor.cookies


def test_screens_carry_the_headers(stand: Stand, admin: Visitor) -> None:
    for visitor, path in ((admin, ""), (Visitor(stand), "/enter")):
        headers = visitor.ask("GET", f"/console{path}").headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "same-origin"
