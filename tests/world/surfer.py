"""A person at a browser, as a program: follows links, keeps cookies, fills in forms, presses the button.

    python surfer.py URL NAME PASSWORD [--look]     --look: does not press the last button

Prints a JSON list of the pages seen, {"url", "status", "text"}. Needs nothing but Python's own library.
"""

from __future__ import annotations

import json
import re
import sys
from html import unescape
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, Request, build_opener

AT_MOST = 6


class Form(HTMLParser):
    """The first form of a page: where it goes, and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = given.get("action") or ""
        elif tag == "input" and given.get("name"):
            self.fields[str(given["name"])] = given.get("value") or ""


def surf(url: str, name: str, password: str, looks_only: bool) -> list[dict[str, object]]:
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    request, seen = Request(url), []
    while len(seen) < AT_MOST:
        try:
            answer = browser.open(request, timeout=10)
        except HTTPError as error:
            answer = error
        page = answer.read().decode()
        text = " ".join(unescape(re.sub(r"<[^>]+>", " ", page.partition("<body>")[2] or page)).split())
        seen.append({"url": answer.url, "status": answer.status, "text": text})
        form = Form(page)
        if form.action is None or ("token" in form.fields and looks_only):
            break
        if "username" in form.fields:
            form.fields |= {"username": name, "password": password}
        request = Request(urljoin(answer.url, form.action), data=urlencode(form.fields).encode())
    return seen


if __name__ == "__main__":
    print(json.dumps(surf(*sys.argv[1:4], looks_only="--look" in sys.argv)))
