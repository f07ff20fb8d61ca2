"""Questions about a policy, answered by a process of their own, one at a time.

A hostile policy over ten thousand devices takes seconds to check, and everybody's maps would wait. A thread
would share the interpreter with the event loop (each switch costs it up to 5 ms, for seconds) and can be
neither stopped nor held to a share of memory. A child can: it has a deadline, limits of its own (see
serve/checkmain.py), and gives way. It is started afresh with the frozen world through a pipe and not forked:
a fork of ten thousand sessions would copy what it touches and inherit every socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
from pathlib import Path

import meshbox
from meshbox import __version__
from meshbox.errors import Busy, Invalid, MeshboxError
from meshbox.policy.questions import Answer, Question
from meshbox.policy.world import World
from meshbox.serve import checkmain

DEADLINE = 60.0
"""Seconds; the process's own work has a lower limit, but it gives way to everything else. A few devices take
a tenth of one; ten thousand half a second to be checked, one or two with a hostile policy, and four to be
compared with no policy at all."""
WAIT = 5
"""Seconds after which somebody who found it busy may try again."""
STDERR_SHOWN = 2000


class CheckFailed(MeshboxError):
    """The check itself did not end: nothing is known about the policy, and nothing was changed."""


class TooCostly(Invalid):
    """The policy takes more time or memory than a check may: refused as one that is wrong."""


class Checker:
    def __init__(self, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, question: Question, world: World, is_patient: bool = False) -> Answer:
        """Raises PolicyError, NotFound, Invalid as the answer; Busy while another question is answered,
        unless the asker `is_patient`; TooCostly; CheckFailed."""
        if self._lock.locked() and not is_patient:
            raise Busy("another policy is being checked; try again in some seconds", WAIT)
        async with self._lock:
            # In a thread: a world of ten thousand devices takes 150 ms to write.
            asked = await asyncio.to_thread(pickle.dumps, (question, world), 5)
            found = await asyncio.to_thread(pickle.loads, await self._run(asked))
        if isinstance(found, MeshboxError):
            raise found
        answer: Answer = found
        return answer

    def close(self) -> None:
        """End what runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _run(self, asked: bytes) -> bytes:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-P", "-m", checkmain.__name__, __version__]
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe, env=_environment()
            )
        except OSError as error:
            raise CheckFailed(f"the policy cannot be checked: no process can be started ({error})") from None
        self._process = process
        try:
            async with asyncio.timeout(self._deadline):
                answered, complaint = await process.communicate(asked)
        except TimeoutError:
            raise TooCostly(
                f"the policy took longer than {self._deadline:.0f} seconds to check: fewer rules, or tests "
                "that name single devices, take less"
            ) from None
        finally:
            self.close()
            await process.wait()
            self._process = None
        if process.returncode == 0:
            return answered
        raise _fault(process.returncode, complaint.decode(errors="replace"))


def _environment() -> dict[str, str]:
    """Nothing of the server's but where Python finds the same meshbox."""
    place = str(Path(meshbox.__file__).parents[1])
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": place, "PYTHONHASHSEED": "0"}


def _fault(status: int | None, complaint: str) -> MeshboxError:
    if status == checkmain.OTHER_VERSION:
        return CheckFailed(
            f"meshbox was upgraded while {__version__} runs: restart the server, then change the policy"
        )
    last = complaint.strip().rpartition("\n")[2]
    if "MemoryError" in last:
        limit = checkmain.MEMORY >> 20
        return TooCostly(f"the policy took more than {limit} MiB to check: fewer or simpler rules take less")
    if status == -signal.SIGXCPU:
        seconds = checkmain.CPU_SECONDS
        return TooCostly(
            f"the policy took more than {seconds} seconds of work to check: fewer rules take less"
        )
    if status is not None and status < 0:
        return CheckFailed(
            f"the check of the policy was ended by signal {-status}, perhaps for want of memory"
        )
    return CheckFailed(f"the check of the policy failed: {last[-STDERR_SHOWN:]}")
