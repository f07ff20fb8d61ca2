"""Settings about nodes that carry routes."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.config import kinds
from meshbox.config.keys import key, section


@dataclass(frozen=True, slots=True)
class Ha:
    probe_interval: float = key(
        kinds.DURATION,
        10.0,
        "How often routers that share a route with another one must show that they hear the server. One that "
        "does not loses its routes to the next. 0 switches this off, otherwise at least 2s.",
    )
    probe_timeout: float = key(
        kinds.DURATION, 5.0, "How long such a router has for its answer: at least 1s, less than the interval."
    )


@dataclass(frozen=True, slots=True)
class Routes:
    ha: Ha = section(Ha, "Routes that several nodes carry, one at a time.")
