"""The control server: opens tunnels at `/ts2021` and answers the requests inside them.

Everything inside a tunnel is public: any fresh key opens one. So the paths are a closed list, and
each handler binds the node key of its request to the tunnel's machine key before it does anything.
Routing is by path alone; clients send three different authorities for the same server.

Source: control-protocol endpoint table; tailscale control/controlhttp/controlhttpserver.
"""

from __future__ import annotations

import asyncio
import base64
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs

from meshbox import log
from meshbox.errors import Malformed, MeshboxError, PeerError
from meshbox.policy.ssh import RECORDING_PATH
from meshbox.serve.clientcalls import ClientCalls
from meshbox.serve.core import Core
from meshbox.serve.head import RequestHead, short_answer
from meshbox.serve.logins import ACTION, WAIT, Logins
from meshbox.serve.maps import Maps
from meshbox.serve.questions import ANSWER_PATH, Questions
from meshbox.serve.registration import Registration
from meshbox.serve.sessions import Sessions
from meshbox.serve.tunnel import Callbacks, Tunnel
from meshbox.serve.websocket import Pipe
from meshbox.tailnet.proofs import Proofs
from meshbox.wire.h2 import Request
from meshbox.wire.keys import ChallengeKey, MachineKey
from meshbox.wire.noise import server_handshake
from meshbox.wire.prelude import early_payload
from meshbox.wire.websocket import accept_upgrade

PROTOCOL = "tailscale-control-protocol"
HANDSHAKE = "X-Tailscale-Handshake"

HANDSHAKE_TEXT_LIMIT = 256
"""Characters of the base64 initiation, which has 101 bytes."""

TUNNELS_PER_MACHINE = 8
"""Authorised connections of one machine key. Clients keep about three (one per authority they use)."""

PROXY_HINT = (
    "This is the control endpoint of a meshbox server, for Tailscale clients. If a client was sent here and "
    "failed, a proxy in between does not pass on POST with `Upgrade: tailscale-control-protocol`; see "
    "the documentation on reverse proxies."
)

SWITCHING = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: {PROTOCOL}\r\nConnection: upgrade\r\n\r\n".encode()

HANDSHAKE_REFUSED = (
    "the Noise handshake failed: the client knows another key of this server. Restart the client; if "
    "that does not help, the server's noise.private_key_path was replaced."
)

NOT_SERVED = (
    "/machine/id-token",
    "/machine/tka/",
    "/machine/webclient/",
)
"""What clients ask for and this version does not have: 501 and a sentence, which they show or tolerate."""

Handler = Callable[[Tunnel, Request], None]


