"""The HTTP/2 codec against the h2 library as its client: an independent reading of the protocol.

The library raises on whatever a server may not do, so each exchange here is a check of every frame.
"""

from __future__ import annotations

import random

import h2.errors
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.wire.h2 import Closed, Event, Request, Reset
from tests.wire.h2peer import Client, requests

WINDOW = int(h2.settings.SettingCodes.INITIAL_WINDOW_SIZE)
FRAME = int(h2.settings.SettingCodes.MAX_FRAME_SIZE)
# What the official client says of itself.
OFFICIAL = {2: 0, WINDOW: 4 << 20, FRAME: 1 << 20, 6: 10 << 20}
KEY = (b"content-type", b"application/json")


def started(values: dict[int, int] | None = None) -> Client:
    client = Client(values)
    client.exchange()
    return client


def test_requests_of_every_size_arrive_and_are_answered() -> None:
    client = started(OFFICIAL)
    for size in (0, 1, 500, 16384, 32_768):
        stream_id = client.request(body=b"q" * size)
        (request,) = client.exchange()
        assert isinstance(request, Request)
        assert (request.method, request.path, len(request.body)) == ("POST", "/machine/map", size)
        client.server.respond(stream_id, 200, (KEY,), b"a" * size)
        client.exchange()
        assert (client.statuses[stream_id], bytes(client.bodies[stream_id])) == (b"200", b"a" * size)
        assert stream_id in client.ended


def test_an_upload_of_a_megabyte_gets_its_window_back() -> None:
    client = started()
    body = random.Random(1).randbytes(1 << 20)
    stream_id = client.request(path="/machine/register")
    # The stream above has ended; a body larger than the window is sent as the window comes back.
    client.exchange()
    stream_id = client.h2.get_next_available_stream_id()
    fields = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "ctl")]
    client.h2.send_headers(stream_id, [*fields, ("content-length", str(len(body)))])
    at, events = 0, []
    while at < len(body):
        size = min(16384, client.h2.local_flow_control_window(stream_id), len(body) - at)
        assert size, "the server gave no window back"
        client.h2.send_data(stream_id, body[at : at + size], end_stream=at + size == len(body))
        at += size
        events += client.exchange()
    assert [request.body for request in requests(events)] == [body]


def test_a_large_map_stalls_at_the_window_and_arrives_whole() -> None:
    client = started(OFFICIAL)
    piece = random.Random(2).randbytes(48_000)
    stream_id = client.request(body=b"{}")
    client.exchange()
    client.server.respond(stream_id, 200, end=False)
    client.server.queue(stream_id, [piece] * 100)
    client.exchange()
    assert client.server.pending(stream_id) == 100 * 48_000 - 65535
    for _ in range(200):
        client.acknowledge(stream_id)
        assert requests(client.exchange()) == []
    assert client.server.pending(stream_id) == 0
    assert client.bodies[stream_id] == piece * 100
    assert stream_id not in client.ended


def test_the_answer_to_too_large_a_body_reaches_the_client() -> None:
    client = started()
    stream_id = client.h2.get_next_available_stream_id()
    fields = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "ctl")]
    client.h2.send_headers(stream_id, [*fields, ("content-length", str(5 << 20))])
    assert [type(event).__name__ for event in client.exchange()] == ["Drained"]
    assert client.statuses[stream_id] == b"413"
    assert client.resets[stream_id] == h2.errors.ErrorCodes.NO_ERROR


def test_settings_may_change_while_a_body_is_under_way() -> None:
    client = started({WINDOW: 1000})
    stream_id = client.request()
    client.exchange()
    client.server.respond(stream_id, 200, end=False)
    client.server.queue(stream_id, [b"x" * 60_000], end=True)
    client.exchange()
    for size in (5000, 10, 0, 70_000):
        client.h2.update_settings({WINDOW: size})
        client.exchange()
    assert client.bodies[stream_id] == b"x" * 60_000
    assert stream_id in client.ended


def test_a_drain_is_understood() -> None:
    # The library reads nothing behind GOAWAY, so the answer goes first; the order after it is tested
    # in test_h2output.
    client = started()
    stream_id = client.request()
    client.exchange()
    client.server.respond(stream_id, 200, body=b"last")
    client.exchange()
    client.server.goaway()
    events = client.exchange()
    assert isinstance(events[-1], Closed)
    assert client.goaway is not None
    assert (client.goaway.error_code, client.goaway.last_stream_id) == (0, stream_id)


