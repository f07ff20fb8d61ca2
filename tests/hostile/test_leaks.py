"""Planted secrets turn up nowhere: not in a log line, a list, a metric, a map or the database."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from meshbox.secrets import SECRET_LENGTH
from tests.fake.node import FakeNode
from tests.hostile.stand import Stand, standing

LISTS = (("users",), ("nodes",), ("preauthkeys",), ("apikeys",), ("auth",))


class Planted:
    """What must stay unseen, by the name of where it was planted."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def token(self, name: str, text: str) -> str:
        """Only the last part of a token is secret."""
        self.secrets[name] = text[-SECRET_LENGTH:]
        return text

    def check(self, where: str, text: str) -> None:
        found = [name for name, secret in self.secrets.items() if secret.lower() in text.lower()]
        assert not found, f"{found} in {where}"


def made_up(kind: str = "auth") -> str:
    return f"mb-{kind}-{os.urandom(6).hex()}-{os.urandom(22).hex()[:SECRET_LENGTH]}"


@pytest.mark.parametrize("form", ["text", "json"])
async def test_secrets_are_in_no_log_and_no_list(tmp_path: Path, form: str) -> None:
    planted = Planted()
    async with standing(tmp_path, log={"level": "debug", "format": form}) as stand:
        planted.secrets["noise key"] = (tmp_path / "noise_private.key").read_text().split(":")[1].strip()
        told = await register_in_every_way(stand, planted)
        told += await knock_at_the_api(stand, planted)
        for words in LISTS:
            planted.check(f"{words[0]} list", json.dumps(await stand.ask(*words, "list")))
            planted.check(f"{words[0]} list, as a table", await stand.admin(*words, "list"))
        planted.check("the metrics", await stand.metrics())
        planted.check("what nodes and callers were told", told)
    planted.check("the log", stand.log())
    assert not re.search(r"(?:nodekey|mkey|discokey):[0-9a-f]{64}", stand.log()), "a whole key in the log"
    assert stand.lines("registration_refused") or '"registration_refused"' in stand.log()
    del planted.secrets["noise key"]
    planted.check("the database", database(tmp_path))


def database(home: Path) -> str:
    stored = b"".join(path.read_bytes() for path in home.glob("*.sqlite*"))
    assert b"ana" in stored
    return stored.decode("latin-1")


async def register_in_every_way(stand: Stand, planted: Planted) -> str:
    """Keys in the right place, in wrong ones, and of wrong types; returns all that was answered."""
    good = planted.token("reusable key", await stand.auth_key("--reusable"))
    once = planted.token("one-off key", await stand.auth_key())
    watcher, told = await stand.joined("watcher", good), []

    async def post(path: str, body: Any, node: FakeNode) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = await (await node.connect()).request("POST", path, raw)
        told.append(answer.body.decode())

    for number, key in enumerate((once, once, planted.token("wrong key", made_up()))):
        node = stand.node(f"laptop-{number}")
        await post("/machine/register", node.register_request(key), node)
        await node.close()
    node = stand.node("careless")
    near = planted.token("near miss", good[:-1] + ("A" if good[-1] != "A" else "B"))
    typed = planted.token("mistyped", made_up())
    request = node.register_request(near)
    for body in (
        request,
        request | {"Auth": {"AuthKey": [typed]}},
        request | {"Auth": typed},
        request | {"Auth": {"AuthKey": typed + "-" + "x" * 600}},
        request | {"Auth": {"Oauth2Token": {"access_token": typed}}},
        request | {"NodeKey": typed},
        request | {"Followup": f"http://127.0.0.1/register/{typed}"},
        json.dumps(request).encode()[:-9] + typed.encode(),
        typed.encode(),
    ):
        await post("/machine/register", body, node)
        await post("/machine/map", body, node)
    waiting = stand.node("waiting")
    answer = await waiting.register()
    # Who has the link may see the device and decide nothing; yet it is no line of log.
    planted.secrets["registration link"] = answer.json["AuthURL"].rpartition("/")[2]
    planted.check("the log", stand.log())
    del planted.secrets["registration link"]
    await asyncio.sleep(0.3)
    told.append(json.dumps(watcher.map.peers))
    for one in (node, watcher, waiting):
        await one.close()
    return "\n".join(told)


async def knock_at_the_api(stand: Stand, planted: Planted) -> str:
    """API keys, right and wrong, in headers, paths, queries and bodies of the public listener."""
    good = planted.token("API key", (await stand.ask("apikeys", "create", "--expiration", "1h"))["key"])
    wrong = planted.token("wrong API key", made_up("api"))
    stray = planted.token("stray key", made_up())
    told = []
    for key in (good, wrong, good[:-1] + "_", f"{good} {good}", "Basic " + good):
        for method, path, body in (
            ("GET", "/api/v1/node", ""),
            ("GET", f"/api/v1/node/{stray}?key={stray}", ""),
            ("GET", f"/register/{stray}", ""),
            ("GET", f"/{stray}", ""),
            ("POST", "/api/v1/preauthkey", f'{{"user":"{stray}","key":"{stray}"}}'),
            ("POST", "/api/v1/preauthkey/expire", f'{{"key":"{stray}"}}'),
            ("POST", "/api/v1/user", f"{stray}"),
            ("BREW", f"/api/v1/{stray}", stray),
        ):
            told.append(await call(stand, (method, path, body), key))
    return "\n".join(told).replace(stray, "(its own word)")


async def call(stand: Stand, request: tuple[str, str, str], key: str) -> str:
    method, path, body = request
    reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{stand.port}\r\nAuthorization: Bearer {key}\r\n"
        f"Cookie: key={key}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    text = (await asyncio.wait_for(reader.read(), 10)).decode(errors="replace")
    writer.close()
    return text
