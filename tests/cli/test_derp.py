from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshbox.cli.main import main
from meshbox.cli.relayview import amount, busiest


@pytest.fixture
def lab_relay(tmp_path: Path) -> Iterator[Path]:
    """The socket of a relay that a person started in a terminal."""
    path = tmp_path / "derp.sock"
    words = ["derp", "--listen", "127.0.0.1:0", "--stun", "off", "--admit", "all", "--socket", str(path)]
    process = subprocess.Popen([sys.executable, "-m", "meshbox.cli.main", *words])
    for _ in range(200):
        if path.exists():
            break
        time.sleep(0.05)
    yield path
    process.terminate()
    assert process.wait(5) == 0


def test_status_and_top_ask_the_running_relay(lab_relay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derp", "--socket", str(lab_relay), "status", "-o", "table"]) == 0
    said = capsys.readouterr().out
    assert "Admits" in said and "all" in said and "nodekey:" in said
    assert main(["derp", "--socket", str(lab_relay), "top", "--seconds", "0.1", "-o", "json"]) == 0
    assert capsys.readouterr().out.strip() == "[]"


def test_without_a_relay_the_way_out_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["derp", "--socket", str(tmp_path / "none"), "status"]) == 6
    assert "meshbox derp --socket" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--listen", "0.0.0.0:0", "--admit", "all"], "--yes"),
        (["--listen", "nonsense"], "host:port"),
        (["--admit", "nobody"], "control or url or all"),
        (["--lisen", ":443"], "--listen"),
        (["stats"], "status"),
    ],
)
def test_mistakes_are_told_with_their_way_out(
    words: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["derp", *words]) in (2, 10)
    assert part in capsys.readouterr().err


def test_the_busiest_come_first() -> None:
    def client(name: str, received: int, sent: int) -> dict[str, object]:
        return {"nodeKey": name, "address": "192.0.2.1", "bytesReceived": received, "bytesSent": sent}

    before = [client("ann", 100, 0), client("bob", 0, 0)]
    after = [client("ann", 300, 0), client("bob", 0, 1000), client("new", 50, 50)]
    found = busiest(before, after, 2.0)
    assert [one["nodeKey"] for one in found] == ["bob", "ann", "new"]
    assert (found[0]["readsPerSecond"], found[1]["sendsPerSecond"]) == (500.0, 100.0)


def test_amounts_are_for_people() -> None:
    assert [amount(size) for size in (0, 999, 1000, 1_234_567, 5e15)] == [
        "0 B", "999 B", "1.0 kB", "1.2 MB", "5000.0 TB",
    ]  # fmt: skip
