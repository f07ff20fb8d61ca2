"""The name server as resolvers meet it, with dnspython for one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import pytest

from meshbox.errors import ListenError
from meshbox.serve import nameserver
from meshbox.serve.nameserver import CONNECTIONS, QUESTIONS_PER_CONNECTION, RATE
from meshbox.serve.notify import ServiceManager
from tests.fake.node import FakeNode
from tests.fake.server import FakeServer, serving, write_config

BASE = "mesh.example.net"
CHALLENGE = f"_acme-challenge.lab.{BASE}"
VALUE = "x" * 43
ENDED = (ConnectionError, asyncio.IncompleteReadError)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    wanted = {"enabled": True, "listen_addr": "127.0.0.1:0", "name_server": "vpn.example.org"}
    dns_ = {"base_domain": BASE, "magic_dns": True, "certificates": wanted}
    async with serving(write_config(tmp_path, dns=dns_)) as server:
        yield server


def port(server: FakeServer) -> int:
    return server.app.ports["dns.certificates.listen_addr"]


async def ask(server: FakeServer, name: str, *, tcp: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, "TXT")
    way = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    answer: dns.message.Message = await way(query, "127.0.0.1", timeout=5, port=port(server))
    return answer


async def prove(node: FakeNode, **fields: Any) -> int:
    tunnel = await node.connect()
    wish = {"NodeKey": node.node_key, "Name": CHALLENGE, "Type": "TXT", "Value": VALUE} | fields
    answer = await tunnel.request("POST", "/machine/set-dns", wish)
    return int(answer.status)


@pytest.mark.parametrize("tcp", [False, True])
async def test_what_a_device_proves_is_there_when_it_is_told(server: FakeServer, tcp: bool) -> None:
    node = await server.joined("lab")
    assert not (await ask(server, CHALLENGE, tcp=tcp)).answer
    assert await prove(node) == 200
    [rrset] = (await ask(server, CHALLENGE, tcp=tcp)).answer
    assert rrset[0].strings == (VALUE.encode(),)


async def test_a_device_proves_no_name_but_its_own(server: FakeServer) -> None:
    lab, thief = await server.joined("lab"), await server.joined("thief")
    assert await prove(thief) == 401
    assert await prove(thief, NodeKey=lab.node_key) == 401
    assert await prove(lab, Value="no challenge") in (400, 422)
    assert not (await ask(server, CHALLENGE)).answer


async def test_clients_are_told_that_they_may(server: FakeServer) -> None:
    node = await server.joined("lab")
    assert node.map.dns is not None and node.map.node is not None
    assert node.map.dns["CertDomains"] == [f"lab.{BASE}"]
    assert "https" in node.map.node["CapMap"]
    tunnel = await node.connect()
    answer = await tunnel.request(
        "POST", "/machine/feature/query", {"NodeKey": node.node_key, "Feature": "serve"}
    )
    assert answer.json == {"Complete": True}


async def test_others_are_refused_and_rubbish_is_not_answered(server: FakeServer) -> None:
    assert (await ask(server, "example.net")).rcode() == dns.rcode.REFUSED
    reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
    writer.write(b"\0\5hello")
    assert await asyncio.wait_for(reader.read(), 5) == b"", "an end, and no word"
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
    writer.write(b"\xff\xff" + bytes(100))
    with pytest.raises(ENDED):
        await asyncio.wait_for(reader.readexactly(1), 5)


async def test_a_source_that_asks_too_often_gets_silence(server: FakeServer) -> None:
    query = dns.message.make_query(BASE, "NS").to_wire()
    loop, got = asyncio.get_running_loop(), []

    class Asker(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            got.append(data)

    transport, _ = await loop.create_datagram_endpoint(Asker, remote_addr=("127.0.0.1", port(server)))
    for _ in range(4 * RATE):
        transport.sendto(query)
    await asyncio.sleep(0.3)
    assert RATE <= len(got) <= 2 * RATE
    transport.close()


async def test_a_connection_has_an_end(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
    query = dns.message.make_query(BASE, "NS").to_wire()
    writer.write((len(query).to_bytes(2) + query) * (QUESTIONS_PER_CONNECTION + 5))
    answers = await asyncio.wait_for(reader.read(), 5)
    assert answers.count(b"\3vpn\7example\3org") == QUESTIONS_PER_CONNECTION
    monkeypatch.setattr(nameserver, "CONNECTION_LIFE", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
    with pytest.raises(ENDED):
        await asyncio.wait_for(reader.readexactly(1), 5)


async def test_there_is_an_end_to_connections(server: FakeServer) -> None:
    held = [await asyncio.open_connection("127.0.0.1", port(server)) for _ in range(CONNECTIONS)]
    await asyncio.sleep(0.1)
    reader, _ = await asyncio.open_connection("127.0.0.1", port(server))
    with pytest.raises(ENDED):
        await asyncio.wait_for(reader.readexactly(1), 5)
    assert (await ask(server, BASE)).rcode() == dns.rcode.NOERROR, "others ask by UDP"
    for _, writer in held:
        writer.close()
    await asyncio.sleep(0.1)
    assert (await ask(server, BASE, tcp=True)).rcode() == dns.rcode.NOERROR


async def test_what_was_asked_is_counted(server: FakeServer) -> None:
    await ask(server, BASE)
    await ask(server, "example.net")
    shown = server.app.plant.core.metrics
    counted = shown._counts["meshbox_name_server_messages_total"]
    assert sorted(counted.values()) == [1, 1]


async def test_another_base_domain_is_served_after_a_reload(tmp_path: Path) -> None:
    wanted = {"enabled": True, "listen_addr": "127.0.0.1:0", "name_server": "vpn.example.org"}

    def write(base: str) -> Path:
        return write_config(tmp_path, dns={"base_domain": base, "magic_dns": True, "certificates": wanted})

    async with serving(write(BASE)) as server:
        assert (await ask(server, "other.example.net")).rcode() == dns.rcode.REFUSED
        write("other.example.net")
        server.app.reload(ServiceManager({}))
        assert (await ask(server, "other.example.net")).rcode() == dns.rcode.NOERROR
        assert (await ask(server, BASE)).rcode() == dns.rcode.REFUSED


async def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        wanted = {"enabled": True, "listen_addr": address, "name_server": "vpn.example.org"}
        path = write_config(tmp_path, dns={"base_domain": BASE, "magic_dns": True, "certificates": wanted})
        with pytest.raises(ListenError, match=r"dns.certificates.listen_addr.* taken .*meshbox-dns.socket"):
            async with serving(path):
                pass
