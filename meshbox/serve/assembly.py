"""One control server from its parts: state, clocks, sessions, fan-out, tunnels. No sockets yet.

Everything is made here, once, and handed to what needs it; there is no global and no registry. The
order is the order of dependence.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meshbox import log
from meshbox.config import Config
from meshbox.serve.control import Control
from meshbox.serve.core import Core
from meshbox.serve.fanout import Fanout
from meshbox.serve.guard import Guard
from meshbox.serve.logins import Logins
from meshbox.serve.metrics import Metrics
from meshbox.serve.pulse import Pulse
from meshbox.serve.registration import Registration
from meshbox.serve.reload import guard_caps
from meshbox.serve.routercheck import RouterCheck
from meshbox.serve.sessions import Sessions
from meshbox.serve.settings import tailnet_settings
from meshbox.serve.turns import Turns
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.ports import Store
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.derpmap import DerpMap


@dataclass(frozen=True, slots=True)
class Plant:
    """The assembled control server."""

    core: Core
    control: Control
    sessions: Sessions
    registration: Registration
    fanout: Fanout
    pulse: Pulse
    router_check: RouterCheck


@dataclass(frozen=True, slots=True)
class Ground:
    """What the plant stands on: read or opened before."""

    store: Store
    noise_private: bytes
    derp_map: DerpMap
    wall: Callable[[], float] = time.time


def assemble(
    config: Config,
    ground: Ground,
    loop: asyncio.AbstractEventLoop,
    chores: Sequence[Callable[[], None]] = (),
) -> Plant:
    """`chores` run once a second. Raises StoreNewer or StoreBroken while loading."""
    tailnet = Tailnet(tailnet_settings(config), ground.store, os.urandom, ground.derp_map, ground.wall())
    metrics = Metrics()
    core = Core(
        tailnet=tailnet,
        mapper=Mapper(tailnet),
        metrics=metrics,
        guard=Guard(_refusals(metrics), guard_caps(config), config.trusted_proxies),
        turns=Turns(loop.call_soon),
        server_url=config.server_url,
        limits=config.limits,
        wall=ground.wall,
        steady=loop.time,
        soon=loop.call_soon,
        later=loop.call_later,
    )
    registration, logins = Registration(core), Logins(core)
    pulse: Pulse
    sessions = Sessions(core, lambda: pulse.arm())

    def settle() -> None:
        registration.settle()
        logins.settle()

    fanout = Fanout(core, sessions, settle)
    pulse = Pulse(core, [lambda: core.guard.sweep(core.steady()), sessions.beat, log.flush, *chores])
    control = Control(core, ground.noise_private, sessions, registration, logins)
    router_check = RouterCheck(core, control.questions, sessions, lambda: pulse.lag)
    pulse.add(router_check.beat)

    def changed() -> None:
        fanout.wake()
        pulse.arm()

    tailnet.on_change(changed)
    return Plant(core, control, sessions, registration, fanout, pulse, router_check)


def _refusals(metrics: Metrics) -> Callable[[str, str], None]:
    def refused(why: str, address: str) -> None:
        metrics.count("meshbox_refused_total", why)
        log.emit_limited("connection_refused", address, peer_ip=address, why=why)

    return refused
