"""Two healthy nodes in a process of their own: how long each takes to hear of the other's change.

    python -m tests.hostile.witness PORT SERVER_KEY AUTH_KEY

Says `ready` when both listen; measures until its standard input ends, then prints what it saw. It is not
part of the test's process, so that the attack's own work does not count as the server's delay.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count

from tests.fake.node import FakeNode

PATIENCE = 5.0
PAUSE = 0.05


async def hears(speaker: FakeNode, listener: FakeNode, port: int) -> float:
    """Seconds from the speaker's report of a new endpoint to the listener's knowing it."""
    speaker.endpoints = [f"203.0.113.9:{port}"]
    began = time.monotonic()
    answer = await speaker.lite()
    assert answer.status == 200, answer

    def is_told(_netmap: object) -> bool:
        peer = listener.map.peer(speaker.hostname)
        return peer is not None and peer.get("Endpoints") == speaker.endpoints

    await listener.until(is_told, PATIENCE)
    return time.monotonic() - began


async def watch(door: tuple[str, int, bytes], key: str) -> None:
    nodes = [FakeNode(door, f"healthy-{number}") for number in (1, 2)]
    for node in nodes:
        answer = await node.register(key)
        assert answer.status == 200 and answer.json["MachineAuthorized"], answer
        await node.listen()
    print("ready", flush=True)
    told_to_end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    heard, lost, worst = 0, [], 0.0
    for number in count(1):
        if told_to_end.done():
            break
        speaker, listener = nodes if number % 2 else nodes[::-1]
        try:
            worst = max(worst, await hears(speaker, listener, 1024 + number % 60_000))
            heard += 1
        except (AssertionError, ConnectionError, TimeoutError) as failure:
            lost.append(repr(failure)[:300])
        await asyncio.sleep(PAUSE)
    lost += [node.ended_with for node in nodes if node.ended_with]
    print(json.dumps({"heard": heard, "lost": lost, "worst": worst}), flush=True)
    for node in nodes:
        await node.close()


if __name__ == "__main__":
    port, server_key, auth_key = sys.argv[1:]
    asyncio.run(watch(("127.0.0.1", int(port), bytes.fromhex(server_key)), auth_key))
