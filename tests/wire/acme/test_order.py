"""The conversation with an authority on paper: every answer it can give, in its order."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from meshbox.errors import Malformed, NotIssued
from meshbox.wire.acme.jws import AccountKey
from meshbox.wire.acme.messages import Reply, Window
from meshbox.wire.acme.order import LOOKS, NONCE_TRIES, Ask, Conversation, Pause, Publish, Steps, Wish

KEY = AccountKey(ec.derive_private_key(7, ec.SECP256R1()))
WISH = Wish(("a.test", "192.0.2.7"), b"request", "ana@a.test", "shortlived", "old.id")
ERROR = "urn:ietf:params:acme:error:"


class Authority:
    """Answers by the path; `override[path]` is a list of answers that come first."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any, dict[str, Any]]] = []
        self.published: dict[str, str] = {}
        self.paused: list[float] = []
        self.override: dict[str, list[Reply]] = {}
        self.nonces = 0
        self.orders = 0
        self.proved = False

    def run(self, steps: Steps[Any]) -> Any:
        reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                return end.value
            reply = None
            match step:
                case Ask():
                    reply = self._answer(step)
                case Publish(token, text):
                    self.published[token] = text
                case Pause(seconds):
                    self.paused.append(seconds)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    def _answer(self, step: Ask) -> Reply:
        path = step.url.removeprefix("https://ca/")
        payload, head = None, {}
        if step.body:
            message = json.loads(step.body)
            head, payload = (self._part(message[name]) for name in ("protected", "payload"))
            assert head["url"] == step.url and head["nonce"] == f"nonce-{self.nonces}"
            assert ("jwk" in head) == (path == "new-account")
        self.asked.append((path, payload, head))
        waiting = self.override.get(path)
        found = waiting.pop(0) if waiting else self._usual(path, payload)
        self.nonces += 1
        return Reply(found.status, {"replay-nonce": f"nonce-{self.nonces}", **found.headers}, found.body)

    @staticmethod
    def _part(text: str) -> Any:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else None

    def _usual(self, path: str, payload: Any) -> Reply:
        match path:
            case "dir":
                return reply(
                    {"newNonce": "https://ca/nonce", "newAccount": "https://ca/new-account",
                     "newOrder": "https://ca/new-order", "renewalInfo": "https://ca/ari",
                     "meta": {"profiles": {"shortlived": ""}}}
                )  # fmt: skip
            case "nonce":
                return reply({})
            case "new-account":
                return reply({}, location="https://ca/account/1")
            case "new-order" | "order" | "finalize":
                self.orders += path == "new-order"
                status = "ready" if self.proved else "pending"
                status = "valid" if path == "finalize" else status
                return order(status, location="https://ca/order")
            case "authz/1" | "authz/2":
                return authorization(path, "valid" if self.proved else "pending")
            case "challenge/1" | "challenge/2":
                assert self.published["token-" + path[-1]] == KEY.authorization("token-" + path[-1])
                self.proved = path == "challenge/2" or self.proved
                return reply({})
            case "certificate":
                return Reply(200, {}, b"the chain")
        raise AssertionError(path)


def reply(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status, headers, json.dumps(value).encode())


def refusal(kind: str, status: int = 400, **headers: str) -> Reply:
    headers = {name.replace("_", "-"): text for name, text in headers.items()}
    return reply({"type": ERROR + kind, "detail": f"it is {kind}"}, status, **headers)


def order(status: str, location: str = "", **more: Any) -> Reply:
    urls = {"authorizations": ["https://ca/authz/1", "https://ca/authz/2"]}
    rest = {"finalize": "https://ca/finalize", "certificate": "https://ca/certificate"}
    return reply({"status": status, **urls, **rest, **more}, location=location)


def authorization(path: str, status: str, **more: Any) -> Reply:
    number = path[-1]
    challenge = {"type": "http-01", "url": f"https://ca/challenge/{number}", "token": f"token-{number}"}
    identifier = {"type": "dns", "value": "a.test"}
    return reply({"identifier": identifier, "status": status, "challenges": [challenge | more]})


@pytest.fixture
def ca() -> Authority:
    return Authority()


def obtain(ca: Authority, wish: Wish = WISH) -> Any:
    return ca.run(Conversation("https://ca/dir", KEY).obtain(wish))


def test_a_whole_order(ca: Authority) -> None:
    # The second name is valid at once after the first proved everything in this authority.
    ca.override["authz/1"] = [authorization("authz/1", "pending"), authorization("authz/1", "valid")]
    assert obtain(ca) == b"the chain"
    assert ca.paths() == [
        "dir", "nonce", "new-account", "new-order", "authz/1", "challenge/1", "authz/1", "authz/2",
        "challenge/2", "authz/2", "order", "finalize", "certificate",
    ]  # fmt: skip
    asked = {path: payload for path, payload, _ in ca.asked}
    assert asked["new-account"] == {"termsOfServiceAgreed": True, "contact": ["mailto:ana@a.test"]}
    assert asked["new-order"] == {
        "identifiers": [{"type": "dns", "value": "a.test"}, {"type": "ip", "value": "192.0.2.7"}],
        "profile": "shortlived",
        "replaces": "old.id",
    }
    assert asked["finalize"] == {"csr": "cmVxdWVzdA"}
    assert ca.asked[-1][2]["kid"] == "https://ca/account/1"


