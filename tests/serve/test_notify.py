"""What the service manager hears, on a real socket."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshbox.serve.notify import ServiceManager


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[tuple[ServiceManager, socket.socket]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(2)
        yield ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")}), listener


def test_the_life_of_a_service(heard: tuple[ServiceManager, socket.socket]) -> None:
    manager, listener = heard
    manager.ready("3 nodes\nonline")
    manager.alive()
    before = time.monotonic_ns() // 1000
    manager.reloading()
    manager.ready()
    manager.status("busy")
    manager.stopping()
    messages = [listener.recv(1000).decode() for _ in range(6)]
    assert messages[0] == "READY=1\nSTATUS=3 nodes online"
    assert messages[1] == "WATCHDOG=1"
    reload = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", messages[2])
    assert reload and before <= int(reload[1]) <= time.monotonic_ns() // 1000
    assert messages[3:] == ["READY=1", "STATUS=busy", "STOPPING=1"]


def test_an_abstract_socket() -> None:
    name = f"meshbox-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name)
        listener.settimeout(2)
        ServiceManager({"NOTIFY_SOCKET": "@" + name}).ready()
        assert listener.recv(100) == b"READY=1"


def test_nobody_listens_and_nothing_happens(tmp_path: Path) -> None:
    for env in ({}, {"NOTIFY_SOCKET": str(tmp_path / "absent")}, {"NOTIFY_SOCKET": "vsock:2:1"}):
        ServiceManager(env).ready("well")


def test_a_deaf_manager_does_not_block(heard: tuple[ServiceManager, socket.socket]) -> None:
    manager, _ = heard
    for _ in range(2000):
        manager.alive()


@pytest.mark.parametrize(
    ("env", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_the_watchdog_is_fed(env: dict[str, str], interval: float | None) -> None:
    assert ServiceManager(env).watchdog_interval == interval
