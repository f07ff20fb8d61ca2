"""Where the policy is changed: every way to put a text in, and every question about one.

A change is checked whole, its tests are run, and it serves at once, or it is refused and the old one serves
on. The check runs elsewhere (serve/checker.py) and takes a while, so what it started from is looked at again
before the commit: the one moment in which anything changes.

With `policy.path` the policy is changed in that file and read at start and on reload; the database keeps its
versions all the same, so a file that is broken or gone never stops the server nor opens anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from meshbox import log
from meshbox.config import Policy
from meshbox.errors import MeshboxError, Refused
from meshbox.policy.contrast import Contrast
from meshbox.policy.problem import PolicyError
from meshbox.policy.questions import (
    Answer,
    Check,
    Compare,
    End,
    Explain,
    Explanation,
    Question,
    TooMany,
    Trial,
    Tried,
    explain_by,
)
from meshbox.policy.texts import NOBODY, NOBODY_TEXT, read_kept
from meshbox.serve.checker import Checker
from meshbox.serve.policyfile import read_file
from meshbox.tailnet import policies
from meshbox.tailnet.kept import InForce
from meshbox.tailnet.model import PolicyVersion
from meshbox.tailnet.tailnet import Tailnet

QUICK_TEXT = 64 << 10
QUICK_RULES = 10_000
"""Characters and rules up to which the policy in force is explained here and now, as it is enforced: about
20 ms. Dashboards ask so, several at once."""


@dataclass(frozen=True, slots=True)
class Change:
    """`expected` is the version that the change started from (0: none), None when nobody said."""

    text: str
    actor: str
    note: str = ""
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """What an explanation is about: one packet, from whom to whom."""

    src: End
    dst: End
    port: int
    protocol: int = 6


class PolicyDesk:
    """`file_fault` says why the file is not what serves; "" when it is, or there is none."""

    def __init__(self, tailnet: Tailnet, settings: Policy, clock: Callable[[], float]) -> None:
        self._tailnet = tailnet
        self._settings = settings
        self._clock = clock
        self._checker = Checker()
        self._reading = asyncio.Lock()
        self.file_fault = ""

    @property
    def file(self) -> Path | None:
        return self._settings.file

    @property
    def fault(self) -> str:
        """Why what serves is not what was last wanted; "" when all is well."""
        return self.file_fault or self._tailnet.in_force.fault

    @property
    def text(self) -> str | None:
        """The text in force; None: there is no policy, and everything is allowed."""
        in_force = self._tailnet.in_force
        if in_force.version is not None:
            return in_force.version.text
        return None if in_force.document is None else NOBODY_TEXT

    # The file

    async def start(self) -> None:
        """Before anybody is served. A new text is checked without its tests: they ask about devices that
        have still to come back, and a server that does not start helps nobody."""
        fault = self._tailnet.in_force.fault
        if fault:
            log.emit("policy_fell_back", reason=fault)
        await self._read_file(with_tests=False)
        if self.file_fault and self._tailnet.policy is None:
            # What was wanted is unknown and there is nothing older: closed, not open.
            self._tailnet.in_force = InForce(None, NOBODY, self.file_fault)
            self._tailnet.enforce(NOBODY)

    async def reload(self, settings: Policy) -> None:
        self._settings = settings
        await self._read_file(with_tests=True)

    async def _read_file(self, with_tests: bool) -> None:
        async with self._reading:
            path, self.file_fault = self.file, ""
            if path is None:
                return
            try:
                text = read_file(path)
                if not self._serves(text):
                    change = Change(text, f"file:{path.name}")
                    await self._put(change, Check(text, with_tests), is_patient=True)
            except PolicyError as error:
                self._refuse_file(f"{path}: " + error.told.replace("\n", "; "))
            except MeshboxError as error:
                self._refuse_file(str(error))

    def _refuse_file(self, reason: str) -> None:
        self.file_fault = reason
        log.emit("policy_refused", reason=reason)

    # Changes by people

    async def put(self, change: Change) -> PolicyVersion:
        """Raises PolicyError, Refused, Outdated, Busy, CheckFailed, StoreFull; then nothing has changed."""
        self._require_database()
        if change.expected is not None:
            policies.require_newest(self._tailnet, change.expected)
        newest = self._tailnet.policy
        if newest is not None and self._serves(change.text):
            return newest
        return await self._put(change, Check(change.text))

    async def restore(self, version_id: int, actor: str, note: str, expected: int | None) -> PolicyVersion:
        """Put an older text in again, as a new version."""
        old = policies.require(self._tailnet, version_id)
        return await self.put(Change(old.text, actor, note or f"version {version_id} again", expected))

    def _require_database(self) -> None:
        if self.file is not None:
            raise Refused(
                f"the update is disabled: the policy is the file {self.file} (policy.path). Edit it and "
                "reload the server (systemctl reload meshbox, or SIGHUP); or set policy.mode to database"
            )
        if self._settings.mode == "file":
            raise Refused(
                "the update is disabled: policy.mode is file, and policy.path names none. Remove policy.mode "
                "from the configuration (or set it to database) and reload the server; or give the path"
            )

    async def _put(self, change: Change, check: Check, is_patient: bool = False) -> PolicyVersion:
        t = self._tailnet
        base = policies.newest_id(t)
        await self._ask(check, is_patient)
        # Half a second for a megabyte; the commit finds it read.
        await asyncio.to_thread(read_kept, change.text)
        policies.require_newest(t, base)
        version = policies.put(t, change.text, change.actor, change.note, self._clock())
        log.emit("policy_changed", policy=version.id, actor=change.actor)
        return version

    def _serves(self, text: str) -> bool:
        """Is this the newest version already, and in force?"""
        in_force, newest = self._tailnet.in_force, self._tailnet.policy
        return newest is not None and in_force.version == newest and newest.text == text

    # Questions

    async def check(self, text: str) -> None:
        await self._ask(Check(text))

    async def try_tests(self, text: str | None) -> tuple[Tried, ...]:
        """Of `text`, or of the policy in force."""
        if text is not None:
            found = await self._ask(Trial(text))
        else:
            found = await self._ask(Trial(self.text or "{}", is_kept=True))
        assert isinstance(found, tuple)
        return found

    async def compare(self, new: str | None, old: str | None) -> Contrast:
        """`old` is what the comparison starts from."""
        found = await self._ask(Compare(old, new))
        assert isinstance(found, Contrast)
        return found

    async def explain(self, way: Way, text: str | None) -> Explanation:
        """By `text`, or by the policy in force."""
        is_kept = text is None
        asked = self.text if is_kept else text
        question = Explain(asked, way.src, way.dst, way.port, way.protocol, is_kept)
        if is_kept and len(asked or "") <= QUICK_TEXT:
            with suppress(TooMany):
                return explain_by(self._tailnet.enforcement.compiled, question, QUICK_RULES)
        found = await self._ask(question)
        assert isinstance(found, Explanation)
        return found

    async def _ask(self, question: Question, is_patient: bool = False) -> Answer:
        return await self._checker.ask(question, self._tailnet.world(), is_patient)

    def close(self) -> None:
        self._checker.close()
