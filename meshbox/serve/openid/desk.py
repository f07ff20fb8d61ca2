"""Where people are signed in: from what waits, a device or a login, to the provider, back, to their wish."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from meshbox import log
from meshbox.config import Config
from meshbox.config.openid import Oidc
from meshbox.errors import ConfigError, NotFound, Problem, Refused, Unproven, Unreachable
from meshbox.serve.openid.journeys import Journey, Journeys, Kind, Target
from meshbox.serve.openid.provider import Provider
from meshbox.tailnet import signin
from meshbox.tailnet.model import User
from meshbox.tailnet.signin import Admission
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.openid import Identity, read_identity

CALLBACK = "/oidc/callback"
"""Headscale's, so that a provider's registration stays as it is."""

START = "/oidc/start/"

SECRET_LIMIT = 4096

LOST = (
    "this sign-in is over, was begun in another browser, or was finished before; open the device's link again"
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody is back, and known; `token` is for their wish."""

    token: str
    target: Target
    identity: Identity


class SignInDesk:
    """Raises ConfigError when a file of the configuration cannot be used."""

    def __init__(
        self, config: Config, tailnet: Tailnet, wall: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        oidc = config.oidc
        self._oidc = oidc
        self._tailnet = tailnet
        self._wall = wall
        self._journeys = Journeys(steady)
        self._admission = Admission(
            oidc.allowed_domains, oidc.allowed_users, oidc.allowed_groups, oidc.email_verified_required
        )
        self._provider = Provider(oidc, _read_secret(oidc), config.server_url + CALLBACK, steady)

    def worry(self) -> str:
        """Why nobody can sign in just now; "" when they can, or nobody has tried."""
        return self._provider.worry()

    async def look(self) -> None:
        """Ask the provider once, so that a mistake in the configuration is in the log at the start and not
        when the first person tries."""
        with suppress(Unreachable):
            await self._provider.issuer()

    async def issuer(self) -> str:
        """The provider, as it writes itself. Raises Unreachable."""
        return await self._provider.issuer()

    async def begin(self, kind: Kind, target_id: str, browser: str) -> str:
        """Where to send the browser. Raises NotFound, Unreachable."""
        target = Target(kind, target_id)
        self._require(target)
        # Asked first: a provider that is down leaves no journey behind.
        await self._provider.issuer()
        return await self._provider.sign_in_url(self._journeys.begin(target, browser))

    async def arrive(self, query: Mapping[str, str], browser: str) -> Arrival:
        """The browser is back: who is it? Raises Refused, Unreachable, NotFound."""
        journey = self._journeys.take(query.get("state", ""), browser, is_back=False)
        if journey is None:
            raise Refused(LOST)
        self._require(journey.target)
        issuer = await self._provider.issuer()
        if query.get("iss", issuer) != issuer:
            raise self._turned(journey, "", f"the answer comes from {query['iss'][:200]}, who was not asked")
        if "code" not in query:
            reason = query.get("error_description") or query.get("error") or "no code came back"
            raise self._turned(journey, "", f"the provider says: {reason[:200]}")
        try:
            claims = await self._provider.redeem(query["code"], journey.question, self._wall)
            identity = read_identity(claims, issuer, self._oidc.groups_claim)
        except Unproven as error:
            raise self._turned(journey, "", str(error)) from None
        why = signin.turned_away(identity, self._admission)
        if why:
            raise self._turned(journey, label(identity), why)
        # Somebody else may have decided while the provider was asked.
        self._require(journey.target)
        return Arrival(self._journeys.arrived(journey, identity), journey.target, identity)

    def confirm(self, token: str, browser: str) -> tuple[Target, User]:
        """The person wishes it: it is done, but for the door of the console, which is elsewhere. Raises
        Refused, NotFound, Invalid, Exhausted, StoreFull."""
        journey = self._journeys.take(token, browser, is_back=True)
        if journey is None or journey.identity is None:
            raise Refused(LOST)
        self._require(journey.target)
        now = self._wall()
        if journey.target.kind == "console":
            return journey.target, self._visitor(journey.identity, now)
        user = signin.sign_in(self._tailnet, journey.identity, self._admission, now)
        self._decide(journey, user, now)
        log.emit("signed_in", user=user.name, subject=journey.identity.subject, what=journey.target.kind)
        return journey.target, user

    def _visitor(self, identity: Identity, now: float) -> User:
        try:
            return signin.enter(self._tailnet, identity, self._admission, now)
        except Refused as refusal:
            who = label(identity)
            log.emit_limited("signin_refused", who, who=who, what="console", reason=str(refusal))
            raise

    def _decide(self, journey: Journey, user: User, now: float) -> None:
        assert journey.identity is not None
        if journey.target.kind == "ssh":
            signin.confirm_login(self._tailnet, journey.target.id, user, now)
            return
        until = journey.identity.expires_at if self._oidc.use_expiry_from_token else None
        signin.let_in(self._tailnet, journey.target.id, user, until, now)

    def _require(self, target: Target) -> None:
        t = self._tailnet
        if target.kind == "console":
            return
        waiting = t.pending.get(target.id) if target.kind == "register" else t.checks.get(target.id)
        if waiting is None or waiting.state != "waiting":
            raise NotFound("nothing waits under this link any more; start again on the device")

    def _turned(self, journey: Journey, who: str, why: str) -> Refused:
        """One sentence for the stranger, the reason for the log."""
        log.emit_limited("signin_refused", why, who=who or "nobody", what=journey.target.kind, reason=why)
        return Refused("you were not let into this network; whoever runs it finds the reason in the log")


def start_path(kind: Kind, target_id: str) -> str:
    """Where a browser begins to sign in for something that waits."""
    return f"{START}{kind}/{target_id}"


def label(identity: Identity) -> str:
    """A person, as people know them."""
    return identity.email or identity.username or identity.display_name or identity.subject


def _read_secret(oidc: Oidc) -> str:
    path = oidc.client_secret_path
    if path is None:
        return ""
    try:
        with path.open() as file:
            secret = file.read(SECRET_LIMIT).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(path), [Problem("oidc.client_secret_path", f"cannot be read: {error}")]
        ) from None
    if not secret:
        raise ConfigError(str(path), [Problem("oidc.client_secret_path", f"{path} is empty")])
    return secret
