"""Checks in a process of their own: answers, refusals, one at a time, and what ends them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from meshbox.errors import Busy, NotFound
from meshbox.policy.problem import PolicyError, Spot
from meshbox.policy.questions import Check, Explain, Explanation
from meshbox.policy.world import World
from meshbox.serve import checker
from meshbox.serve.checker import Checker, CheckFailed, TooCostly
from tests.policy.build import ANA, BOB, world

GOOD = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:22"]}]}'


async def started(one: Checker) -> asyncio.subprocess.Process:
    for _ in range(5000):
        if one._process is not None:
            return one._process
        await asyncio.sleep(0.001)
    raise AssertionError("no process within seconds")


async def test_answers_and_refusals_come_back_whole() -> None:
    asks = Checker().ask
    assert await asks(Check(GOOD), world()) is None
    found = await asks(Explain(GOOD, ANA, BOB, 22), world())
    assert isinstance(found, Explanation) and found.allowed == 1
    with pytest.raises(PolicyError) as refused:
        await asks(Check('{\n "acls": 7}'), world())
    assert refused.value.spot == Spot(2, 10)
    with pytest.raises(NotFound):
        await asks(Explain(GOOD, "nobody", BOB, 22), world())


async def test_one_at_a_time() -> None:
    one = Checker()
    first = asyncio.create_task(one.ask(Check(GOOD), world()))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await one.ask(Check(GOOD), world())
    assert await first is None
    assert await one.ask(Check(GOOD), world()) is None


async def test_the_loop_goes_on_meanwhile_and_the_deadline_ends_it() -> None:
    devices = world().devices
    crowd = World(world().people, {one: replace(devices[ANA], id=one) for one in range(1, 20_001)})
    one = Checker(deadline=0.2)
    turns = 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    watching = asyncio.create_task(watch())
    with pytest.raises(TooCostly, match="took longer than"):
        await one.ask(Check(GOOD), crowd)
    watching.cancel()
    assert turns > 5
    assert one._process is None
    assert await Checker().ask(Check(GOOD), world()) is None


async def test_a_killed_child_is_told_of_and_the_next_question_is_answered() -> None:
    one = Checker()
    asking = asyncio.create_task(one.ask(Check(GOOD), world()))
    os.kill((await started(one)).pid, 9)
    with pytest.raises(CheckFailed, match="ended by signal 9"):
        await asking
    assert await one.ask(Check(GOOD), world()) is None


async def test_closing_ends_what_runs() -> None:
    one = Checker()
    asking = asyncio.create_task(one.ask(Check(GOOD), world()))
    await started(one)
    one.close()
    with pytest.raises(CheckFailed):
        await asking


async def test_another_version_on_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "__version__", "0.0.1")
    with pytest.raises(CheckFailed, match=r"was upgraded while 0\.0\.1 runs: restart"):
        await Checker().ask(Check(GOOD), world())


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("checkmain.MEMORY = 64 << 20; checkmain._give_way(); bytearray(256 << 20)", "more than 1024 MiB"),
        (
            "checkmain.CPU_SECONDS = 1; checkmain._give_way(); sum(iter(int, 1))",
            "more than 40 seconds of work",
        ),
    ],
    ids=["memory", "work"],
)
async def test_memory_and_work_are_limited(monkeypatch: pytest.MonkeyPatch, program: str, said: str) -> None:
    async def start(*command: str, **options: object) -> asyncio.subprocess.Process:
        return await real(command[0], "-c", f"from meshbox.serve import checkmain; {program}", **options)  # type: ignore[arg-type]

    real = asyncio.create_subprocess_exec
    monkeypatch.setattr(checker.asyncio, "create_subprocess_exec", start)
    with pytest.raises(TooCostly, match=said):
        await Checker().ask(Check(GOOD), world())
