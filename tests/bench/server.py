"""A real `meshbox serve` and fake clients over loopback: what the server process pays."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.table import show
from tests.fake.client import fetch_key
from tests.fake.node import FakeNode

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PORT = 28_080
TOGETHER = 16

CONFIG = """\
server_url: http://127.0.0.1:{port}
listen_addr: 127.0.0.1:{port}
metrics_listen_addr: 127.0.0.1:{metrics}
unix_socket: {home}/api.sock
noise: {{private_key_path: {home}/noise.key}}
database: {{type: sqlite, sqlite: {{path: {home}/db.sqlite}}}}
prefixes: {{v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48"}}
dns: {{magic_dns: true, base_domain: mesh.example.org, override_local_dns: false}}
derp: {{server: {{enabled: false}}}}
log: {{level: warn}}
"""


class Server:
    """The process, its cost and its command line."""

    def __init__(self, home: Path) -> None:
        self.config = home / "config.yaml"
        self.config.write_text(CONFIG.format(home=home, port=PORT, metrics=PORT + 1))
        self.process = subprocess.Popen([*self._meshbox(), "serve"])

    def _meshbox(self) -> list[str]:
        return [sys.executable, "-m", "meshbox.cli.main", "--config", str(self.config)]

    def run(self, *words: str) -> str:
        return subprocess.run([*self._meshbox(), *words], check=True, capture_output=True, text=True).stdout

    def cpu(self) -> float:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICK

    def memory(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE / 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


async def wait_for(server: Server) -> bytes:
    for _ in range(100):
        if server.process.poll() is not None:
            raise SystemExit("the server did not start")
        try:
            return await fetch_key("127.0.0.1", PORT)
        except OSError:
            await asyncio.sleep(0.1)
    raise SystemExit("the server does not answer")


async def in_groups(nodes: list[FakeNode], act: object) -> None:
    for start in range(0, len(nodes), TOGETHER):
        await asyncio.gather(*(act(node) for node in nodes[start : start + TOGETHER]))  # type: ignore[operator]


async def watch_stalls(stalls: list[float]) -> None:
    """How long an answer that needs no work takes: what the event loop makes everybody wait."""
    while True:
        began = time.monotonic()
        await fetch_key("127.0.0.1", PORT)
        stalls.append(time.monotonic() - began)
        await asyncio.sleep(0.25)


async def measure(server: Server, count: int) -> list[tuple[str, str]]:
    public = await wait_for(server)
    server.run("users", "create", "bench")
    key = server.run("preauthkeys", "create", "--user", "bench", "--reusable").strip()
    nodes = [FakeNode(("127.0.0.1", PORT, public), f"host-{number}") for number in range(count)]
    rows: list[tuple[str, str]] = []
    base = server.memory()
    stalls: list[float] = []
    watch = asyncio.create_task(watch_stalls(stalls))

    began = server.cpu()
    await in_groups(nodes, lambda node: node.register(key))
    rows.append(("one registration with its tunnel", f"{(server.cpu() - began) * 1000 / count:.2f} ms"))

    began = server.cpu()
    await in_groups(nodes, lambda node: node.listen())
    await asyncio.sleep(2)
    rows.append(("one full map, and its news to all", f"{(server.cpu() - began) * 1000 / count:.2f} ms"))
    rows.append(("memory per connected node", f"{(server.memory() - base) / count:.1f} KB"))

    began, events = server.cpu(), 20
    for node in nodes[:events]:
        await node.close()
        await asyncio.sleep(1.3)
        await node.listen()
        await asyncio.sleep(0.2)
    rows.append(
        (
            f"one node offline and online again, told to {count}",
            f"{(server.cpu() - began) * 1000 / events:.1f} ms",
        )
    )

    watch.cancel()
    rows.append(("longest wait for an answer beside all that", f"{max(stalls) * 1000:.0f} ms"))

    began, at = server.cpu(), time.monotonic()
    await asyncio.sleep(10)
    rows.append(("idle", f"{(server.cpu() - began) / (time.monotonic() - at) * 100:.2f} % of a core"))
    rows.append(("memory of the process", f"{server.memory() / 1024:.0f} MB"))
    await asyncio.gather(*(node.close() for node in nodes))
    return rows


def run(counts: tuple[int, ...]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    for count in counts:
        with tempfile.TemporaryDirectory() as home:
            server = Server(Path(home))
            try:
                rows = asyncio.run(measure(server, count))
            finally:
                server.stop()
        show(f"A server with {count} fake clients (its own processor time)", ("what", "cost"), rows)
