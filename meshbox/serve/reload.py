"""SIGHUP: read the configuration again, check it whole, then swap what can be swapped.

A configuration with an error changes nothing and says so. Connections are never touched: settings are
read where they are used. What needs a restart is named, so that nobody waits for it to happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace

from meshbox import log
from meshbox.config import Config
from meshbox.errors import MeshboxError
from meshbox.serve.core import Core
from meshbox.serve.guard import Caps
from meshbox.serve.settings import tailnet_settings
from meshbox.tailnet.settings import Settings

NEEDS_RESTART = (
    "server_url",
    "listen_addr",
    "metrics_listen_addr",
    "unix_socket",
    "unix_socket_permission",
    "state_dir",
    "tls_cert_path",
    "tls_key_path",
    "acme",
    "http",
    "console",
    "dns.certificates",
    "noise",
    "prefixes",
    "derp.server",
    "derp.urls",
    "derp.auto_update_enabled",
    "derp.update_frequency",
    "derp.push",
    "derp.push_token_path",
    "database",
    "oidc",
)
"""Keys (and sections) that are only read at start."""

NO_KEYS = frozenset({"source", "warnings", "origins"})


@dataclass(slots=True)
class Reload:
    """`read` gives a new Config or raises; `swap_files` takes over what lives in files (certificates,
    DERP maps) and raises before it changed anything. `refusal` is why the last one was not taken over, ""
    when it was."""

    core: Core
    config: Config
    read: Callable[[], Config]
    swap_files: Callable[[Config], None]
    refusal: str = ""

    def worry(self) -> str:
        """systemd takes a reload for done, whatever came of it, and the next start is not as forgiving."""
        return f"refused by the last reload, and by the next start: {self.refusal}" if self.refusal else ""

    def run(self) -> bool:
        """True when the new configuration is in force."""
        try:
            new = self.read()
            settings = tailnet_settings(new, self.core.tailnet.settings.dns)
            self.swap_files(new)
        except MeshboxError as error:
            self.refusal = str(error)
            log.emit("reload_refused", reason=self.refusal)
            return False
        self.refusal = ""
        waiting = sorted(changed_keys(self.config, new))
        self._swap(new, settings)
        unmoved = [name for name in waiting if needs_restart(name)]
        self.config = new
        log.emit("reloaded", changed=", ".join(waiting) or "nothing", restart=", ".join(unmoved) or "nothing")
        return True

    def _swap(self, new: Config, settings: Settings) -> None:
        core = self.core
        log.setup(new.log.level, new.log.format)
        core.limits = new.limits
        core.guard.caps = guard_caps(new)
        core.guard.trusted = new.trusted_proxies
        # Addresses already given out came from the old prefixes.
        old = core.tailnet.settings
        settings = replace(
            settings,
            prefix_v4=old.prefix_v4,
            prefix_v6=old.prefix_v6,
            allocation=old.allocation,
        )
        core.tailnet.configure(settings)


def guard_caps(config: Config) -> Caps:
    limits, defaults = config.limits, Caps()
    return Caps(
        per_address=limits.connections_per_address,
        per_address_hard=max(limits.connections_per_address, defaults.per_address_hard),
        total=limits.connections_unauthenticated,
        head_deadline=limits.handshake_timeout,
    )


def needs_restart(name: str) -> bool:
    return any(name == key or name.startswith(key + ".") for key in NEEDS_RESTART)


def changed_keys(old: object, new: object, path: str = "") -> Iterator[str]:
    """The dotted names of the keys that differ."""
    if not is_dataclass(old) or isinstance(old, type):
        if old != new:
            yield path
        return
    for each in fields(old):
        if each.name in NO_KEYS:
            continue
        name = each.name.rstrip("_")
        inner = f"{path}.{name}" if path else name
        yield from changed_keys(getattr(old, each.name), getattr(new, each.name), inner)
