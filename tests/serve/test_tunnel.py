"""The tunnel protocol in memory: its first bytes, its last words, and what it holds meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import tracemalloc
from typing import cast

from meshbox.serve import tunnel as module
from meshbox.serve.guard import Seat
from meshbox.serve.head import parse_head
from tests.fake.client import upgrade_request
from tests.fake.noise import Initiator, public_of
from tests.serve.plant import SERVER_KEY, MemoryClient, MemoryPlant, MemoryTransport


def half_open(plant: MemoryPlant, leftover: bytes = b"") -> tuple[MemoryTransport, Initiator]:
    """A connection whose handshake waits for its turn."""
    transport = MemoryTransport()
    initiator = Initiator(os.urandom(32), os.urandom(32), public_of(SERVER_KEY), 142)
    head = parse_head(upgrade_request(initiator.initiation))
    assert head is not None
    plant.core.guard.admit(transport, "192.0.2.1", plant.clock.now)
    plant.control.upgrade(cast(asyncio.Transport, transport), head, leftover)
    return transport, initiator


def test_the_answer_comes_in_one_write_and_only_in_its_turn() -> None:
    plant = MemoryPlant()
    transport, initiator = half_open(plant)
    assert not transport.written
    plant.run(0)
    head, _, rest = transport.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101") and initiator.finish(rest[:51])
    assert len(rest) > 51


def test_who_talks_on_before_the_handshake_is_cut_off() -> None:
    plant = MemoryPlant()
    transport, _ = half_open(plant, leftover=b"x" * (module.EARLY_LIMIT + 1))
    assert not transport.is_open
    plant.run(0)
    assert not transport.written and len(plant.core.guard) == 0


def test_who_leaves_before_the_handshake_costs_none() -> None:
    plant = MemoryPlant()
    transport, _ = half_open(plant)
    transport.abort()
    plant.run(0)
    assert plant.core.metrics.value("meshbox_handshakes_total", "ok") == 0
    assert len(plant.core.guard) == 0


def test_a_paused_transport_is_not_written_to() -> None:
    plant = MemoryPlant()
    client = plant.client(1)
    client.transport.protocol.pause_writing()
    client.listen()
    plant.run(0)
    assert not client.transport.written
    client.transport.protocol.resume_writing()
    assert len(client.messages()) == 1


def test_a_stranger_becomes_a_node_with_its_first_request_and_is_no_longer_counted() -> None:
    plant = MemoryPlant()
    client = plant.client(1)
    assert client.transport.protocol.is_authorised
    assert len(plant.core.guard) == 0 and plant.control.tunnel_count == 1
    client.transport.abort()
    assert plant.control.tunnel_count == 0


def upload(client: MemoryClient, size: int) -> None:
    """One whole request of so many bytes, which then waits for its turn."""
    stream = client.h2.get_next_available_stream_id()
    headers = [(":method", "POST"), (":scheme", "https"), (":authority", "c"), (":path", "/machine/map")]
    client.h2.send_headers(stream, headers)
    while size and client.transport.is_open:
        piece = min(size, 16_384, client.h2.local_flow_control_window(stream))
        size -= piece
        client.h2.send_data(stream, bytes(piece), end_stream=not size)
        client.flush()
        client.read()


def test_requests_that_wait_are_few_megabytes() -> None:
    plant = MemoryPlant()
    client = plant.client(1)
    for _ in range(module.WAITING_LIMIT >> 20):
        upload(client, 1 << 20)
    assert client.transport.is_open
    upload(client, 100)
    assert not client.transport.is_open
    assert plant.core.metrics.value("meshbox_refused_total", "bodies") == 1


def test_what_a_stranger_sent_is_counted_until_its_turn_or_its_end() -> None:
    plant = MemoryPlant()
    first, second = MemoryClient(plant, 1), MemoryClient(plant, 2)
    for client in (first, second):
        upload(client, 1000)
    assert sum(seat.held for seat in seats(plant)) == 2000
    first.transport.abort()
    assert sum(seat.held for seat in seats(plant)) == 1000
    plant.run(0)
    assert sum(seat.held for seat in seats(plant)) == 0 and len(plant.core.turns) == 0
    second.read()
    assert second.status == 400


def seats(plant: MemoryPlant) -> list[Seat]:
    return list(plant.core.guard._seats.values())


def test_requests_that_were_cancelled_before_their_turn_are_not_applied() -> None:
    plant = MemoryPlant()
    client = plant.client(1)
    stream = client.h2.get_next_available_stream_id()
    headers = [(":method", "POST"), (":scheme", "https"), (":authority", "c"), (":path", "/machine/map")]
    client.h2.send_headers(stream, headers)
    body = client.request(OmitPeers=True, Endpoints=["203.0.113.5:666"])
    client.h2.send_data(stream, json.dumps(body).encode(), end_stream=True)
    client.h2.reset_stream(stream)
    client.flush()
    plant.run(1)
    assert "203.0.113.5:666" not in plant.core.tailnet.report(1).endpoints


def test_closing_says_good_bye_and_ends() -> None:
    plant = MemoryPlant()
    client = plant.listening(1)
    client.messages()
    plant.control.close()
    assert not client.transport.is_open and len(plant.sessions) == 0
    assert client.records.feed(client.transport.take())


def test_an_idle_session_is_light() -> None:
    plant = MemoryPlant()
    plant.listening(1)
    clients = [plant.client(number) for number in range(2, 202)]
    gc.collect()
    tracemalloc.start()
    for client in clients:
        client.listen()
        client.messages()
    plant.run(5)
    gc.collect()
    # What a session itself holds; encoded peers and the like are shared by all.
    own = ["serve", "wire/h2", "wire/noise", "wire/hpack", "tailnet/poll", "tailnet/presence"]
    filters = [tracemalloc.Filter(True, f"*/meshbox/{part}*") for part in own]
    snapshot = tracemalloc.take_snapshot().filter_traces(filters)
    tracemalloc.stop()
    held = sum(stat.size for stat in snapshot.statistics("filename")) / len(clients)
    assert held < 2_000, [str(stat) for stat in snapshot.statistics("lineno")[:8]]
