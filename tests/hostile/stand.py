"""A real `meshbox serve` on loopback, what it costs, and what it says; administered by its own command line.

    async with standing(tmp_path, limits={...}) as stand, watched(stand):
        ...                          attack stand.door
        stand.cpu(), stand.memory(), stand.log(), stand.counter("map_stalled")

`watched` keeps two healthy nodes talking in a process of their own (tests/hostile/witness.py) and fails
when one of them was late to hear of the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.fake.client import fetch_key
from tests.fake.node import FakeNode
from tests.world.ports import free_port
from tests.world.process import DIES_WITH_US

PAGE = os.sysconf("SC_PAGE_SIZE")
MESHBOX = (sys.executable, "-m", "meshbox.cli.main")

HEARD_WITHIN = 1.0
"""Seconds in which a healthy node hears of another one's change, whatever strangers do meanwhile."""


class Stand:
    """One server process. `door` is what fake nodes and tunnels want."""

    def __init__(self, home: Path, **settings: Any) -> None:
        self.home = home
        self.port, self.metrics_port = free_port(), free_port()
        self.config = home / "config.yaml"
        self.config.write_text(yaml.safe_dump(self._settings() | settings))
        self._log = home / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.door: tuple[str, int, bytes] = ("127.0.0.1", self.port, b"")

    def _settings(self) -> dict[str, Any]:
        return {
            "server_url": f"http://127.0.0.1:{self.port}",
            "listen_addr": f"127.0.0.1:{self.port}",
            "metrics_listen_addr": f"127.0.0.1:{self.metrics_port}",
            "unix_socket": str(self.home / "api.sock"),
            "state_dir": str(self.home),
            "dns": {"base_domain": "mesh.test"},
            "derp": {"server": {"enabled": False}},
        }

    async def start(self) -> None:
        process = self._process = self._launch()
        for _ in range(150):
            assert process.poll() is None, f"the server ended at once:\n{self.log()}"
            try:
                self.door = ("127.0.0.1", self.port, await fetch_key("127.0.0.1", self.port))
                return
            except OSError:
                await asyncio.sleep(0.1)
        raise AssertionError(f"the server does not answer:\n{self.log()}")

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as sink:
            words = [*DIES_WITH_US, *MESHBOX, "-c", str(self.config), "serve"]
            return subprocess.Popen(words, stdout=sink, stderr=sink)

    def stop(self) -> int:
        """Ask it to end; returns the exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the server did not stop:\n{self.log()[-4000:]}") from None

    # What it costs and says

    @property
    def pid(self) -> int:
        assert self._process is not None and self._process.poll() is None, f"it ended:\n{self.log()}"
        return self._process.pid

    def cpu(self) -> float:
        """Processor seconds of all its threads so far, to the microsecond (stat has hundredths)."""
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def lines(self, event: str) -> list[str]:
        """The log lines of one event."""
        return [line for line in self.log().splitlines() if f" event={event} " in line]

    async def counter(self, why: str) -> int:
        """How often something was refused or cut for this reason."""
        wanted = f'meshbox_refused_total{{why="{why}"}} '
        lines = (await self.metrics()).splitlines()
        return sum(int(float(line.removeprefix(wanted))) for line in lines if line.startswith(wanted))

    async def metrics(self) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.metrics_port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: stand\r\nConnection: close\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        return text

    # Administration

    async def admin(self, *words: str) -> str:
        """Run `meshbox WORDS`."""
        code, out, err = await self._run(*words)
        assert code == 0, f"{words}: {err}"
        return out

    async def refused(self, *words: str) -> tuple[int, str]:
        """Run `meshbox WORDS`, which must fail; returns the exit code and what it said."""
        code, _, err = await self._run(*words)
        assert code, f"{words}: {err}"
        return code, err

    async def _run(self, *words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *MESHBOX, "-c", str(self.config), *words,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async def ask(self, *words: str) -> Any:
        return json.loads(await self.admin(*words, "-o", "json"))

    async def auth_key(self, *more: str, user: str = "ana") -> str:
        """A pre-auth key's text; `more` is --reusable and its like."""
        if user not in [known["name"] for known in await self.ask("users", "list")]:
            await self.admin("users", "create", user)
        made = await self.ask("preauthkeys", "create", "--user", user, "--expiration", "1h", *more)
        return str(made["key"])

    def node(self, hostname: str, **options: Any) -> FakeNode:
        return FakeNode(self.door, hostname, **options)

    async def joined(self, hostname: str, key: str, **options: Any) -> FakeNode:
        """A node that registered and listens."""
        node = self.node(hostname, **options)
        answer = await node.register(key)
        assert answer.status == 200 and answer.json["MachineAuthorized"], answer
        await node.listen()
        return node


@asynccontextmanager
async def standing(home: Path, **settings: Any) -> AsyncIterator[Stand]:
    """A server with these top-level settings. It must end cleanly."""
    stand = Stand(home, **settings)
    try:
        await stand.start()
        yield stand
        assert stand.stop() == 0, stand.log()[-4000:]
    finally:
        stand.stop()


@asynccontextmanager
async def watched(stand: Stand) -> AsyncIterator[None]:
    """Two healthy nodes hear each other's changes in time while the block runs."""
    key = await stand.auth_key("--reusable", user="healthy")
    words = (
        *DIES_WITH_US,
        sys.executable,
        "-m",
        "tests.hostile.witness",
        str(stand.port),
        stand.door[2].hex(),
        key,
    )
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n", "the two healthy nodes cannot join"
        yield
        process.stdin.close()
        told = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
        print(f"healthy nodes: {told['heard']} changes heard, the slowest after {told['worst']:.3f} s")
        assert told["heard"] > 0 and not told["lost"], told
        assert told["worst"] < HEARD_WITHIN, told
    finally:
        if process.returncode is None:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                raise
