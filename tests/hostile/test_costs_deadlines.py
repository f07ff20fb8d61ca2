"""What only time ends, with the real limits: strangers after 30 seconds, streams nobody reads within 90.

One test, so that it is waited for once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.fake.client import Tunnel
from tests.hostile.stand import Stand, standing, watched
from tests.hostile.test_costs import register_body, strange_tunnel
from tests.hostile.test_costs_floods import STALLED, large_tailnet, life, silent

NEVER_REGISTERED = 30.0
TALK_EVERY = 2.0


@pytest.mark.slow
async def test_strangers_last_30_seconds_and_streams_nobody_reads_less_than_90(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    async with standing(small) as quiet, standing(large) as busy, watched(quiet), watched(busy):
        await asyncio.gather(strangers(quiet), unread_streams(quiet, busy))


async def strangers(stand: Stand) -> None:
    """Whatever they say: nothing, pings, questions, wrong keys, a wish to log in."""
    node = stand.node("stranger")
    ways: list[Callable[[Tunnel], Awaitable[object]]] = [
        lambda tunnel: tunnel.closed.wait(),
        ping,
        lambda tunnel: tunnel.request("GET", "/machine/whoami"),
        lambda tunnel: tunnel.request("POST", "/machine/map", node.map_request()),
        lambda tunnel: tunnel.request("POST", "/machine/register", register_body("swordfish")),
        lambda tunnel: tunnel.request("POST", "/machine/register", register_body("")),
    ]
    async with AsyncExitStack() as ends:
        lives = await asyncio.gather(*(stranger(stand, way, ends) for way in ways))
    print(f"strangers lasted {min(lives):.1f} to {max(lives):.1f} s")
    assert min(lives) > NEVER_REGISTERED - 0.5 and max(lives) < NEVER_REGISTERED + 2.5, lives
    assert await stand.counter("tunnel_unauthorised") == len(lives)
    assert len(stand.lines("connection_refused")) == 1


async def stranger(stand: Stand, say: Callable[[Tunnel], Awaitable[object]], ends: AsyncExitStack) -> float:
    """Seconds that the tunnel of a stranger lasted who says something again and again."""
    began = time.monotonic()
    tunnel = await strange_tunnel(stand)
    ends.push_async_callback(tunnel.close)
    while not tunnel.closed.is_set() and time.monotonic() - began < NEVER_REGISTERED + 5:
        await asyncio.wait([asyncio.ensure_future(say(tunnel))], timeout=TALK_EVERY)
        await asyncio.wait([asyncio.ensure_future(tunnel.closed.wait())], timeout=TALK_EVERY)
    return time.monotonic() - began


async def ping(tunnel: Tunnel) -> None:
    tunnel.h2.ping(bytes(8))
    tunnel.flush()


async def unread_streams(quiet: Stand, busy: Stand) -> None:
    """Whether the kernels' buffers hold all there is to read (a small tailnet: the keep-alive is not
    answered) or not (a large one)."""
    keys = {stand: await stand.auth_key("--reusable") for stand in (quiet, busy)}
    await large_tailnet(busy, keys[busy])
    nodes = [(stand, await silent(stand, key, "socket")) for stand, key in keys.items()]
    lives = await asyncio.gather(*(life(stand, node) for stand, node in nodes))
    print(f"dropped after {lives[0]:.0f} s in a small tailnet, {lives[1]:.0f} s in a large one")
    assert max(lives) < STALLED, lives
    assert await quiet.counter("map_silent") == 1
    for _stand, node in nodes:
        await node.close()