def test_refused_nonces_are_replaced(ca: Authority) -> None:
    ca.proved = True
    for path in ("new-account", "new-order", "finalize", "certificate"):
        ca.override[path] = [refusal("badNonce")] * (NONCE_TRIES - 1)
    assert obtain(ca) == b"the chain"
    ca.override["new-order"] = [refusal("badNonce")] * NONCE_TRIES
    with pytest.raises(NotIssued, match="badNonce"):
        obtain(ca, replace(WISH, replaces=""))


def test_a_renewal_the_authority_does_not_know_is_an_order_like_any_other(ca: Authority) -> None:
    ca.proved = True
    ca.override["new-order"] = [refusal("alreadyReplaced", 409)]
    assert obtain(ca) == b"the chain"
    orders = [payload for path, payload, _ in ca.asked if path == "new-order"]
    assert ["replaces" in payload for payload in orders] == [True, False]


def test_rate_limits_are_no_reason_to_ask_twice(ca: Authority) -> None:
    ca.override["new-order"] = [refusal("rateLimited", 429, retry_after="3600")]
    with pytest.raises(NotIssued, match="it is rateLimited") as caught:
        obtain(ca)
    assert (caught.value.kind, caught.value.retry_after) == ("rateLimited", 3600.0)
    assert ca.paths().count("new-order") == 1


def test_what_the_directory_lacks_is_not_asked_for(ca: Authority) -> None:
    ca.proved = True
    urls = {name: f"https://ca/{path}" for name, path in
            (("newNonce", "nonce"), ("newAccount", "new-account"), ("newOrder", "new-order"))}  # fmt: skip
    ca.override["dir"] = [reply(urls)]
    obtain(ca)
    [wanted] = [payload for path, payload, _ in ca.asked if path == "new-order"]
    assert set(wanted) == {"identifiers"}
    ca.override["dir"] = [reply({**urls, "meta": {"externalAccountRequired": True}})]
    with pytest.raises(NotIssued, match="external account binding"):
        obtain(ca)


def test_a_name_that_cannot_be_proved_is_said(ca: Authority) -> None:
    failed = authorization("authz/1", "invalid", error={"type": ERROR + "connection", "detail": "no route"})
    ca.override["authz/1"] = [authorization("authz/1", "pending"), failed]
    with pytest.raises(NotIssued, match=r"a\.test could not be proved: no route") as caught:
        obtain(ca)
    assert caught.value.kind == "connection"


def test_an_authority_that_never_decides_is_left(ca: Authority) -> None:
    ca.override["authz/1"] = [authorization("authz/1", "pending")] * (LOOKS + 1)
    with pytest.raises(NotIssued, match="did not decide"):
        obtain(ca)
    assert len(ca.paused) == LOOKS


def test_an_order_may_be_given_up_or_take_time(ca: Authority) -> None:
    ca.proved = True
    slow = Reply(200, {"retry-after": "7"}, order("processing").body)
    ca.override["finalize"] = [order("processing")]
    ca.override["order"] = [order("ready"), slow, order("valid")]
    assert obtain(ca) == b"the chain" and ca.paused == [7.0]
    ca.override["order"] = [order("invalid", error={"detail": "CAA forbids it"})]
    with pytest.raises(NotIssued, match="gave up the order: CAA forbids it"):
        obtain(ca)


@pytest.mark.parametrize("path", ["dir", "nonce", "new-account", "new-order", "authz/1", "order", "finalize"])
@pytest.mark.parametrize("answer", [Reply(200, {}, b"<html>"), Reply(200, {}, b"[]"), Reply(200, {}, b"{}")])
def test_nonsense_at_any_step_is_malformed(ca: Authority, path: str, answer: Reply) -> None:
    ca.proved = True
    ca.override[path] = [answer]
    if path == "nonce":
        # Its body does not matter.
        assert obtain(ca) == b"the chain"
    else:
        with pytest.raises(Malformed):
            obtain(ca)


@pytest.mark.parametrize(
    "path", ["dir", "new-account", "new-order", "authz/1", "order", "finalize", "certificate"]
)
@pytest.mark.parametrize("answer", [Reply(500, {}, b"oops"), refusal("serverInternal", 503)])
def test_a_failure_at_any_step_is_told(ca: Authority, path: str, answer: Reply) -> None:
    ca.proved = True
    ca.override[path] = [answer, answer]
    with pytest.raises(NotIssued, match=r"500|serverInternal"):
        obtain(ca)


def test_renewal_advice(ca: Authority) -> None:
    window = {"start": "2026-11-25T12:00:00Z", "end": "2026-11-27T12:00:00Z"}
    talk = Conversation("https://ca/dir", KEY)
    ca.override["ari/the.id"] = [
        Reply(200, {"retry-after": "21600"}, reply({"suggestedWindow": window}).body)
    ]
    assert ca.run(talk.renewal_window("the.id")) == (Window(1795608000.0, 1795780800.0), 21600.0)
    ca.override["ari/the.id"] = [Reply(404, {}, b"")]
    assert ca.run(talk.renewal_window("the.id")) == (None, None)
