"""The policy that serves, of all versions that are kept: the newest that can be read.

A version was checked when it was put in. It may be unreadable all the same: to a meshbox that is older or
stricter than the one that took it. Then the last good one before it serves, and if there is none, nothing
is open: a policy that cannot be read must not become one that allows everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshbox.policy.document import Document
from meshbox.policy.problem import PolicyError
from meshbox.policy.texts import NOBODY, read_kept
from meshbox.tailnet.model import PolicyVersion
from meshbox.tailnet.ports import Store

LOOKED_AT = 100
"""Versions that are tried, from the newest; each may take half a second to read."""


@dataclass(frozen=True, slots=True)
class InForce:
    """`version` None and no fault: no policy was ever put in, everything is allowed (`document` None). With a
    `fault` it says why the newest version is not the one that serves, in words for an administrator."""

    version: PolicyVersion | None = None
    document: Document | None = None
    fault: str = ""


def find(store: Store, newest: PolicyVersion | None) -> InForce:
    """What serves at the start of a server."""
    if newest is None:
        return InForce()
    fault = ""
    for version in _newest_first(store, newest):
        try:
            document = read_kept(version.text)
        except PolicyError as error:
            fault = fault or f"version {version.id} of the policy cannot be read ({error.placed})"
            continue
        return InForce(version, document, fault and f"{fault}; version {version.id} serves instead")
    return InForce(None, NOBODY, f"{fault}, nor can an older one: nothing is allowed")


def follow(before: InForce, version: PolicyVersion) -> InForce:
    """What serves once `version` was committed, by us or by another instance."""
    try:
        return InForce(version, read_kept(version.text))
    except PolicyError as error:
        serving = f"version {before.version.id}" if before.version else "what was before"
        fault = f"version {version.id} of the policy cannot be read ({error.placed}); {serving} serves on"
        return InForce(before.version, before.document, fault)


def _newest_first(store: Store, newest: PolicyVersion) -> Iterator[PolicyVersion]:
    yield newest
    for entry in store.policy_versions(LOOKED_AT)[1:]:
        version = store.policy_version(entry.id)
        if version is not None:
            yield version
