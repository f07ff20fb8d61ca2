"""The whole server over real sockets, with fake clients: join, map, news, ends."""

from __future__ import annotations

from pathlib import Path

from tests.fake.server import serving, write_config


async def test_two_nodes_join_and_see_each_other(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one = await server.joined("one")
        two = await server.joined("two")
        await one.until(lambda netmap: netmap.peer("two") and netmap.peer("two")["Online"])
        assert two.map.peer("one")["Online"]
        assert one.map.node["Name"] == "one.mesh.test."
