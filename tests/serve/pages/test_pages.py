"""The pages as a browser gets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest

from meshbox.serve.pages.assets import ASSETS, STATIC
from meshbox.serve.pages.page import ENVIRONMENT
from meshbox.serve.pages.times import ago
from meshbox.tailnet import apikeys, checks, enrol
from meshbox.tailnet.tailnet import Tailnet
from tests.serve.api.stand import DOMAIN, URL, Answer, Stand
from tests.serve.api.test_auth import knock
from tests.tailnet.build import NOW, join, make_key, node_key, policy

PATHS = ("/", "/help", "/linux", "/windows", "/apple", "/android")
HELP = tuple(f"/help/{system}" for system in ("linux", "windows", "macos", "ios", "android"))
VOID = {"meta", "link", "img", "br", "hr", "input"}


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with Stand(tmp_path) as running:
        yield running


class Reader(HTMLParser):
    """Reads a page strictly: what is opened is closed, and nothing is inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag not in ("script", "style"), tag
        assert not [name for name in given if name == "style" or name.startswith("on")], given
        if tag == "img":
            assert "alt" in given
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def read(answer: Answer) -> Reader:
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return Reader(answer.body.decode())


@pytest.mark.parametrize("path", PATHS + HELP)
def test_pages_stand_alone(stand: Stand, path: str) -> None:
    answer = stand.ask_public("GET", path)
    assert answer.status == 200
    page = read(answer)
    assert URL in page.text
    assert page.tags.count("h1") == 1 and "title" in page.tags
    for link in page.links:
        if link.startswith("/"):
            there = stand.ask_public("GET", link)
            assert stand.ask_public("GET", there.headers.get("Location", link)).status == 200, link
        elif link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert link.startswith("https://tailscale.com/"), link


@pytest.mark.parametrize("path", [*PATHS, "/register/unknown", "/help/amiga", "/static/none.css"])
def test_pages_carry_the_headers(stand: Stand, path: str) -> None:
    headers = stand.ask_public("GET", path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "Server" not in headers


def test_https_is_remembered_when_the_url_is_https(stand: Stand) -> None:
    assert "Strict-Transport-Security" in stand.ask_public("GET", "/").headers


def test_head_is_answered_without_a_body(stand: Stand) -> None:
    answer = stand.ask_public("HEAD", "/")
    assert answer.status == 200 and answer.body == b""


@pytest.mark.parametrize("path", PATHS + HELP)
def test_pages_cannot_be_posted_to(stand: Stand, path: str) -> None:
    assert stand.ask_public("POST", path).status == 405


def test_a_waiting_device_is_shown_with_the_command(stand: Stand) -> None:
    pending = stand.do(lambda t: knock(t, hostname="visitor"))
    answer = stand.ask_public("GET", f"/register/{pending}")
    assert answer.status == 200
    text = read(answer).text
    for fact in ("visitor", "linux", "192.0.2.9", node_key(1).short, "just now"):
        assert fact in text, fact
    assert f"meshbox auth approve {pending} --user NAME" in text
    assert f"meshbox auth reject {pending}" in text
    assert re.search(r'<meta http-equiv="refresh" content="\d+">', answer.body.decode())


def test_opening_the_link_lets_nobody_in(stand: Stand) -> None:
    pending = stand.do(knock)
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        stand.ask_public(method, f"/register/{pending}")
    assert stand.do(lambda t: len(t.nodes)) == 0
    assert stand.do(lambda t: t.pending[pending].state) == "waiting"


def test_the_page_says_when_it_is_done(stand: Stand) -> None:
    pending = stand.do(lambda t: knock(t, hostname="visitor"))
    stand.do(lambda t: enrol.approve(t, pending, 1, "test", NOW))
    answer = stand.ask_public("GET", f"/register/{pending}")
    text = read(answer).text
    assert "Approved" in text and f"visitor.{DOMAIN}" in text
    assert b"http-equiv" not in answer.body and b"auth approve" not in answer.body


def test_approved_and_then_deleted(stand: Stand) -> None:
    pending = stand.do(knock)
    stand.do(lambda t: enrol.approve(t, pending, 1, "test", NOW))
    stand.ask("DELETE", "/api/v1/node/1")
    assert stand.ask_public("GET", f"/register/{pending}").status == 200


def test_the_page_says_when_it_was_rejected(stand: Stand) -> None:
    pending = stand.do(knock)
    stand.do(lambda t: enrol.reject(t, pending, "test", NOW))
    answer = stand.ask_public("GET", f"/register/{pending}")
    assert "Rejected" in read(answer).text
    assert b"http-equiv" not in answer.body


@pytest.mark.parametrize(
    "given",
    ["nonsense", "reg-" + "A" * 32, "%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%00", "..%2f..", "x" * 4000],
)
def test_an_unknown_link_says_what_to_do(stand: Stand, given: str) -> None:
    answer = stand.ask_public("GET", f"/register/{given}")
    assert answer.status == 404
    assert f"tailscale up --login-server {URL}" in read(answer).text
    assert b"<script" not in answer.body


@pytest.mark.parametrize(
    "hostname",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "a\u202eb", "x" * 5000],
)
def test_what_a_device_calls_itself_is_only_text(stand: Stand, hostname: str) -> None:
    pending = stand.do(lambda t: knock(t, hostname=hostname))
    page = read(stand.ask_public("GET", f"/register/{pending}"))
    assert page.tags.count("img") == 1
    assert "49" not in page.text.split("Asked from")[0].split("Waiting for approval")[1]


