"""SSH sessions sent to a recorder, which is a program on another node; without it, what the policy says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.world.clients import Client
from tests.world.net import Guests, Net
from tests.world.process import Daemon, eventually
from tests.world.test_ssh import rule, ssh

RECORDER = """
import pathlib, sys
from aiohttp import web
place = pathlib.Path(sys.argv[1])
async def record(request):
    with (place / "session.cast").open("ab") as cast:
        async for piece in request.content.iter_any():
            cast.write(piece)
            cast.flush()
    return web.Response()
app = web.Application()
app.router.add_post("/record", record)
web.run_app(app, port=80, print=lambda text: print("up", flush=True))
"""
TAG = "tag:files"


@dataclass
class Studio:
    """The node `server` lets in by SSH, `recorder` runs on `keeper`."""

    net: Net
    server: Client
    keeper: Client
    recorder: Daemon
    cast: Path

    def start(self) -> None:
        self.recorder.start(self.keeper.host.inside([sys.executable, "-c", RECORDER, str(self.cast.parent)]))
        eventually(lambda: self.recorder.text().count("up"), 10, "the recorder listens")

    def want(self, **more: object) -> None:
        self.net.put_policy(ssh=[{**rule("accept"), "recorder": [TAG], **more}])

    def log_in(self, word: str) -> str:
        return ssh(self.net.ana, self.server, "echo", word).text

    def heard(self, why: str) -> bool:
        events = self.net.server.ask("audit", "list", "--action", "ssh.not_recorded")
        return any(self.server.name == event["object"] and why in event["detail"] for event in events)


@pytest.fixture
def studio(net: Net, guests: Guests) -> Iterator[Studio]:
    server = guests.join("vault", "--ssh", key=net.server.create_key("lab", "--tags", "tag:web"))
    keeper = guests.join("keeper", key=net.server.create_key("lab", "--tags", TAG))
    directory = net.lab.directory / "casts" / keeper.name
    directory.mkdir(parents=True, exist_ok=True)
    recorder = Daemon("recorder", directory / "log")
    made = Studio(net, server, keeper, recorder, directory / "session.cast")
    made.start()
    yield made
    recorder.stop()
    net.put_policy()


def test_sessions_are_recorded_and_without_a_recorder_as_the_rule_says(studio: Studio) -> None:
    studio.net.ana.ping("vault")
    studio.server.ping("keeper")
    studio.want()
    eventually(lambda: "spoken" in studio.log_in("spoken"), 5, "ana is let in")
    eventually(lambda: "spoken" in studio.cast.read_text(), 5, "it is recorded")
    head = json.loads(studio.cast.read_text().splitlines()[0])
    assert head["version"] == 2 and head["sshUser"] == "root" and head["srcNode"].startswith("ana")

    studio.recorder.stop()
    assert "unheard" in studio.log_in("unheard")
    eventually(lambda: studio.heard("root from ana unrecorded"), 5, "the server hears of it")

    studio.want(enforceRecorder=True)
    eventually(lambda: "must be recorded" in studio.log_in("kept-out"), 5, "ana is turned away")
    eventually(lambda: studio.heard("root from ana rejected"), 5, "the server hears of it")
    studio.start()
    eventually(lambda: "back" in studio.log_in("back").split(), 5, "ana is let in again")
    eventually(lambda: "back" in studio.cast.read_text(), 5, "it is recorded")
    assert "unheard" not in studio.cast.read_text() and "kept-out" not in studio.cast.read_text()
