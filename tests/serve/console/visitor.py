"""Somebody at a browser without JavaScript, in front of a server's console: keeps cookies, fills in forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

from meshbox.tailnet import apikeys
from tests.serve.api.stand import Answer, Stand
from tests.serve.pages.test_pages import Reader
from tests.tailnet.build import NOW

Fields = dict[str, list[str]]

SENT_BY_US = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Form:
    """`buttons` are the acts of its buttons, "" for a button that stands for the form."""

    method: str
    action: str
    fields: Fields = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)

    @property
    def acts(self) -> list[str]:
        return self.fields.get("act", []) or self.buttons


class Forms(HTMLParser):
    """The forms of a page, with what stands in their fields."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._select = self._text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("method", "get"), given.get("action", "")))
            return
        if not self.forms:
            return
        form, name = self.forms[-1], given.get("name", "")
        if tag == "button":
            form.buttons.append(given.get("value", ""))
        elif tag == "input" and name and given.get("type") not in ("checkbox",):
            form.fields.setdefault(name, []).append(given.get("value", ""))
        elif tag == "input" and name and "checked" in given:
            form.fields.setdefault(name, []).append(given["value"])
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or self._select not in form.fields):
            form.fields[self._select] = [given.get("value", "")]
        elif tag == "textarea":
            form.fields[name], self._text = [""], name

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            # A browser drops the first line end.
            form = self.forms[-1]
            form.fields[self._text] = [form.fields[self._text][0].removeprefix("\n")]
            self._text = ""
        elif tag == "form" and self.forms:
            self.forms.append(Form("get", ""))

    def handle_data(self, data: str) -> None:
        if self._text:
            self.forms[-1].fields[self._text][0] += data


@dataclass
class Visitor:
    stand: Stand
    cookies: dict[str, str] = field(default_factory=dict)
    key: str = ""

    def ask(self, method: str, path: str, fields: Fields | None = None, **headers: str) -> Answer:
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Cookie": kept, "Content-Type": "application/x-www-form-urlencoded", **headers}
        body = None if fields is None else urlencode(fields, doseq=True).encode()
        answer = self.stand.ask_public(method, path, body, **sent)
        cookie = answer.headers.get("Set-Cookie", "")
        if cookie:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return answer

    def sign_in(self, **headers: str) -> Answer:
        """With a new API key."""
        self.key = self.stand.do(lambda t: apikeys.create(t, NOW + 86_400, "for tests", "test", NOW)[1])
        return self.ask("POST", "/console/enter", {"key": [self.key]}, **headers)

    def open(self, path: str = "") -> Reader:
        """The screen, read strictly."""
        answer = self.ask("GET", f"/console{path}")
        assert answer.status == 200, (path, answer.status, answer.headers.get("Location"))
        return Reader(answer.body.decode())

    def forms(self, path: str) -> list[Form]:
        answer = self.ask("GET", f"/console{path}")
        return [form for form in Forms(answer.body.decode()).forms if form.buttons]

    def press(self, path: str, act: str, where: Fields | None = None, **given: str | list[str]) -> Answer:
        """Fill in the form of that act on the screen and send it; `where` are fields that say which form."""
        for form in self.forms(path):
            if act in form.acts and all(
                form.fields.get(name) == value for name, value in (where or {}).items()
            ):
                break
        else:
            raise AssertionError(f"{path} has no form for {act}")
        fields = form.fields | {"act": [act]}
        fields |= {name: value if isinstance(value, list) else [value] for name, value in given.items()}
        return self.ask("POST", form.action.partition("#")[0] or f"/console{path}", fields, **SENT_BY_US)

    def done(self, path: str, act: str, where: Fields | None = None, **given: str | list[str]) -> str:
        """The same, and it works; what the next screen says."""
        answer = self.press(path, act, where, **given)
        assert answer.status == 303, Reader(answer.body.decode()).text
        return self.open(answer.headers["Location"].removeprefix("/console")).text

    def refused(
        self, path: str, act: str, where: Fields | None = None, **given: str | list[str]
    ) -> tuple[int, str]:
        answer = self.press(path, act, where, **given)
        assert answer.status >= 400, answer.status
        return answer.status, Reader(answer.body.decode()).text
