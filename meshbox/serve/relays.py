"""Everything the control server has to do with relays: the map it tells, the relays it tells.

The map is put together from fetched maps, files and our own relay, and again when any of them changes. A
map that cannot be put together (two nodes of one name) leaves the old one in force.

A client whose relay is missing from the map hangs up there at once, and 1.102.5 was seen to stay without a
home relay for over a minute after the map had it again. So a map must never lack the relay only because this
server has just started: what the relay said of itself is kept, and when nothing is, the server opens its
doors a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

from meshbox import log
from meshbox.config import Config
from meshbox.errors import MeshboxError
from meshbox.secrets import read_token
from meshbox.serve.core import Core
from meshbox.serve.derppush import Pusher
from meshbox.serve.introduction import Introduction, KeptIntroduction, introduction_of
from meshbox.serve.mapfetch import MapFetcher
from meshbox.serve.relaymap import relay_map
from meshbox.serve.relayroom import RelayIdentity, relay_identity
from meshbox.wire.derpmap import DerpMap
from meshbox.wire.gojson import Json

FIRST_WORD = 2.0
"""Seconds to wait for what our own relay says of itself, when no earlier run has heard it. A relay on this
machine answers within milliseconds, unless it is not there."""


class Relays:
    """`identity` is that of the relay inside this server, None when there is none. The constructor raises
    KeyFileError, CertificateError."""

    def __init__(self, config: Config) -> None:
        self.identity: RelayIdentity | None = relay_identity(config)
        self._config = config
        self._said = Introduction(self.identity.pin) if self.identity is not None else None
        self._fetcher = MapFetcher(config.derp.urls, config.state_dir, self._renew)
        self._pusher: Pusher | None = None
        self._spoken = asyncio.Event()
        self._set_map: Callable[[DerpMap], None] = lambda derp_map: None
        self._kept = KeptIntroduction(config.state_dir)
        if config.derp.server.separate and config.derp.push:
            self._said = self._kept.recall(config.derp.push[0])
        token_path = config.derp.push_token_path
        self._token = read_token(token_path).reveal() if token_path is not None else ""

    def map_for(self, config: Config) -> DerpMap:
        """The map under this configuration. Raises ConfigError."""
        return relay_map(config, self._said, self._fetcher.maps)

    def adopt(self, config: Config) -> None:
        """A reload is in force."""
        self._config = config

    def start(self, core: Core) -> None:
        """Fetch, tell, and keep the tailnet's map up to date."""
        derp = self._config.derp
        self._set_map = core.tailnet.set_derp_map
        self._fetcher.start(derp.update_frequency if derp.auto_update_enabled else None)
        if derp.push:
            self._pusher = Pusher(core.tailnet, core.wall, os.urandom(8).hex(), self._told)
            self._pusher.start(derp.push, self._token)

    async def introduced(self) -> None:
        """Wait a moment for what our separate relay says of itself, if no run before has heard it."""
        derp = self._config.derp
        if derp.server.separate and derp.push and self._said is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._spoken.wait(), FIRST_WORD)

    def close(self) -> None:
        self._fetcher.close()
        if self._pusher is not None:
            self._pusher.close()

    def _told(self, place: str, answer: Json) -> None:
        """The separate relay of this server is the first that is pushed to."""
        derp, said = self._config.derp, introduction_of(answer)
        if not derp.server.separate or place != derp.push[0] or said is None:
            return
        if said != self._said:
            self._said = said
            self._kept.keep(place, said)
            self._renew()
        self._spoken.set()

    def _renew(self) -> None:
        try:
            self._set_map(self.map_for(self._config))
        except MeshboxError as error:
            log.emit("derp_map_unusable", reason=str(error))
