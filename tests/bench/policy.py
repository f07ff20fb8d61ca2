"""The policy engine: what a compile, a join, a new tag and a new group cost."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_network
from statistics import median
from time import process_time
from typing import Any

from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.reading import read
from meshbox.policy.world import Device, Person, World
from meshbox.wire import hujson
from tests.bench import table

RULES = 300
GROUPS = 40
TAGS = 60
JOINS = 9


def make_world(count: int) -> World:
    """A third of the devices tagged, one in a hundred a router, a user for each five others."""
    chance = random.Random(1)
    users = max(count * 2 // 3 // 5, 1)
    people = {one: Person(one, f"u{one}@example.com", f"u{one}") for one in range(1, users + 1)}
    devices = {}
    for one in range(1, count + 1):
        tags: tuple[str, ...] = ()
        if one % 3 == 0:
            tags = tuple(sorted(f"tag:t{chance.randrange(TAGS)}" for _ in range(chance.choice((1, 1, 2)))))
        routes = (ip_network(f"10.{one // 250 % 250}.{one % 250}.0/24"),) if one % 100 == 0 else ()
        devices[one] = Device(
            one, None if tags else chance.randint(1, users), tags,
            IPv4Address(0x64400000 + one), IPv6Address((0xFD7A115CA1E0 << 80) + one),
            routes, routes, float(one),
        )  # fmt: skip
    return World(people, devices)


def make_policy(users: int) -> dict[str, Any]:
    chance = random.Random(2)
    groups = {
        f"group:g{one}": [f"u{chance.randint(1, users)}@example.com" for _ in range(max(users // 20, 2))]
        for one in range(GROUPS)
    }
    tags = [f"tag:t{one}" for one in range(TAGS)]

    def who() -> str:
        return chance.choice(
            (chance.choice(list(groups)), chance.choice(tags), f"u{chance.randint(1, users)}@example.com")
        )

    acls: list[dict[str, Any]] = [
        {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]},
        {"action": "accept", "src": ["autogroup:member"], "dst": ["tag:t0:443", "10.0.0.0/16:*"]},
    ]
    while len(acls) < RULES:
        dst = chance.choice((chance.choice(tags), who(), f"10.{chance.randrange(40)}.0.0/16"))
        port = chance.choice(("*", "22", "80,443", "8000-8100"))
        acls.append(
            {
                "action": "accept",
                "src": [who() for _ in range(chance.randint(1, 3))],
                "dst": [f"{dst}:{port}"],
            }
        )
    return {"groups": groups, "tagOwners": {tag: [] for tag in tags}, "acls": acls}


def timed(act: Callable[[], object]) -> float:
    """Milliseconds of processor time: the machine may have other work."""
    start = process_time()
    act()
    return (process_time() - start) * 1000


def settle(compiled: Compiled) -> None:
    """Work out what every device sees, as after a start."""
    compiled.routes  # noqa: B018
    for one in compiled.index.devices:
        compiled.view(one, compiled.index.everyone)


def all_filters(compiled: Compiled) -> None:
    for one in compiled.index.devices:
        compiled.filter(one)


def measure(count: int) -> list[object]:
    world = make_world(count)
    policy = make_policy(len(world.people))
    text = json.dumps(policy)
    reading = timed(lambda: read(hujson.parse(text)))
    document = read(hujson.parse(text))
    made: list[Compiled] = []
    compiling = timed(lambda: (made.append(compile_policy(document, world)), settle(made[0])))
    compiled = made[0]
    filters = timed(lambda: all_filters(compiled))

    def join(number: int) -> None:
        one = count + number
        addresses = IPv4Address(0x64400000 + one), IPv6Address((0xFD7A115CA1E0 << 80) + one)
        made.append(made[-1].with_device(Device(one, number, (), *addresses)))
        made[-1].view(one, made[-1].index.everyone)
        made[-1].filter(one)

    joining = median(timed(partial(join, number)) for number in range(1, JOINS + 1))
    after = timed(lambda: settle(made[-1]))
    tagged = replace(world.devices[3], tags=("tag:t1",))
    tagging = timed(lambda: (made.append(compiled.with_device(tagged)), settle(made[-1])))
    changed = {**policy, "groups": {**policy["groups"], "group:g0": []}}
    regroup = timed(lambda: settle(compile_policy(read(hujson.parse(json.dumps(changed))), world)))
    classes = len({compiled.visibility.class_of(one) for one in compiled.index.devices})
    times = (reading, compiling, filters, joining, after, tagging, regroup)
    return [count, classes, *(f"{one:.1f}" for one in times)]


def run(counts: tuple[int, ...]) -> None:
    header = (
        "nodes", "classes", "read", "compile+views", "all filters", "one joins", f"views after {JOINS}",
        "one tag, all views", "one group, all views",
    )  # fmt: skip
    table.show(
        f"Policy of {RULES} rules (milliseconds of processor time)",
        header,
        [measure(count) for count in counts],
    )


if __name__ == "__main__":
    run((1000, 10_000))
