"""`meshbox derp` from its start to its end: its process or processes, their signals, the service manager."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

from meshbox import log
from meshbox.config.relay import RelayConfig
from meshbox.errors import MeshboxError
from meshbox.secrets import load_or_create_key
from meshbox.serve.limits import raise_descriptor_limit
from meshbox.serve.listeners import BACKLOG, Inherited, listen_tcp
from meshbox.serve.notify import ServiceManager
from meshbox.serve.relayd import RelayDaemon, certificate_of
from meshbox.serve.workers import Crew, part
from meshbox.wire.keys import NodeKey
from meshbox.wire.noise import public_of


def run(config: RelayConfig) -> None:
    """Serve until SIGTERM or SIGINT. Raises MeshboxError."""
    log.setup(config.log.level, config.log.format)
    for problem in config.warnings:
        log.emit("config_warning", key=problem.path, reason=problem.text)
    raise_descriptor_limit()
    if is_for_a_lab(config):
        with tempfile.TemporaryDirectory(prefix="meshbox-derp-") as home:
            _run_all(at_home_in(config, Path(home)))
    else:
        _run_all(config)


def _run_all(config: RelayConfig) -> None:
    """Keys and listening sockets first: workers share them."""
    inherited = Inherited(os.environ)
    prepare(config, inherited)
    if config.workers == 1:
        asyncio.run(_serve(RelayDaemon(config, inherited), ServiceManager(os.environ)))
        return

    def work(crew: Crew) -> None:
        # The service manager is told by worker 0.
        asyncio.run(_serve(RelayDaemon(config, inherited, crew), ServiceManager({})))

    crew = part(config.workers, work)
    daemon = RelayDaemon(config, inherited, crew)
    try:
        asyncio.run(_serve(daemon, ServiceManager(os.environ)))
    finally:
        crew.signal(signal.SIGTERM)
        crew.wait()
    if daemon.has_lost_worker:
        raise MeshboxError("a worker of the relay ended by itself; the log says what stands before that")


def prepare(config: RelayConfig, inherited: Inherited) -> None:
    """What has to be there before workers part. Raises MeshboxError."""
    if config.workers > 1:
        private_key = load_or_create_key(config.private_key_path, os.urandom)
        certificate_of(config, NodeKey(public_of(private_key)))
        found = inherited.take_named("derp") or [listen_tcp(config.listen, "listen", inherited)]
        for listener in found:
            listener.listen(BACKLOG)
        inherited.put("derp", found)


def is_for_a_lab(config: RelayConfig) -> bool:
    """A relay for everybody that was given no place to keep anything: it keeps nothing."""
    places = (config.origins.get("state_dir"), config.origins.get("private_key_path"))
    return config.admission.mode == "all" and places == ("default", "default")


def at_home_in(config: RelayConfig, home: Path) -> RelayConfig:
    socket_path = home / "derp.sock" if config.origins.get("socket") == "default" else config.socket
    return replace(config, state_dir=home, private_key_path=home / "derp.key", socket=socket_path)


async def _serve(daemon: RelayDaemon, manager: ServiceManager) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stopped.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    try:
        await daemon.open()
        loop.add_signal_handler(signal.SIGHUP, daemon.reload, manager)
        feeder = asyncio.create_task(_feed_watchdog(daemon, manager))
        manager.ready(daemon.status())
        await daemon.stopped.wait()
        manager.stopping()
        feeder.cancel()
    finally:
        await daemon.close()


async def _feed_watchdog(daemon: RelayDaemon, manager: ServiceManager) -> None:
    """Also the status line of `systemctl status`, which a relay has no other place for."""
    while True:
        if manager.watchdog_interval is not None:
            manager.alive()
        manager.status(daemon.status())
        await asyncio.sleep(manager.watchdog_interval or 10.0)
