"""From nothing to a line that joins a device, and back up again after a stop."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from meshbox.cli import quickfile, quickstart, reach
from meshbox.cli.main import main
from meshbox.cli.quickfile import Wish
from meshbox.config import load
from meshbox.errors import Conflict, Invalid
from tests.world.ports import free_port

DEFAULTS = Wish(address="192.0.2.10", port=8080, relay_port=8443, stun_port=3478)


def free_ports() -> list[str]:
    """Options for ports nobody uses."""
    words: list[str] = []
    for option in ("--port", "--relay-port", "--stun-port"):
        words += [option, str(free_port())]
    return words


@contextmanager
def running(*words: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A quickstart that has said its welcome."""
    process = subprocess.Popen(
        [sys.executable, "-m", "meshbox.cli", "quickstart", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    seen = b""
    deadline = time.monotonic() + 30
    try:
        while b"Ctrl-C" not in seen and time.monotonic() < deadline:
            if select.select([process.stdout], [], [], 1.0)[0]:
                piece = os.read(process.stdout.fileno(), 65_536)
                if not piece:
                    break
                seen += piece
        yield seen.decode(), process
        process.send_signal(signal.SIGINT)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.communicate()


def test_up_down_and_up_again(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    file = directory / "config.yaml"
    words = ["--state-dir", str(directory), "--address", "127.0.0.1", *free_ports()]
    keys = []
    for options in (words, words[:2]):
        with running(*options) as (welcome, process):
            url = load(file, {}).server_url
            [key] = re.findall(rf"tailscale up --login-server {url} --auth-key (mb-auth-\w+-\w+)\n", welcome)
            keys.append(key)
            assert process.poll() is None
            ask = [sys.executable, "-m", "meshbox.cli", "-c", str(file)]
            users = subprocess.run(
                [*ask, "users", "list", "-o", "name"], capture_output=True, text=True, check=True
            )
            assert users.stdout == "admin\n"
            listed = subprocess.run(
                [*ask, "preauthkeys", "list", "-o", "name"], capture_output=True, text=True, check=True
            )
            assert len(listed.stdout.split()) == len(keys)
            again = subprocess.run(
                [sys.executable, "-m", "meshbox.cli", "quickstart", "--state-dir", str(directory)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert again.returncode == 5 and "already runs" in again.stderr
    assert keys[0] != keys[1]
    assert directory.stat().st_mode & 0o777 == 0o700


def test_port_in_use(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = [*free_ports(), "--port", str(port), "--address", "127.0.0.1"]
        done = subprocess.run(
            [sys.executable, "-m", "meshbox.cli", "quickstart", "--state-dir", str(tmp_path / "s"), *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 11
    assert f"0.0.0.0:{port}" in done.stderr and "taken by another program" in done.stderr
    assert "tailscale up" not in done.stdout and "Traceback" not in done.stderr


def test_the_written_file_is_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.yaml"
    assert quickfile.settle(file, Wish(), DEFAULTS)
    config = load(file, {})
    assert config.server_url == "http://192.0.2.10:8080"
    assert config.listen_addr == "0.0.0.0:8080" and config.metrics_listen_addr is None
    assert config.unix_socket == tmp_path / "new" / "api.sock"
    assert config.database.sqlite.path.parent == tmp_path / "new"
    assert config.derp.server.listen_addr == "0.0.0.0:8443" and str(config.derp.server.ipv4) == "192.0.2.10"
    assert config.derp.server.stun_listen_addr == "0.0.0.0:3478"


def test_an_ipv6_address(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    quickfile.settle(file, Wish(address="2001:db8::1"), DEFAULTS)
    config = load(file, {})
    assert config.server_url == "http://[2001:db8::1]:8080"
    assert config.listen_addr == "[::]:8080" and str(config.derp.server.ipv6) == "2001:db8::1"


def test_options_change_what_we_wrote_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    quickfile.settle(file, Wish(), DEFAULTS)
    assert not quickfile.settle(file, Wish(), replace_port(1))
    assert not quickfile.settle(file, Wish(port=8080), DEFAULTS)
    assert quickfile.settle(file, Wish(port=9000), replace_port(1))
    config = load(file, {})
    assert config.server_url == "http://192.0.2.10:9000" and config.derp.server.listen_addr == "0.0.0.0:8443"
    file.write_text(file.read_text() + "\nlog: {level: debug}\n")
    before = file.read_text()
    assert not quickfile.settle(file, Wish(), DEFAULTS)
    with pytest.raises(Conflict, match="was edited"):
        quickfile.settle(file, Wish(port=9001), DEFAULTS)
    assert file.read_text() == before


def replace_port(port: int) -> Wish:
    return Wish(address="192.0.2.99", port=port, relay_port=port, stun_port=port)


@pytest.mark.parametrize("address", ["mesh.example.org", "", "1.2.3", "0x7f.1"])
def test_an_address_is_an_ip_address(tmp_path: Path, address: str) -> None:
    with pytest.raises(Invalid, match="no IP address"):
        quickfile.settle(tmp_path / "config.yaml", Wish(address=address), DEFAULTS)
    assert list(tmp_path.iterdir()) == []


def test_unusable_directories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["quickstart", "--state-dir", str(tmp_path / "file" / "below")]) == 2
    assert main(["quickstart", "--state-dir", str(tmp_path / ("x" * 120))]) == 2
    said = capsys.readouterr()
    assert "cannot be" in said.err and "too long a path" in said.err and "Traceback" not in said.err


def test_own_address_is_ours() -> None:
    assert reach.is_ours(reach.own_address().address)
    assert not reach.is_ours("192.0.2.222")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:8080", "can be reached from this machine only"),
        ("http://9.9.9.9:8080", "insist on https"),
        ("http://9.9.9.9:8080", "no interface of this machine has 9.9.9.9"),
        ("http://192.168.77.77:8080", "no interface of this machine has 192.168.77.77"),
    ],
)
def test_warnings(tmp_path: Path, url: str, says: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"server_url: {url}\n")
    assert any(says in warning for warning in quickstart.warnings(load(file, {})))


def test_a_named_server_with_https_gets_no_warning(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("server_url: https://mesh.example.org\n")
    assert quickstart.warnings(load(file, {})) == []
