"""Sees to it that the listener has a good certificate: gets one, watches its life, renews it, tries again.

The server starts without one: with a certificate it makes itself, which no client accepts, until the first is
there. A renewal is one assignment (`Certificate.replace`): open connections keep what they have, new
handshakes get the new one. Whatever fails is tried again, later and later; a reload tries at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from meshbox import log
from meshbox.config import Config
from meshbox.errors import CertificateError, Malformed, MeshboxError, NotIssued
from meshbox.serve.acme.client import Client
from meshbox.serve.acme.shelf import Shelf, Standing
from meshbox.serve.certificates import Certificate
from meshbox.serve.selfsigned import self_signed
from meshbox.wire.acme import naming, renewal
from meshbox.wire.acme.messages import Window
from meshbox.wire.acme.order import Conversation, Wish
from meshbox.wire.keys import NodeKey

TEMPORARY = "temporary"
SHORTLIVED = "shortlived"
"""Let's Encrypt's profile of six days, the only one for IP addresses."""

NAP = 3600.0
"""Seconds slept at most, by a clock that stands still while a machine is suspended; the dates are looked at
again after it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be had, from whom."""

    authority: str
    names: tuple[str, ...]
    email: str
    profile: str


def plan_of(config: Config) -> Plan:
    acme = config.acme
    host = urlsplit(config.server_url).hostname or ""
    names = tuple(dict.fromkeys(acme.domains or (host,)))
    has_address = any(naming.address_of(name) is not None for name in names)
    profile = acme.profile or (SHORTLIVED if has_address else "")
    return Plan(acme.directory_url, names, acme.email, profile)


class Keeper:
    """`certificate` is what the listener uses. `counted(result)` is told how each try went. Raises
    CertificateError when what is kept cannot be used at all."""

    def __init__(
        self,
        plan: Plan,
        shelf: Shelf,
        client: Client,
        relay_key: NodeKey | None,
        counted: Callable[[str], None] = lambda result: None,
    ) -> None:
        self._plan = plan
        self._shelf = shelf
        self._client = client
        self._counted = counted
        self._talk = Conversation(plan.authority, shelf.account_key())
        self._standing = shelf.standing()
        self._window: Window | None = None
        self._look_at = 0.0
        self._nudged = asyncio.Event()
        self._impatient = False
        self.certificate, self.is_temporary = self._first(relay_key)

    def _first(self, relay_key: NodeKey | None) -> tuple[Certificate, bool]:
        """What is on the shelf if it can be used (also a certificate for other names: it may do until the
        right one is there), else one of our own making."""
        path = self._shelf.certificate
        with contextlib.suppress(CertificateError):
            return Certificate(path, path, relay_key), False
        made = self_signed(self._shelf.directory, self._plan.names, time.time(), relay_key, TEMPORARY)
        return made, True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                wait = await self._step()
            # Also a fault of ours: it must not end all renewals.
            except Exception as error:
                self._failed(error)
                wait = self._standing.retry_at - time.time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(wait, NAP)):
                    await self._nudged.wait()
            self._impatient = self._nudged.is_set()
            self._nudged.clear()

    def nudge(self) -> None:
        """Somebody may have mended what was wrong: ask and try now, whatever was agreed."""
        self._nudged.set()

    @property
    def trouble(self) -> str:
        """Why there is no (new) certificate, in words; "" while all goes well."""
        if not self._standing.failures:
            return ""
        return f"no certificate from {self._authority_name}: {self._standing.reason}"

    @property
    def expires_at(self) -> float | None:
        """Unix seconds; None while clients get a certificate they cannot trust."""
        return None if self.is_temporary else self.certificate.expires_at

    async def _step(self) -> float:
        """Do what is due; how long until there is more to do."""
        now = time.time()
        reason = self._reason_to_order()
        if not reason:
            if now >= self._look_at or self._impatient:
                await self._look(now)
            due_at = self._due_at()
            if now < due_at:
                return min(due_at, self._look_at) - now
            reason = "its time had come" if self._window is None else "the authority asked for it"
        if now < self._standing.retry_at and not self._impatient:
            return self._standing.retry_at - now
        await self._order()
        self._counted("obtained")
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.certificate.expires_at))
        log.emit("certificate_obtained", names=self._plan.names, reason=reason, expires=expires)
        return 0.0

    def _reason_to_order(self) -> str:
        """Why what we have will not do, whatever its age; "" when it will."""
        if self.is_temporary:
            return "there was none"
        if self._standing.authority != self._plan.authority:
            return "acme.directory_url was changed"
        if naming.names_of(self.certificate.leaf) != frozenset(self._plan.names):
            return "the names were changed"
        return ""

    def _due_at(self) -> float:
        certificate = self.certificate
        life = renewal.Life(certificate.valid_from, certificate.expires_at, self._standing.obtained_at)
        return renewal.due_at(life, self._share, self._window)

    @property
    def _share(self) -> float:
        return renewal.share_of(self.certificate.leaf.public_bytes(Encoding.DER))

    async def _look(self, now: float) -> None:
        """Ask when the authority wants it renewed. No answer is no trouble: the certificate's own dates
        do as well."""
        self._look_at = now + renewal.ASK_AGAIN
        with contextlib.suppress(NotIssued, Malformed):
            name = naming.renewal_id(self.certificate.leaf)
            self._window, asked = await self._client.hold(self._talk.renewal_window(name))
            self._look_at = now + renewal.look_after(asked)

    async def _order(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        plan = self._plan
        request = naming.signing_request(key, plan.names)
        wish = Wish(plan.names, request, plan.email, plan.profile, self._replaced())
        chain = await self._client.hold(self._talk.obtain(wish))
        self._check(chain)
        self._shelf.keep_certificate(key, chain)
        self.certificate.replace(self._shelf.certificate, self._shelf.certificate)
        self.is_temporary = False
        self._window, self._look_at = None, 0.0
        self._standing = Standing(plan.authority, time.time())
        self._shelf.keep_standing(self._standing)

    def _check(self, chain: bytes) -> None:
        """Before it takes the place of one that works."""
        try:
            leaf = x509.load_pem_x509_certificate(chain)
        except ValueError:
            raise NotIssued("it sent something that is no certificate") from None
        missing = frozenset(self._plan.names) - naming.names_of(leaf)
        if missing:
            raise NotIssued(f"it sent a certificate without {', '.join(sorted(missing))}")

    def _replaced(self) -> str:
        if self.is_temporary or self._standing.authority != self._plan.authority:
            return ""
        with contextlib.suppress(Malformed):
            return naming.renewal_id(self.certificate.leaf)
        return ""

    def _failed(self, error: Exception) -> None:
        said = str(error) or type(error).__name__
        reason = said if isinstance(error, MeshboxError | OSError) else f"a fault of meshbox: {error!r}"
        asked = error.retry_after if isinstance(error, NotIssued) else None
        failures = self._standing.failures + 1
        wait = renewal.retry_after(failures, asked, self._share)
        self._standing = replace(
            self._standing, failures=failures, retry_at=time.time() + wait, reason=reason
        )
        with contextlib.suppress(OSError):
            self._shelf.keep_standing(self._standing)
        self._counted("failed")
        log.emit(
            "certificate_renewal_failed",
            names=self._plan.names,
            url=self._plan.authority,
            reason=reason,
            seconds=round(wait),
        )

    @property
    def _authority_name(self) -> str:
        return urlsplit(self._plan.authority).hostname or self._plan.authority
