"""Registration over the wire: keys, links for people, patience with those who keep failing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meshbox.serve import registration
from meshbox.tailnet import enrol
from tests.fake.client import Answer
from tests.fake.node import FakeNode
from tests.fake.server import FakeServer, serving, write_config

PAST = "1970-01-01T00:00:01Z"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    async with serving(write_config(tmp_path, server_url="http://127.0.0.1:8080")) as server:
        yield server


def pending_id(server: FakeServer) -> str:
    (pending,) = [entry for entry in server.tailnet.pending.values() if entry.state == "waiting"]
    return pending.id


async def ask(node: FakeNode) -> tuple[str, asyncio.Task[Answer]]:
    """Ask without a key, as `tailscale up` does, then follow the link up; the second answer is held."""
    url = (await node.register()).json["AuthURL"]
    follow_up = asyncio.create_task(node.register(within=20.0, Followup=url))
    await asyncio.sleep(0.2)
    assert not follow_up.done()
    return url, follow_up


async def test_a_key_lets_a_node_in_and_tells_whose_it_is(server: FakeServer) -> None:
    answer = await server.node("one").register(server.auth_key())
    said = answer.json
    assert said["MachineAuthorized"] and not said["AuthURL"] and not said["Error"]
    assert said["Login"]["LoginName"] and said["User"]["ID"] == said["Login"]["ID"]
    assert server.metrics.value("meshbox_registrations_total", "new") == 1


async def test_a_tagged_node_has_an_owner_to_show(server: FakeServer) -> None:
    key = server.auth_key(user_id=None, tags=("tag:ci",))
    said = (await server.node("one").register(key)).json
    assert said["MachineAuthorized"] and said["Login"]["LoginName"] == "tagged-devices"


async def test_a_wrong_key_is_an_error_for_the_user_and_changes_nothing(server: FakeServer) -> None:
    answer = await server.node("one").register("mb-auth-nope")
    assert answer.status == 200 and "key" in answer.json["Error"]
    assert not server.tailnet.nodes


async def test_one_key_for_one_device_also_for_fifty_at_once(server: FakeServer) -> None:
    key = server.auth_key(reusable=False)
    answers = await asyncio.gather(*(server.node(f"n{i}").register(key) for i in range(50)))
    accepted = [a for a in answers if a.status == 200 and a.json["MachineAuthorized"]]
    assert len(accepted) == 1 and len(server.tailnet.nodes) == 1


async def test_a_person_approves_and_the_held_answer_comes(server: FakeServer) -> None:
    node = server.node("laptop")
    server.auth_key()
    url, follow_up = await ask(node)
    assert url.startswith("http://127.0.0.1:8080/register/")
    user_id = server.tailnet.by_user_name["ana"]
    enrol.approve(server.tailnet, pending_id(server), user_id, "test", time.time())
    assert (await asyncio.wait_for(follow_up, 2)).json["MachineAuthorized"]
    await node.listen()
    assert node.map.node["User"] == user_id


async def test_a_person_rejects_and_the_user_reads_it(server: FakeServer) -> None:
    _, follow_up = await ask(server.node("laptop"))
    enrol.reject(server.tailnet, pending_id(server), "test", time.time())
    assert "rejected" in (await asyncio.wait_for(follow_up, 2)).json["Error"]


async def test_a_follow_up_survives_a_lost_connection(server: FakeServer) -> None:
    node = server.node("laptop")
    server.auth_key()
    url, follow_up = await ask(node)
    node.tunnel.drop()
    assert (await follow_up).error
    await asyncio.sleep(0.1)
    assert server.app.plant.registration.held_count == 0
    again = asyncio.create_task(node.register(within=20.0, Followup=url))
    await asyncio.sleep(0.2)
    enrol.approve(server.tailnet, pending_id(server), server.tailnet.by_user_name["ana"], "test", time.time())
    assert (await asyncio.wait_for(again, 2)).json["MachineAuthorized"]


async def test_an_expired_link_gives_a_new_one(server: FakeServer) -> None:
    node = server.node("laptop")
    url, follow_up = await ask(node)
    t = server.tailnet
    t.deadlines.shift(-1000.0)
    server.app.plant.pulse._due_at = None
    server.app.plant.pulse.arm()
    fresh = (await asyncio.wait_for(follow_up, 3)).json["AuthURL"]
    assert fresh and fresh != url


async def test_a_second_follow_up_takes_the_place_of_the_first(server: FakeServer) -> None:
    node = server.node("laptop")
    url, first = await ask(node)
    second = asyncio.create_task(node.register(within=20.0, Followup=url))
    assert (await asyncio.wait_for(first, 2)).status == 409
    assert server.app.plant.registration.held_count == 1
    second.cancel()


async def test_a_link_of_another_machine_is_no_use(server: FakeServer) -> None:
    url, follow_up = await ask(server.node("laptop"))
    thief = server.node("thief")
    said = (await thief.register(Followup=url)).json
    assert said["AuthURL"] != url and not said["MachineAuthorized"]
    follow_up.cancel()


async def test_logging_out_wins_over_a_key(server: FakeServer) -> None:
    key = server.auth_key()
    node = await server.joined("one", key)
    answer = await node.register(key, Expiry=PAST)
    assert answer.status == 200
    (record,) = server.tailnet.nodes.values()
    assert record.is_expired(time.time())


class TestPatience:
    async def test_a_machine_that_keeps_failing_is_asked_to_wait(self, server: FakeServer) -> None:
        node = server.node("one")
        answers = [await node.register("mb-auth-nope") for _ in range(11)]
        assert [answer.status for answer in answers] == [200] * 10 + [429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        good = await server.node("two").register(server.auth_key())
        assert good.json["MachineAuthorized"], "others behind the same address come in"

    async def test_an_old_client_gets_words_instead_and_late(
        self, server: FakeServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registration, "LATE", 0.3)
        node = server.node("one", version=130)
        for _ in range(10):
            await node.register("mb-auth-nope")
        began = time.monotonic()
        answer = await node.register("mb-auth-nope")
        assert time.monotonic() - began >= 0.3
        assert answer.status == 200 and "try again" in answer.json["Error"]

    async def test_an_address_over_its_limit_is_answered_late(
        self, server: FakeServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registration, "LATE", 0.3)
        for number in range(10):
            await server.node(f"n{number}").register("mb-auth-nope")
        began = time.monotonic()
        assert (await server.node("next").register("mb-auth-nope")).json["Error"]
        assert time.monotonic() - began >= 0.3

    async def test_devices_that_wait_for_a_person_are_bounded_per_address(self, server: FakeServer) -> None:
        for number in range(8):
            assert (await server.node(f"n{number}").register()).json["AuthURL"]
        answer = await server.node("ninth").register()
        assert answer.status == 429 and answer.headers["retry-after"] == "60"
