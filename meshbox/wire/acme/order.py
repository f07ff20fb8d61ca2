"""From names to a certificate: every request in its order, and what each answer means.

A conversation is a generator that does nothing itself. It yields what is to be done (ask this URL, serve
this challenge, wait so long) and is sent the answers; `serve/acme/client.py` drives it over HTTP, tests
with answers on paper. It returns what it was for, or raises NotIssued.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

from meshbox.errors import Malformed, NotIssued
from meshbox.wire.acme.jws import AccountKey, b64
from meshbox.wire.acme.messages import (
    Authorization,
    Directory,
    Order,
    Problem,
    Reply,
    Window,
    problem_of,
    read,
    read_authorization,
    read_directory,
    read_order,
    read_window,
)
from meshbox.wire.acme.naming import identifier

T = TypeVar("T")

NONCE_TRIES = 8
"""An authority refuses a nonce it forgot; each refusal brings a fresh one (RFC 8555 section 6.5)."""

LOOKS = 30
"""How often a pending order is looked at before we give up for this time: about two minutes."""

LOOK_AFTER, LOOK_AFTER_AT_MOST = 1.0, 30.0
"""Seconds between two looks, unless the authority says otherwise; it may not hold us for hours."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a request; the generator wants its Reply."""

    method: str
    url: str
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Publish:
    """Answer `/.well-known/acme-challenge/<token>` with this text from now on."""

    token: str
    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Step = Ask | Publish | Pause