def test_reset_streams_are_forgotten_on_both_sides() -> None:
    client = started()
    for _ in range(20):
        stream_id = client.request()
        client.exchange()
        client.server.respond(stream_id, 200, end=False)
        client.server.queue(stream_id, [b"x" * 90_000])
        client.exchange()
        client.acknowledge(stream_id)
        client.cancel(stream_id)
        assert client.exchange()[-1] == Reset(stream_id)
    assert client.server.open_streams == 0


@pytest.mark.parametrize("limit", [30, 4077, 200_000])
def test_many_streams_at_once_are_all_answered(limit: int) -> None:
    client = started({WINDOW: 100_000})
    bodies = {client.request(path=f"/{n}"): random.Random(n).randbytes(n * 100) for n in range(32)}
    events = client.exchange()
    for request in requests(events):
        client.server.respond(request.stream_id, 200, body=bodies[request.stream_id])
    while set(client.ended) != set(bodies):
        assert client.exchange(limit) or client.owed
        for stream_id in list(client.owed):
            client.acknowledge(stream_id)
    assert client.bodies == bodies


class Conversation:
    """Random moves of both ends; at the end everything queued has arrived, in order, on its stream."""

    def __init__(self, window: int, seed: int) -> None:
        self.client = started({WINDOW: window})
        self.random = random.Random(seed)
        self.queued: dict[int, bytes] = {}
        self.live: list[int] = []

    def move(self, name: str) -> None:
        getattr(self, name)()

    def ask(self) -> None:
        if len(self.live) < 20:
            body = self.random.randbytes(self.random.choice([0, 1, 300]))
            stream_id = self.client.request(body=body)
            (request,) = requests(self.client.to_server())
            assert (request.stream_id, request.body) == (stream_id, body)
            self.client.server.respond(stream_id, 200, (KEY,), end=False)
            self.live.append(stream_id)
            self.queued[stream_id] = b""

    def tell(self) -> None:
        self._queue(end=False)

    def end(self) -> None:
        self._queue(end=True)

    def _queue(self, end: bool) -> None:
        if self.live:
            stream_id = self.random.choice(self.live)
            pieces = [self.random.randbytes(self.random.choice([0, 1, 250, 5000, 40_000])) for _ in range(3)]
            assert self.client.server.queue(stream_id, pieces, end)
            self.queued[stream_id] += b"".join(pieces)
            if end:
                self.live.remove(stream_id)

    def pull(self) -> None:
        self.client.from_server(self.random.choice([50, 300, 4077, 65536]))
        self._settle()

    def grant(self) -> None:
        for stream_id in list(self.client.owed):
            self.client.acknowledge(stream_id)
        self._settle()

    def cancel(self) -> None:
        if self.live:
            stream_id = self.live.pop(self.random.randrange(len(self.live)))
            self.client.cancel(stream_id)
            assert self._settle()[-1] == Reset(stream_id)
            del self.queued[stream_id]

    def resize(self) -> None:
        self.client.h2.update_settings({WINDOW: self.random.choice([0, 1, 100, 65535, 1 << 20])})
        self._settle()

    def _settle(self) -> list[Event]:
        return self.client.to_server()

    def finish(self) -> None:
        self.client.h2.update_settings({WINDOW: 1 << 20})
        for stream_id in self.live:
            self.client.server.queue(stream_id, [], end=True)
        self.live.clear()
        while set(self.queued) - self.client.ended:
            before = len(self.client.ended), sum(map(len, self.client.bodies.values()))
            self.client.exchange()
            self.grant()
            self.client.exchange()
            assert (len(self.client.ended), sum(map(len, self.client.bodies.values()))) != before
        for stream_id, expected in self.queued.items():
            assert self.client.bodies[stream_id] == expected
        assert self.client.server.open_streams == 0
        assert not self.client.server.closed


MOVES = st.sampled_from(["ask", "ask", "tell", "tell", "end", "pull", "pull", "grant", "cancel", "resize"])


@given(
    st.sampled_from([0, 1, 70, 20_000, 65535]),
    st.lists(MOVES, min_size=8, max_size=60),
    st.integers(0, 2**32),
)
@settings(max_examples=80, deadline=None)
def test_whatever_both_ends_do_the_bytes_arrive(window: int, moves: list[str], seed: int) -> None:
    conversation = Conversation(window, seed)
    for move in moves:
        conversation.move(move)
    conversation.finish()
