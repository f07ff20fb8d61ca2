"""POST /machine/register: the answers to `tailnet.enrol`, and how often a stranger may ask.

A follow-up waits here, without a task or a timer, until somebody decides: the fan-out's round asks
`settle` to look. Refused requests are repeated for ever by clients, ten times in the first seconds,
so a machine over its limit is not listened to for the rest of its minute, and the answers to an
address over its limit come late.

Source: tailcfg.RegisterRequest, tailcfg.RegisterResponse; controlclient/direct.go (429 is understood
from capability version 137, older clients would show it as a fault).
"""

from __future__ import annotations

from dataclasses import dataclass

from meshbox import fastjson, log
from meshbox.errors import Busy, Conflict, Exhausted
from meshbox.serve.attempts import Attempts
from meshbox.serve.core import Core
from meshbox.serve.tunnel import JSON, TEXT, Tunnel
from meshbox.tailnet import enrol
from meshbox.tailnet.model import Pending
from meshbox.tailnet.pending import PENDING_LIFE
from meshbox.tailnet.users import TAGGED_DEVICES_ID, TAGGED_DEVICES_NAME
from meshbox.wire.capver import too_old
from meshbox.wire.replies import (
    Person,
    register_accepted,
    register_key_expired,
    register_login,
    register_refused,
)
from meshbox.wire.tailcfg import RegisterRequest, parse_register

PATIENT_CAPVER = 137
"""From here on clients understand 429 with Retry-After at registration."""

LATE = 3.0
"""Seconds by which a refusal is delayed for an address over its limit, and for clients too old for 429."""


@dataclass(frozen=True, slots=True)
class Held:
    """A follow-up that waits for a decision."""

    tunnel: Tunnel
    stream_id: int
    request: RegisterRequest


class Registration:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._failures = Attempts()
        self._held: dict[str, Held] = {}

    @property
    def held_count(self) -> int:
        return len(self._held)

    def answer(self, tunnel: Tunnel, stream_id: int, body: bytes) -> None:
        """Raises Malformed for a body that is no RegisterRequest."""
        core = self._core
        limit = core.limits.registrations_per_minute
        request = parse_register(body)
        refusal = too_old(request.version)
        if refusal is not None:
            self._count("too_old")
            tunnel.answer(stream_id, 400, refusal.encode())
            return
        wait = self._failures.wait(tunnel.machine_key, limit, core.steady())
        if wait:
            self._put_off(Held(tunnel, stream_id, request), wait, "too many failed registrations")
            return
        self._decide(Held(tunnel, stream_id, request))

    def settle(self) -> None:
        """Answer the follow-ups whose registration was decided or has expired."""
        waiting = self._core.tailnet.pending
        for pending_id, held in list(self._held.items()):
            pending = waiting.get(pending_id)
            if pending is None or pending.state != "waiting":
                self._let_go(pending_id)
                self._decide(held)

    def forget(self, tunnel: Tunnel, stream_id: int | None = None) -> None:
        """The client gave a stream up, or (None) has gone."""
        for pending_id, held in list(self._held.items()):
            if held.tunnel is tunnel and stream_id in (None, held.stream_id):
                self._let_go(pending_id)

    def _decide(self, held: Held) -> None:
        core, tunnel = self._core, held.tunnel
        try:
            outcome = enrol.register(core.tailnet, tunnel.machine_key, held.request, tunnel.peer, core.wall())
        except Busy as busy:
            self._count("busy")
            self._put_off(held, busy.retry_after, str(busy))
            return
        except (Exhausted, Conflict) as error:
            self._count("refused")
            log.emit("registration_impossible", peer_ip=tunnel.peer, reason=str(error))
            self._reply(held, register_refused(str(error)))
            return
        match outcome:
            case enrol.Accepted():
                self._accept(held, outcome)
            case enrol.LoginNeeded(pending):
                self._ask_for_login(held, pending)
            case enrol.Waiting(pending):
                self._hold(held, pending)
            case enrol.KeyExpired():
                self._count("key_expired")
                self._reply(held, register_key_expired())
            case enrol.Refused(reason):
                self._refuse(held, reason)
            case enrol.LoggedOut():
                self._count("logged_out")
                self._reply(held, register_key_expired())

    def _accept(self, held: Held, outcome: enrol.Accepted) -> None:
        node, t = outcome.node, self._core.tailnet
        held.tunnel.authorise()
        self._count("new" if outcome.created else "known")
        user = None if node.user_id is None else t.users[node.user_id]
        if outcome.created:
            owner = ",".join(node.tags) if user is None else user.name
            log.emit("node_registered", node=node.name, node_id=node.id, user=owner, peer_ip=held.tunnel.peer)
        if user is None:
            person = Person(TAGGED_DEVICES_ID, TAGGED_DEVICES_NAME, "Tagged Devices")
        else:
            person = Person(
                user.id, user.email or user.name, user.display_name or user.name, user.picture_url
            )
        if outcome.created and not node.is_approved:
            log.emit("node_waiting", node=node.name, node_id=node.id, peer_ip=held.tunnel.peer)
        self._reply(held, register_accepted(person, node.is_approved))

    def _ask_for_login(self, held: Held, pending: Pending) -> None:
        self._count("login_needed")
        hostname = held.request.hostinfo.hostname if held.request.hostinfo else ""
        log.emit_limited("login_waiting", held.tunnel.peer, hostname=hostname, peer_ip=held.tunnel.peer)
        self._reply(held, register_login(self._core.server_url + pending.path))

    def _hold(self, held: Held, pending: Pending) -> None:
        """Bounded by the pending registrations: one follow-up each, the newest. Its tunnel stays a
        stranger's, in the guard's count, with time for the person who decides: anybody gets this far."""
        older = self._held.get(pending.id)
        if older is not None:
            self._let_go(pending.id)
            older.tunnel.answer(older.stream_id, 409, b"a newer follow-up waits for this registration\n")
        left = pending.created_at + PENDING_LIFE - self._core.wall()
        held.tunnel.tolerate(left + self._core.limits.idle_tunnel_timeout)
        self._held[pending.id] = held

    def _let_go(self, pending_id: str) -> None:
        """Nothing is held for this registration any more; its tunnel has as long as any other."""
        held = self._held.pop(pending_id)
        held.tunnel.tolerate(self._core.limits.idle_tunnel_timeout)

    def _refuse(self, held: Held, reason: str) -> None:
        core, tunnel = self._core, held.tunnel
        self._count("refused")
        log.emit_limited("registration_refused", tunnel.peer, peer_ip=tunnel.peer, reason=reason)
        self._failures.note(tunnel.machine_key, core.steady())
        tries = self._failures.note(tunnel.peer, core.steady())
        if tries > core.limits.registrations_per_minute:
            core.later(LATE, lambda: self._reply(held, register_refused(reason)))
        else:
            self._reply(held, register_refused(reason))

    def _put_off(self, held: Held, wait: int, why: str) -> None:
        core, tunnel = self._core, held.tunnel
        core.metrics.count("meshbox_refused_total", "registration_rate")
        text = f"{why}; try again in {wait} seconds"
        if held.request.version >= PATIENT_CAPVER:
            headers = (TEXT, (b"retry-after", str(wait).encode()))
            tunnel.answer(held.stream_id, 429, text.encode(), headers)
        else:
            core.later(LATE, lambda: self._reply(held, register_refused(text)))

    def _reply(self, held: Held, said: dict[str, object]) -> None:
        held.tunnel.answer(held.stream_id, 200, fastjson.dumps(said), (JSON,))

    def _count(self, result: str) -> None:
        self._core.metrics.count("meshbox_registrations_total", result)
