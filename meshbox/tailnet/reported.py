"""Attributes of a device, for device postures: the `node:` ones follow from what its client reported last,
the `custom:` ones are kept with the node (attributes.py)."""

from __future__ import annotations

from functools import lru_cache

from meshbox import fastjson
from meshbox.policy.world import Attribute
from meshbox.tailnet.model import Node, Report

VALUE_LENGTH = 256

REPORTS_REMEMBERED = 4096
"""Reports whose attributes are kept: one is asked for each time its node changes."""


def attributes_of(node: Node, report: Report) -> tuple[tuple[str, Attribute], ...]:
    """All of them, as (name, value)."""
    return (*reported(report.hostinfo), *node.attributes)


def offers_connector(report: Report) -> bool:
    """Does the client offer to be an app connector? Peers are sent our own compact JSON, in which no text can
    hold a bare quote."""
    return b'"AppConnector":true' in report.peer_hostinfo


@lru_cache(maxsize=REPORTS_REMEMBERED)
def reported(hostinfo: bytes) -> tuple[tuple[str, Attribute], ...]:
    """The `node:` attributes in a stored Hostinfo. What the client does not say is not set."""
    said = fastjson.loads(hostinfo)
    found: dict[str, Attribute] = {}
    for name, field in (("node:os", "OS"), ("node:osVersion", "OSVersion")):
        value = said.get(field)
        if type(value) is str and value:
            found[name] = value[:VALUE_LENGTH]
    if "node:os" in found:
        found["node:os"] = str(found["node:os"]).lower()
    version = said.get("IPNVersion")
    if type(version) is str and version:
        short = version.partition("-")[0][:VALUE_LENGTH]
        found["node:tsVersion"] = short
        found["node:tsReleaseTrack"] = _track(short)
    for name, field in (("node:tsAutoUpdate", "AllowsUpdate"), ("node:tsStateEncrypted", "StateEncrypted")):
        value = said.get(field)
        # Go leaves out what is false; a client that cannot know its state's encryption sends null.
        if type(value) is bool or (field == "AllowsUpdate" and "IPNVersion" in said):
            found[name] = value is True
    return tuple(sorted(found.items()))


def _track(version: str) -> str:
    """Odd minor numbers are development versions."""
    minor = version.split(".")[1:2]
    return "unstable" if minor and minor[0].isdigit() and int(minor[0]) % 2 else "stable"