def test_style_is_kept_for_ever_under_its_hash(stand: Stand) -> None:
    page = read(stand.ask_public("GET", "/"))
    [style] = [link for link in page.links if link.endswith(".css")]
    answer = stand.ask_public("GET", style)
    assert answer.headers["Content-Type"] == "text/css"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.body == (STATIC / "app.css").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/static/app.css",
        "/static/",
        "/static/..%2fapp.css",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/static//etc/passwd",
        "/static/..%5capp.css",
        "/static/app.css%00",
    ],
)
def test_nothing_else_comes_from_static(stand: Stand, path: str) -> None:
    assert stand.ask_public("GET", path).status == 404


def test_style_is_small_and_has_both_themes() -> None:
    style = (STATIC / "app.css").read_text()
    assert len(style) < 15_000
    assert "color-scheme: light dark" in style and "prefers-color-scheme: dark" in style
    assert "http" not in style and "@import" not in style


def test_every_class_has_a_style() -> None:
    """A class without a rule is a typing mistake, or dead."""
    style = (STATIC / "app.css").read_text()
    used: set[str] = set()
    for name in ENVIRONMENT.list_templates():
        assert ENVIRONMENT.loader is not None
        source = re.sub(r"{[{%].*?[%}]}", " ", ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0])
        used |= {one for classes in re.findall(r'class="([^"]*)"', source) for one in classes.split()}
    assert used and all(f".{name}" in style for name in used), used


def test_assets_are_in_memory() -> None:
    assert all(body for body in ASSETS.values())
    assert len(ASSETS) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7_260, "2 hours ago"),
        (90_000, "1 day ago"),
        (-5, "just now"),
    ],
)
def test_ago(seconds: float, words: str) -> None:
    assert ago(NOW - seconds, NOW) == words


def waiting_login(t: Tailnet) -> str:
    laptop, server = (
        join(t, 1, make_key(t, "ana"), "laptop"),
        join(t, 2, make_key(t, tags=("tag:web",)), "web"),
    )
    rule = {"action": "check", "src": ["ana@"], "dst": ["tag:web"], "users": ["root"]}
    t.enforce(policy(tagOwners={"tag:web": []}, ssh=[rule]))
    verdict = checks.ask(t, laptop.id, server, "root", NOW)
    assert isinstance(verdict, checks.Hold)
    return verdict.check.path


def api_key(t: Tailnet) -> str:
    return apikeys.create(t, NOW + 3600, "test", "test", NOW)[1]


def send(stand: Stand, path: str, **fields: str) -> Answer:
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    return stand.ask_public("POST", path, urlencode(fields).encode(), **form)


def test_a_login_that_waits_is_shown_and_decided_with_an_api_key(stand: Stand) -> None:
    path = stand.do(waiting_login)
    shown = stand.ask_public("GET", path)
    reader = Reader(shown.body.decode())
    assert shown.status == 200 and "form" in reader.tags
    assert "ana at laptop as root on web" in " ".join(reader.words)
    wrong = send(stand, path, key="mb-api-nothing", wish="approve")
    assert wrong.status == 401 and b"unknown, expired or revoked" in wrong.body
    assert all(check.state == "waiting" for check in stand.do(lambda t: list(t.checks.values())))
    done = send(stand, path, key=stand.do(api_key), wish="approve")
    assert done.status == 303 and done.headers["Location"] == path
    assert [check.state for check in stand.do(lambda t: list(t.checks.values()))] == ["approved"]
    assert b"Confirmed" in stand.ask_public("GET", path).body
    again = send(stand, path, key=stand.do(api_key), wish="reject")
    assert again.status == 404 and b"already approved" in again.body


def test_pages_without_an_act_take_no_form_and_none_is_large(stand: Stand) -> None:
    assert stand.ask_public("POST", "/help", b"").status == 405
    assert send(stand, stand.do(waiting_login), key="x" * 5000).status == 413
    assert stand.ask_public("GET", "/ssh/nothing").status == 404


def test_wrong_keys_in_forms_count_as_guesses(stand: Stand) -> None:
    path = stand.do(waiting_login)
    answers = [send(stand, path, key=f"mb-api-{number}", wish="approve").status for number in range(12)]
    assert answers[:10] == [401] * 10 and answers[-1] == 429
