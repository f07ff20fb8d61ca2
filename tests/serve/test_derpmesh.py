from __future__ import annotations

import os
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from meshbox.errors import Invalid, KeyFileError
from meshbox.serve import derpmesh
from meshbox.serve.derpmesh import Peer, parse_peer, read_mesh_key
from meshbox.wire.derp import FrameType, encode
from tests.fake.derp import DerpClient
from tests.serve.derpdaemon import RelayHome, closes
from tests.serve.tlsends import until

KEY = "ab" * 32
PIN = "cd" * 32


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "mesh.key"
    path.write_text(KEY.upper() + "\n")
    return str(path)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derpmesh, "RETRY", 0.1)


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("derp1.test", Peer("derp1.test", 443, "derp1.test")),
        ("derp1.test:8443", Peer("derp1.test", 8443, "derp1.test")),
        ("derp1.test/10.0.0.1", Peer("derp1.test", 443, "10.0.0.1")),
        ("derp1.test:8443/10.0.0.1", Peer("derp1.test", 8443, "10.0.0.1")),
        (f"192.0.2.1:8443#sha256-raw:{PIN}", Peer("192.0.2.1", 8443, "192.0.2.1", PIN)),
        ("[2001:db8::1]:8443", Peer("2001:db8::1", 8443, "2001:db8::1")),
    ],
)
def test_peers_are_written_as_for_derper(text: str, peer: Peer) -> None:
    assert parse_peer(text) == peer


@pytest.mark.parametrize("text", ["", ":443", "derp1.test:https", "derp1.test:0", "/10.0.0.1"])
def test_what_names_no_relay_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="mesh"):
        parse_peer(text)


@pytest.mark.parametrize("text", ["", "ab", "zz" * 32, "ab" * 33])
def test_a_mesh_key_has_64_digits(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(KeyFileError, match="openssl rand"):
        read_mesh_key(tmp_path / "key")


def relay(home: Path, key_file: str, *peers: str) -> RelayHome:
    home.mkdir(exist_ok=True)
    return RelayHome(home, admission__mode="all", mesh__key_path=key_file, mesh__peers=list(peers))


def place(home: RelayHome) -> str:
    return f"127.0.0.1:{home.way.port}#{home.daemon.pin}"


async def test_two_relays_with_pinned_certificates_share_their_clients(tmp_path: Path, key_file: str) -> None:
    async with relay(tmp_path / "one", key_file) as one:
        async with relay(tmp_path / "two", key_file, place(one)) as two:
            await until(lambda: one.daemon.derp.switch.watcher_count == 1)
            ann, bob = await one.client(), await two.client()
            await until(lambda: two.daemon.derp.switch.remote_count == 1)
            bob.send(ann.public, b"over there")
            assert await ann.packet() == (bob.public, b"over there")
            ann.close()
            await until(lambda: two.daemon.derp.switch.remote_count == 0)
            assert two.daemon._status()["mesh"] == {"127.0.0.1": True}
        await until(lambda: one.daemon.derp.switch.watcher_count == 0)


async def test_a_relay_among_its_own_peers_leaves_itself_alone(tmp_path: Path, key_file: str) -> None:
    async with relay(tmp_path / "one", key_file) as first:
        port, pin = first.way.port, first.daemon.pin
    again = RelayHome(
        tmp_path / "one", admission__mode="all", mesh__key_path=key_file, listen=f"127.0.0.1:{port}",
        mesh__peers=[f"127.0.0.1:{port}#{pin}"],
    )  # fmt: skip
    async with again:
        link = again.daemon._mesh[0]
        await until(link._task.done)
        assert again.daemon.derp.switch.watcher_count == 0


async def test_a_wrong_pin_or_key_meshes_nothing(tmp_path: Path, key_file: str) -> None:
    other_key = tmp_path / "other.key"
    other_key.write_text("ef" * 32)
    async with relay(tmp_path / "one", key_file) as one:
        wrong_pin = f"127.0.0.1:{one.way.port}#{PIN}"
        async with (
            relay(tmp_path / "two", key_file, wrong_pin) as two,
            relay(tmp_path / "three", str(other_key), place(one)) as three,
        ):
            await until(lambda: one.daemon.derp.counters.malformed >= 1)
            await until(lambda: bool(two.daemon._mesh[0]._said) and bool(three.daemon._mesh[0]._said))
            assert one.daemon.derp.switch.watcher_count == 0


async def test_a_client_with_a_wrong_mesh_key_is_an_ordinary_one(tmp_path: Path, key_file: str) -> None:
    async with relay(tmp_path / "one", key_file) as one:
        client = await DerpClient.knock(one.way, (await one.client()).key)
        client.writer.write(client.hello(meshKey="00" * 32))
        assert (await client.next()).kind == FrameType.SERVER_INFO
        client.writer.write(encode(FrameType.WATCH_CONNS))
        assert await closes(client, 2)


async def test_a_mesh_peer_needs_no_admission(tmp_path: Path, key_file: str) -> None:
    (tmp_path / "one").mkdir()
    async with RelayHome(tmp_path / "one", mesh__key_path=key_file) as one:
        assert await one.refuses()
        client = await DerpClient.knock(one.way, PrivateKey(os.urandom(32)))
        client.writer.write(client.hello(meshKey=KEY) + encode(FrameType.WATCH_CONNS))
        assert (await client.next()).kind == FrameType.SERVER_INFO
        present = await client.next()
        assert (present.kind, len(present.body), present.body[-1]) == (FrameType.PEER_PRESENT, 51, 2)
        client.close()
