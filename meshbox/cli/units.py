"""The service manager, as an administrator's hands use it: systemctl and journalctl."""

from __future__ import annotations

import subprocess
from pathlib import Path

from meshbox.errors import OperatorError

BOOTED = Path("/run/systemd/system")
"""Exists where systemd runs as the first process (sd_booted(3))."""

PATIENCE = 330.0
"""Seconds; a little more than TimeoutStartSec of the unit."""


def is_there() -> bool:
    return BOOTED.is_dir()


def has(unit: str) -> bool:
    return _run("systemctl", "cat", unit).returncode == 0


def start(*units: str) -> None:
    """Enable and (re)start the units and wait until they say that they are ready. Raises OperatorError with
    the last lines of the journal, which say why."""
    _run("systemctl", "enable", *units)
    sockets = [unit for unit in units if unit.endswith(".socket")]
    services = [unit for unit in units if unit not in sockets]
    for verb, group in (("start", sockets), ("restart", services)):
        done = _run("systemctl", verb, *group) if group else None
        if done is not None and done.returncode:
            raise OperatorError(f"{done.stderr.strip()}\n{_last_words(group[0])}")


def stop(*units: str) -> None:
    _run("systemctl", "stop", *units)


def may_read(user: str, path: Path) -> bool:
    """Whether a user of the system may, all directories on the way included; root only can ask."""
    return _run("runuser", "-u", user, "--", "test", "-r", str(path)).returncode == 0


def _last_words(unit: str) -> str:
    said = _run("journalctl", "-u", unit, "-n", "5", "-o", "cat", "--no-pager").stdout.strip()
    return f"the journal says:\n{said}\nmore with: journalctl -u {unit}"


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OperatorError(f"{words[0]} could not be run: {error}") from None