class Control:
    """`proofs` are for the name server; `close` ends all tunnels; the Core's parts stay usable."""

    def __init__(
        self, core: Core, private_key: bytes, sessions: Sessions, registration: Registration, logins: Logins
    ) -> None:
        self.core = core
        self._private_key = private_key
        self._sessions = sessions
        self._registration = registration
        self._logins = logins
        self._maps = Maps(core, sessions)
        self.questions = Questions(core, sessions)
        self._tunnels: dict[MachineKey, tuple[Tunnel, ...]] = {}
        # Nothing a client of today sends proves possession of a node key with it, so one serves all.
        self._early_payload = early_payload(ChallengeKey(os.urandom(32)))
        self._callbacks = Callbacks(self._queue, self._reset, self._lost, self._drained, self._enter)
        self.proofs = Proofs()
        calls = ClientCalls(core, self.proofs)
        self._handlers: Mapping[str, tuple[str, Handler]] = {
            "/machine/register": ("POST", self._register),
            "/machine/map": ("POST", self._map),
            "/machine/update-health": ("POST", self._note_health),
            "/machine/whoami": ("GET", self._whoami),
            "/machine/set-device-attr": ("PATCH", calls.set_attributes),
            "/machine/audit-log": ("POST", calls.note),
            "/machine/feature/query": ("POST", calls.query_feature),
            "/machine/set-dns": ("POST", calls.set_dns),
            RECORDING_PATH: ("POST", calls.note_recording),
        }
        self._below: Mapping[str, Handler] = {
            ACTION: logins.ask,
            WAIT: logins.wait,
            ANSWER_PATH: self.questions.take,
        }

    @property
    def tunnel_count(self) -> int:
        return sum(map(len, self._tunnels.values()))

    # Opening

    def upgrade(self, transport: asyncio.Transport, head: RequestHead, leftover: bytes) -> None:
        """A request for `/ts2021` arrived; its answer waits for its turn, since a handshake costs
        half a millisecond and anybody may ask for one."""
        core = self.core
        try:
            initiation = read_initiation(head)
            prelude = accept_upgrade(head.headers, PROTOCOL) if head.method == "GET" else SWITCHING
        except PeerError as refusal:
            transport.write(short_answer(refusal.status, str(refusal)))
            transport.close()
            return
        opening = Opening(transport, initiation, prelude, is_websocket=head.method == "GET")
        protocol: asyncio.Protocol
        if opening.is_websocket:
            pipe = Pipe(transport)
            tunnel = Tunnel(core, self._callbacks, pipe, head.peer)
            pipe.inner, protocol = tunnel, pipe
        else:
            protocol = tunnel = Tunnel(core, self._callbacks, transport, head.peer)
        transport.set_protocol(protocol)
        tunnel.sit(core.guard.seat(transport))
        core.guard.allow(transport, core.limits.idle_tunnel_timeout, "tunnel_unauthorised", core.steady())
        if leftover:
            protocol.data_received(leftover)
        tunnel.queue(partial(self._shake_hands, tunnel, opening))

    def _shake_hands(self, tunnel: Tunnel, opening: Opening) -> None:
        if not tunnel.is_open:
            return
        try:
            handshake = server_handshake(opening.initiation, self._private_key, os.urandom(32))
        except PeerError as refusal:
            self.core.metrics.count("meshbox_handshakes_total", "refused")
            log.emit_limited("handshake_refused", tunnel.peer, peer_ip=tunnel.peer, reason=str(refusal))
            opening.transport.write(short_answer(400, HANDSHAKE_REFUSED))
            opening.transport.close()
            return
        self.core.metrics.count("meshbox_handshakes_total", "ok")
        if opening.is_websocket:
            # Not through the pipe: this is still HTTP. The field sends no early payload here.
            opening.transport.write(opening.prelude)
            tunnel.begin(handshake, b"", b"")
        else:
            tunnel.begin(handshake, opening.prelude, self._early_payload)

    # What tunnels tell

    def _queue(self, tunnel: Tunnel) -> None:
        tunnel.queue(partial(self._answer, tunnel))

    def _answer(self, tunnel: Tunnel) -> None:
        request = tunnel.next_request()
        if request is None or not tunnel.is_open or not tunnel.h2.is_open(request.stream_id):
            # Given up while it waited: applying it late could undo a newer one.
            return
        try:
            self._route(tunnel, request)
        except PeerError as refusal:
            tunnel.answer(request.stream_id, refusal.status, str(refusal).encode())
        except MeshboxError as error:
            log.emit_limited("request_failed", request.path, path=request.path, err=str(error))
            tunnel.answer(request.stream_id, error.status, str(error).encode())
        except Exception:
            err = traceback.format_exc(limit=-8)
            log.emit_limited("request_failed", request.path, path=request.path, err=err)
            tunnel.answer(request.stream_id, 500, b"meshbox has a bug here; its log has the details")

    def _route(self, tunnel: Tunnel, request: Request) -> None:
        path = request.path.partition("?")[0]
        known = self._handlers.get(path)
        if known is not None:
            method, handle = known
            if request.method == method:
                handle(tunnel, request)
            else:
                tunnel.answer(request.stream_id, 405, f"{path} wants {method}".encode())
        elif (below := next((one for one in self._below if path.startswith(one)), None)) is not None:
            self._below[below](tunnel, request)
        elif path.startswith(NOT_SERVED):
            tunnel.answer(request.stream_id, 501, f"meshbox does not have {path} yet".encode())
        else:
            tunnel.answer(request.stream_id, 404, b"not found")

    def _reset(self, tunnel: Tunnel, stream_id: int) -> None:
        session = tunnel.session
        if session is not None and session.stream_id == stream_id:
            self._sessions.end(session)
        self._registration.forget(tunnel, stream_id)
        self._logins.forget(tunnel, stream_id)

    def _drained(self, tunnel: Tunnel) -> None:
        if tunnel.session is not None and tunnel.session.is_blocked:
            self._sessions.drained(tunnel.session)

    def _enter(self, tunnel: Tunnel) -> None:
        """A tunnel was authorised: count it among its machine's, and let the oldest idle one go."""
        tunnels = (*self._tunnels.get(tunnel.machine_key, ()), tunnel)
        self._tunnels[tunnel.machine_key] = tunnels
        if len(tunnels) > TUNNELS_PER_MACHINE:
            self.core.metrics.count("meshbox_refused_total", "machine_tunnels")
            next((old for old in tunnels if old.session is None), tunnels[0]).abort()

    def _lost(self, tunnel: Tunnel) -> None:
        if tunnel.session is not None:
            self._sessions.end(tunnel.session)
        self._registration.forget(tunnel)
        self._logins.forget(tunnel)
        left = tuple(other for other in self._tunnels.get(tunnel.machine_key, ()) if other is not tunnel)
        if left:
            self._tunnels[tunnel.machine_key] = left
        else:
            self._tunnels.pop(tunnel.machine_key, None)

    # Requests

    def _register(self, tunnel: Tunnel, request: Request) -> None:
        self._registration.answer(tunnel, request.stream_id, request.body)

    def _map(self, tunnel: Tunnel, request: Request) -> None:
        self._maps.answer(tunnel, request.stream_id, request.body)

    def _note_health(self, tunnel: Tunnel, request: Request) -> None:
        """Clients up to 1.88 tell which part of them is ill; anything but success annoys them."""
        tunnel.answer(request.stream_id, 204, headers=())

    def _whoami(self, tunnel: Tunnel, request: Request) -> None:
        """For `tailscale debug ts2021`: what this side knows of the caller."""
        text = f"machine {tunnel.machine_key}\naddress {tunnel.peer}\n"
        tunnel.answer(request.stream_id, 200, text.encode())

    def close(self) -> None:
        """End all sessions and tunnels; clients come back at once, to whoever listens then."""
        for session in self._sessions.all():
            self._sessions.end(session)
        for tunnels in list(self._tunnels.values()):
            for tunnel in tunnels:
                tunnel.close()


@dataclass(frozen=True, slots=True)
class Opening:
    """A tunnel whose handshake waits for its turn."""

    transport: asyncio.Transport
    initiation: bytes
    prelude: bytes
    is_websocket: bool


def read_initiation(head: RequestHead) -> bytes:
    """The Noise initiation that came with the upgrade. Raises Malformed with a text for whoever looks."""
    if head.method == "GET":
        if not head.has_token("upgrade", "websocket"):
            raise Malformed(PROXY_HINT)
        text = parse_qs(head.target.partition("?")[2], max_num_fields=8).get(HANDSHAKE, [""])[0]
    elif head.method != "POST" or head.headers.get("upgrade", "").lower() != PROTOCOL:
        raise Malformed(PROXY_HINT)
    elif head.headers.get("content-length", "0") != "0" or "transfer-encoding" in head.headers:
        raise Malformed("the upgrade has no body")
    else:
        text = head.headers.get(HANDSHAKE.lower(), "")
    if not text:
        raise Malformed(f"{HANDSHAKE} is missing")
    if len(text) > HANDSHAKE_TEXT_LIMIT:
        raise Malformed(f"{HANDSHAKE} is too long")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Malformed(f"{HANDSHAKE} is not base64") from None
