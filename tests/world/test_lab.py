"""The laboratory itself: it has no way out, its cables can be cut, and it leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.clients import ROOT
from tests.world.lab import Lab, sweep
from tests.world.process import eventually

ABANDON = """
import time
from tests.world.lab import Lab
lab = Lab()
host = lab.host("orphan")
print(lab.directory, host.pid, flush=True)
time.sleep(60)
"""
KNOCK = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"
UDP_ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 9000)); print("up", flush=True)
while True: s.sendto(*s.recvfrom(99))
"""
UDP_ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)
s.sendto(b"?", (sys.argv[1], 9000)); s.recv(9)
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Only the network, no server."""
    built = Lab()
    yield built
    built.close()


def test_there_is_no_way_out(lab: Lab) -> None:
    host = lab.host("prisoner")
    assert host.run(sys.executable, "-c", KNOCK, "192.0.2.1", "53", check=False).code != 0
    routes = lab.backbone.run("ip", "route").out
    assert "default" not in routes


def test_a_closed_host_takes_along_who_left_its_session(lab: Lab) -> None:
    host = lab.host("leaver")
    started = host.run("sh", "-c", "setsid --fork sleep 600 >&- 2>&-; pgrep --newest --exact sleep")
    sleeper = Path("/proc") / started.out.strip()
    assert (sleeper / "comm").read_text() == "sleep\n"
    host.close()
    eventually(lambda: not sleeper.exists() or "Z" in (sleeper / "stat").read_text(), 5, "the sleeper ends")


def test_udp_can_be_cut_and_restored_behind_a_router(lab: Lab) -> None:
    listener, asker = lab.host("listener"), lab.host("asker", lab.router("router"))
    server = subprocess.Popen(listener.inside([sys.executable, "-c", UDP_ECHO]), stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()

    def answered() -> bool:
        target = str(lab.cables["listener"].address)
        return asker.run(sys.executable, "-c", UDP_ASK, target, check=False).code == 0

    assert answered()
    lab.cables["listener"].block_udp()
    assert not answered()
    lab.cables["listener"].allow_udp()
    assert answered()
    server.kill()
    server.wait()


def test_a_killed_run_leaves_nothing() -> None:
    run = subprocess.Popen([sys.executable, "-c", ABANDON], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    directory, holder = run.stdout.readline().split()
    assert Path(directory).exists()
    run.send_signal(signal.SIGKILL)
    run.wait()
    eventually(lambda: not Path(f"/proc/{holder}").exists(), 5, "the namespaces are let go")
    sweep()
    assert not Path(directory).exists()
