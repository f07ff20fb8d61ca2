"""A real browser, Chromium, by the plain HTTP of its driver. Runs as a program where the pages are reached.

    python chromium.py STEPS [NAME ADDRESS]
                                 a JSON list of ["open", URL], ["type", CSS, TEXT], ["clear", CSS],
                                 ["press", CSS] of what leads to another page, ["unfold", CSS], ["shot", FILE]

A name may be given with its address, for a machine whose resolver does not know it.

Prints a JSON list of the pages seen after each step that leads somewhere, {"url", "text"}.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

PORT = 9515
# Without these it looks for its maker's hosts at each start.
OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=390,844",
]  # fmt: skip
PATIENCE = 10.0
"""Seconds for another page to come."""

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The standard's name for an element's number."""


def ask(method: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    request = Request(f"http://127.0.0.1:{PORT}{path}", data, kind, method=method)
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)["value"]


class Session:
    def __init__(self, profile: str) -> None:
        options = {"args": [*OPTIONS, f"--user-data-dir={profile}"]}
        # The laboratory's authority is in no browser's list.
        always = {"goog:chromeOptions": options, "acceptInsecureCerts": True}
        wanted = {"capabilities": {"alwaysMatch": always}}
        self.path = f"/session/{ask('POST', '/session', wanted)['sessionId']}"

    def page(self) -> dict[str, str]:
        return {"url": ask("GET", f"{self.path}/url"), "text": self._of(self._find("body"), "text")}

    def step(self, what: str, *words: str) -> None:
        match what:
            case "open":
                ask("POST", f"{self.path}/url", {"url": words[0]})
            case "type":
                ask("POST", f"{self.path}/element/{self._find(words[0])}/value", {"text": words[1]})
            case "clear":
                ask("POST", f"{self.path}/element/{self._find(words[0])}/clear", {})
            case "press":
                before = self._page_of_now()
                ask("POST", f"{self.path}/element/{self._find(words[0])}/click", {})
                self._wait_for_another(before)
            case "unfold":
                ask("POST", f"{self.path}/element/{self._find(words[0])}/click", {})
            case "shot":
                Path(words[0]).write_bytes(base64.b64decode(ask("GET", f"{self.path}/screenshot")))

    def _page_of_now(self) -> tuple[float, str]:
        """When the document began, and whether it is all there."""
        script = "return [performance.timeOrigin, document.readyState]"
        began, state = ask("POST", f"{self.path}/execute/sync", {"script": script, "args": []})
        return began, state

    def _wait_for_another(self, before: tuple[float, str]) -> None:
        """A click may return before its page has come."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            began, state = self._page_of_now()
            if began != before[0] and state == "complete":
                return
            time.sleep(0.05)

    def _find(self, css: str) -> str:
        found: str = ask("POST", f"{self.path}/element", {"using": "css selector", "value": css})[ELEMENT]
        return found

    def _of(self, element: str, what: str) -> str:
        return str(ask("GET", f"{self.path}/element/{element}/{what}"))


def surf(steps: list[list[str]]) -> list[dict[str, str]]:
    silence = subprocess.DEVNULL
    driver = subprocess.Popen(["chromedriver", f"--port={PORT}"], stdout=silence, stderr=silence)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            session, seen = _started(profile), []
            for step in steps:
                session.step(*step)
                if step[0] in ("open", "press"):
                    seen.append(session.page())
            ask("DELETE", session.path)
            return seen
    finally:
        driver.kill()
        driver.wait()


def _started(profile: str) -> Session:
    deadline = time.monotonic() + 20
    while True:
        try:
            return Session(profile)
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    if sys.argv[2:]:
        OPTIONS.append(f"--host-resolver-rules=MAP {sys.argv[2]} {sys.argv[3]}")
    print(json.dumps(surf(json.loads(sys.argv[1]))))
