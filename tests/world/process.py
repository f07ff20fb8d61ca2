"""Processes of the laboratory: short commands, daemons with a log, and waiting for a fact.

Every process dies with the one that started it (PR_SET_PDEATHSIG through setpriv), so a killed test run
leaves nothing behind: no daemon, and with the last process gone no namespace and no interface. The kernel
watches the starting *thread*, hence daemons must be started from the main thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Fact = TypeVar("Fact")
UNPACKED = Path(__file__).parents[2] / ".cache/unpacked"
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")


class LabError(AssertionError):
    """Something in the laboratory did not happen; the text carries what was seen instead."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished command said: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both outputs, for error messages and for commands that print to either."""
        return (self.out + self.err).strip()


def unpacked(package: str, path: str) -> str:
    """A program out of a Debian package that is not installed, see scripts/packages.sh."""
    program = UNPACKED / package / path
    if not program.exists():
        raise LabError(f"{program} is missing: run `make test` once")
    return str(program)


def run(
    argv: Sequence[str],
    *,
    timeout: float = 30.0,
    check: bool = True,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a command to its end; with `check`, failure or timeout (seconds) raises LabError."""
    process = subprocess.Popen(
        [*DIES_WITH_US, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(env) if env is not None else None,
    )
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += f"\n(killed after {timeout:.0f} s)"
    outcome = Outcome(process.returncode, out, err)
    if check and outcome.code != 0:
        raise LabError(f"{' '.join(argv)}\nended with {outcome.code}:\n{outcome.text}")
    return outcome


class Daemon:
    """A long-running process whose output goes to a file; can be stopped, killed and started again."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start it; earlier log lines are kept."""
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                [*DIES_WITH_US, *argv],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
            )

    @property
    def alive(self) -> bool:
        """Whether the process is running now."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        if self._process is None:
            raise LabError(f"{self.name} was never started")
        return self._process.pid

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, within: float = 15.0) -> int:
        """Signal it, wait, kill it when it does not go; returns the exit code (0 when it was not running)."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(with_signal)
        try:
            return process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise LabError(
                f"{self.name} ignored {with_signal.name} for {within:.0f} s:\n{self.tail()}"
            ) from None

    def ready(self, look: Callable[[], object], within: float, what: str) -> None:
        """Look until the answer is true-ish. If it never is, or the process ends, the error has its log."""
        try:
            eventually(lambda: look() or not self.alive, within, f"{self.name} {what}")
        except LabError as error:
            raise LabError(f"{error}\n{self.tail()}") from None
        if not self.alive:
            raise LabError(f"{self.name} ended at its start:\n{self.tail()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal and return at once."""
        os.kill(self.pid, number)

    def text(self) -> str:
        """The whole log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 40) -> str:
        """The last lines of the log."""
        return "\n".join(self.text().splitlines()[-lines:])


def eventually(look: Callable[[], Fact | None], within: float, what: str, every: float = 0.1) -> Fact:
    """Look until the answer is true-ish and return it; after `within` seconds raise with the last answer."""
    deadline = time.monotonic() + within
    while True:
        try:
            seen = look()
            trouble = f"last seen: {seen!r}"
        except LabError as error:
            seen, trouble = None, str(error)
        if seen:
            return seen
        if time.monotonic() >= deadline:
            raise LabError(f"not within {within:g} s: {what}\n{trouble}")
        time.sleep(every)
