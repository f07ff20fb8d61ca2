"""The certificate of the public listener: none, from files, or got from an authority and kept fresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from meshbox.config import Config
from meshbox.serve.acme.challenges import Challenges
from meshbox.serve.acme.client import Client
from meshbox.serve.acme.keeper import Keeper, plan_of
from meshbox.serve.acme.shelf import Shelf
from meshbox.serve.api.moments import write_moment
from meshbox.serve.certificates import Certificate
from meshbox.wire.keys import NodeKey

LAST_PART = 1 / 8
"""Of a certificate's life. Whoever renews it has done so before that, or something is wrong."""


class PublicTls:
    """`certificate` is None for plain HTTP. Raises CertificateError."""

    def __init__(self, config: Config, relay_key: NodeKey | None, counted: Callable[[str], None]) -> None:
        self.challenges = Challenges(config.http.webroot)
        self.certificate: Certificate | None = None
        self._keeper: Keeper | None = None
        self._task: asyncio.Task[None] | None = None
        if config.acme.enabled:
            client = Client(config.acme.ca_path, self.challenges.publish)
            self._keeper = Keeper(plan_of(config), Shelf(config.state_dir), client, relay_key, counted)
            self.certificate = self._keeper.certificate
        elif config.tls_cert_path is not None and config.tls_key_path is not None:
            self.certificate = Certificate(config.tls_cert_path, config.tls_key_path, relay_key)

    def start(self) -> None:
        """Once port 80 listens."""
        if self._keeper is not None:
            self._task = asyncio.create_task(self._keeper.run(), name="certificate")

    def reload(self) -> None:
        """Read the files again, or try again what failed. Raises CertificateError."""
        if self._keeper is not None:
            self._keeper.nudge()
        elif self.certificate is not None:
            self.certificate.reload()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    @property
    def left(self) -> float | None:
        """Seconds until it expires, 0 while there is none that clients trust; None without TLS."""
        if self.certificate is None:
            return None
        if self._keeper is not None and self._keeper.is_temporary:
            return 0.0
        return self.certificate.expires_at - time.time()

    def failure(self) -> str:
        """Why no client can connect; "" when they can, and in the first moments of a new server."""
        left = self.left
        if left is None or left > 0:
            return ""
        if self._keeper is None or not self._keeper.is_temporary:
            return "the TLS certificate has expired: renew it"
        return self._keeper.trouble

    def worry(self) -> str:
        """What will become a failure."""
        if self.certificate is None:
            return ""
        if self._keeper is not None and self._keeper.trouble:
            return self._keeper.trouble
        life = self.certificate.expires_at - self.certificate.valid_from
        left = self.left or 0.0
        if 0 < left < life * LAST_PART:
            return f"the TLS certificate expires in {left / 3600:.0f} hours and was not renewed"
        return ""

    def facts(self) -> dict[str, Any]:
        """For /status."""
        if self.certificate is None:
            return {"source": "none"}
        temporary = self._keeper is not None and self._keeper.is_temporary
        source = "files" if self._keeper is None else "temporary" if temporary else "acme"
        return {
            "source": source,
            "expiresAt": None if temporary else write_moment(self.certificate.expires_at),
            "trouble": self.failure() or self.worry(),
        }
