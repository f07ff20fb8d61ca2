"""The sections of the configuration about what clients do by themselves; all keys are in `schema`."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.config import kinds, network
from meshbox.config.keys import key


@dataclass(frozen=True, slots=True)
class Taildrop:
    enabled: bool = key(kinds.FLAG, True, "Users may send files between their own nodes.")


@dataclass(frozen=True, slots=True)
class Logtail:
    enabled: bool = key(kinds.FLAG, False, "Let clients send their own logs to Tailscale's servers.")


@dataclass(frozen=True, slots=True)
class AutoUpdate:
    enabled: bool = key(
        kinds.FLAG,
        False,
        "Clients whose user never chose update themselves. A choice made on the device stays.",
    )
    latest_version: str = key(
        network.VERSION_OR_NONE,
        "",
        "The client version that devices should have: older ones tell their users that an update is there. "
        "Empty: nothing is said.",
        example="1.102.5",
    )


@dataclass(frozen=True, slots=True)
class C2n:
    enabled: bool = key(
        kinds.FLAG,
        False,
        "Administrators may ask clients about themselves (`meshbox nodes ask`): their settings, health, "
        "network map, serial numbers. Every question stands in the audit.",
    )


@dataclass(frozen=True, slots=True)
class Posture:
    client_attributes: bool = key(
        kinds.FLAG,
        False,
        "Devices may set their own custom: attributes. A policy that trusts such an attribute trusts the "
        "device.",
    )
