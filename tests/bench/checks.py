"""Questions about a policy, answered in a process of their own: how long, how late the event loop was, how
much memory the process took."""

from __future__ import annotations

import asyncio
import json
import resource
from time import perf_counter

from meshbox.errors import MeshboxError
from meshbox.policy.questions import Check, Compare, Explain, Question
from meshbox.policy.world import World
from meshbox.serve.checker import Checker
from tests.bench import table
from tests.bench.policy import make_policy, make_world

TICK = 0.005
PORTS = 16_000
"""Rules of the heaviest policy: a megabyte, each for everybody."""


def run(counts: tuple[int, ...]) -> None:
    header = ("nodes", "question", "seconds", "of work", "loop late by", "peak memory, all so far", "answer")
    rows = [row for count in counts for row in asyncio.run(measure(count))]
    table.show("Questions about a policy of 300 rules", header, rows)


async def measure(count: int) -> list[list[object]]:
    world = make_world(count)
    policy = make_policy(len(world.people))
    usual = json.dumps(policy)
    one_group = json.dumps({**policy, "groups": {**policy["groups"], "group:g0": []}})
    rules = [{"action": "accept", "src": ["*"], "dst": [f"*:{port}"]} for port in range(1, PORTS)]
    questions: dict[str, Question] = {
        "check": Check(usual),
        "explain": Explain(usual, 1, 2, 22),
        "compare, one group emptied": Compare(usual, one_group),
        "compare with no policy": Compare(usual, None),
        "check of a megabyte": Check(json.dumps({**policy, "acls": rules})),
    }
    return [[count, name, *await ask(question, world)] for name, question in questions.items()]


async def ask(question: Question, world: World) -> list[object]:
    late = 0.0

    async def watch() -> None:
        nonlocal late
        while True:
            began = perf_counter()
            await asyncio.sleep(TICK)
            late = max(late, perf_counter() - began - TICK)

    watching = asyncio.create_task(watch())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = perf_counter()
    try:
        answer = type(await Checker().ask(question, world)).__name__
    except MeshboxError as error:
        answer = str(error)
    watching.cancel()
    seconds, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    work = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    peak = after.ru_maxrss >> 10
    return [f"{seconds:.2f}", f"{work:.2f}", f"{late * 1000:.0f} ms", f"{peak} MiB", answer]


if __name__ == "__main__":
    run((1000, 10_000))