Steps = Generator[Step, Reply | None, T]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to order. `request` is a DER certificate request for exactly these names; `profile` is used
    when the authority has it; `replaces` names the certificate this one renews (RFC 9773)."""

    names: tuple[str, ...]
    request: bytes
    email: str = ""
    profile: str = ""
    replaces: str = ""


class Conversation:
    """With one authority, under one account."""

    def __init__(self, directory_url: str, key: AccountKey) -> None:
        self._directory_url = directory_url
        self._key = key
        self._nonce = ""
        self._account = ""
        self._known: Directory | None = None

    def obtain(self, wish: Wish) -> Steps[bytes]:
        """The chain in PEM, the certificate itself first."""
        directory = yield from self._directory()
        if directory.needs_binding:
            raise NotIssued("it wants an account made beforehand (external account binding)")
        yield from self._log_in(directory, wish.email)
        url, order = yield from self._place(directory, wish)
        for one in order.authorizations:
            yield from self._authorize(one)
        order = yield from self._settle(url, ("ready", "valid"))
        if order.status == "ready":
            reply = yield from self._post(order.finalize, {"csr": b64(wish.request)})
            order = read_order(reply)
            if order.status != "valid":
                order = yield from self._settle(url, ("valid",))
        if not order.certificate:
            raise Malformed("sent a valid order without a certificate")
        reply = yield from self._post(order.certificate, None)
        return reply.body

    def renewal_window(self, certificate_id: str) -> Steps[tuple[Window | None, float | None]]:
        """When it wants the certificate renewed, and after how many seconds to ask again. No window from
        an authority that gives no advice, or does not know the certificate."""
        directory = yield from self._directory()
        if not directory.renewal_info:
            return None, None
        reply = yield from _ask(Ask("GET", f"{directory.renewal_info.rstrip('/')}/{certificate_id}"))
        if reply.status != 200:
            return None, reply.retry_after
        return read_window(reply), reply.retry_after

    # The steps

    def _directory(self) -> Steps[Directory]:
        if self._known is None:
            reply = yield from _ask(Ask("GET", self._directory_url))
            if reply.status != 200:
                raise _refusal(reply)
            self._known = read_directory(reply)
        return self._known

    def _log_in(self, directory: Directory, email: str) -> Steps[None]:
        """Make the account, or find it: the same request does both, with the whole key in it. Each order
        begins so: the last one was weeks ago, and an authority may have forgotten us (a test one does)."""
        self._account = ""
        wanted: dict[str, object] = {"termsOfServiceAgreed": True}
        if email:
            wanted["contact"] = [f"mailto:{email}"]
        reply = yield from self._post(directory.new_account, wanted)
        self._account = reply.headers.get("location", "")
        if not self._account:
            raise Malformed("made an account without saying where it is")

    def _place(self, directory: Directory, wish: Wish) -> Steps[tuple[str, Order]]:
        wanted: dict[str, object] = {"identifiers": [identifier(name) for name in wish.names]}
        if wish.profile in directory.profiles:
            wanted["profile"] = wish.profile
        replaces = {"replaces": wish.replaces} if wish.replaces and directory.renewal_info else {}
        try:
            reply = yield from self._post(directory.new_order, wanted | replaces)
        except NotIssued as refusal:
            # Replaced already, or by an account we no longer have: then it is an order like any other.
            if not replaces or refusal.kind == "rateLimited":
                raise
            reply = yield from self._post(directory.new_order, wanted)
        url = reply.headers.get("location", "")
        if not url:
            raise Malformed("took an order without saying where it is")
        return url, read_order(reply)

    def _authorize(self, url: str) -> Steps[None]:
        found = read_authorization((yield from self._post(url, None)))
        if found.status == "valid":
            return
        if not found.challenge or not found.token:
            raise NotIssued(f"it offers no http-01 challenge for {found.name}")
        yield Publish(found.token, self._key.authorization(found.token))
        yield from self._post(found.challenge, {})
        for _ in range(LOOKS):
            reply = yield from self._post(url, None)
            found = read_authorization(reply)
            if found.status == "valid":
                return
            if found.status != "pending":
                raise _unproved(found)
            yield Pause(_patience(reply))
        raise NotIssued(f"it did not decide about {found.name} in time")

    def _settle(self, url: str, wanted: tuple[str, ...]) -> Steps[Order]:
        for _ in range(LOOKS):
            reply = yield from self._post(url, None)
            order = read_order(reply)
            if order.status in wanted:
                return order
            if order.status == "invalid":
                problem = order.problem or Problem("", "without saying why")
                raise NotIssued(f"it gave up the order: {problem.detail}", problem.kind, reply.retry_after)
            yield Pause(_patience(reply))
        raise NotIssued("it did not finish the order in time")

    def _post(self, url: str, payload: object) -> Steps[Reply]:
        reply = None
        for _ in range(NONCE_TRIES):
            nonce = yield from self._fresh_nonce()
            reply = yield from _ask(Ask("POST", url, self._key.sign(url, nonce, payload, self._account)))
            self._nonce = reply.headers.get("replay-nonce", "")
            if reply.status < 400:
                return reply
            if _refusal(reply).kind != "badNonce":
                raise _refusal(reply)
        assert reply is not None
        raise _refusal(reply)

    def _fresh_nonce(self) -> Steps[str]:
        nonce, self._nonce = self._nonce, ""
        if nonce:
            return nonce
        directory = yield from self._directory()
        reply = yield from _ask(Ask("HEAD", directory.new_nonce))
        nonce = reply.headers.get("replay-nonce", "")
        if not nonce:
            raise Malformed("gave no nonce")
        return nonce


def _ask(step: Ask) -> Steps[Reply]:
    reply = yield step
    assert reply is not None, "an Ask is answered with a Reply"
    return reply


def _patience(reply: Reply) -> float:
    return min(max(reply.retry_after or LOOK_AFTER, LOOK_AFTER), LOOK_AFTER_AT_MOST)


def _refusal(reply: Reply) -> NotIssued:
    try:
        problem = problem_of(read(reply)) or Problem("", "")
    except Malformed:
        problem = Problem("", "")
    detail = problem.detail or f"it answered {reply.status}"
    return NotIssued(detail, problem.kind, reply.retry_after)


def _unproved(found: Authorization) -> NotIssued:
    problem = found.problem or Problem("", f"its authorization is {found.status}")
    return NotIssued(f"{found.name} could not be proved: {problem.detail}", problem.kind)
