"""A journal of a test's own: systemd's real journald in a mount namespace, and a server that writes to it.

Run as a program: `python -m tests.cli.journald DIRECTORY COMMAND...` (root, in fresh mount and pid
namespaces) runs the command where /run has a journald and a `meshbox serve` with DIRECTORY/config.yaml.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

JOURNALD = "/usr/lib/systemd/systemd-journald"
CATALOG = Path(__file__).parents[2] / "systemd"


def inside(directory: Path, *command: str) -> list[str]:
    """The words that run a command there."""
    here = [sys.executable, "-m", "tests.cli.journald", str(directory), *command]
    return ["unshare", "--mount", "--pid", "--fork", "--mount-proc", *here]


def main(directory: Path, command: list[str]) -> int:
    for place in ("/run", "/var/log", "/var/lib/systemd"):
        subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    for made in ("/run/systemd/journal", "/run/log/journal", "/var/lib/systemd/catalog"):
        Path(made).mkdir(parents=True)
    subprocess.run(["mount", "--bind", str(CATALOG), "/usr/lib/systemd/catalog"], check=True)
    subprocess.run(["journalctl", "--update-catalog"], check=True)
    if not Path("/etc/machine-id").read_text().strip():
        Path("/run/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        subprocess.run(["mount", "--bind", "/run/machine-id", "/etc/machine-id"], check=True)
    journald = subprocess.Popen([JOURNALD])
    _until(Path("/run/systemd/journal/stdout").exists)
    server = _serve(directory)
    try:
        _until(lambda: (directory / "api.sock").exists())
        time.sleep(0.5)
        return subprocess.run(command, check=False).returncode
    finally:
        server.terminate()
        server.wait(10)
        journald.terminate()


def _serve(directory: Path) -> subprocess.Popen[bytes]:
    """With stderr in the journal, as systemd would connect it."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect("/run/systemd/journal/stdout")
    # Identifier, unit, priority, priority prefixes, and where else: systemd's own greeting.
    stream.sendall(b"meshbox\n\n6\n1\n0\n0\n0\n")
    kind = os.fstat(stream.fileno())
    environment = {**os.environ, "JOURNAL_STREAM": f"{kind.st_dev}:{kind.st_ino}"}
    command = [sys.executable, "-m", "meshbox.cli", "-c", str(directory / "config.yaml"), "serve"]
    return subprocess.Popen(command, stderr=stream, env=environment)


def _until(fact: Callable[[], object], within: float = 15.0) -> None:
    deadline = time.monotonic() + within
    while not fact():
        if time.monotonic() > deadline:
            raise SystemExit("it did not come up in time")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
