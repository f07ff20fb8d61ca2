"""The pages as a browser gets them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from meshbox.serve.pages.assets import ASSETS, STATIC
from meshbox.serve.pages.page import ENVIRONMENT
from meshbox.serve.pages.times import ago
from meshbox.tailnet import enrol
from tests.serve.api.stand import DOMAIN, URL, Answer, Stand
from tests.serve.api.test_auth import knock
from tests.tailnet.build import NOW, node_key

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
        assert tag not in ("script", "style", "form"), tag
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
            assert stand.ask_public("GET", link).status == 200, link
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
        source = ENVIRONMENT.loader.get_source(ENVIRONMENT, name)[0]
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
