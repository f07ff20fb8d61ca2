"""The kind of `dns.overrides`: other DNS settings for some users, tags or nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from meshbox.config import kinds
from meshbox.config.kinds import Kind, found, listed
from meshbox.config.network import DOMAIN, RESOLVER, SPLIT, Split

WANTED = "user:NAME, node:NAME or tag:NAME"
SETTINGS = {"nameservers", "override_local_dns", "split", "search_domains"}


@dataclass(frozen=True, slots=True)
class Override:
    """`for_` says whom it is for; None leaves a setting as the tailnet has it."""

    for_: tuple[str, ...]
    nameservers: tuple[str, ...] | None = None
    override_local_dns: bool | None = None
    split: Split | None = None
    search_domains: tuple[str, ...] | None = None


def _read(raw: object) -> Override:
    if not isinstance(raw, dict):
        raise ValueError(f"wants for and some of {', '.join(sorted(SETTINGS))}, found {found(raw)}")
    unknown = sorted(set(map(str, raw)) - SETTINGS - {"for"})
    if unknown:
        raise ValueError(f"knows no {unknown[0]!r}; there are for, {', '.join(sorted(SETTINGS))}")
    targets = listed(kinds.TEXT).read(raw.get("for", []))
    for target in targets:
        kind, colon, name = target.partition(":")
        if kind not in ("user", "node", "tag") or not colon or not name:
            raise ValueError(f"(for) wants {WANTED}, found {target!r}")
    if not targets:
        raise ValueError(f"says not whom it is for: give for a list of {WANTED}")
    if not SETTINGS & set(raw):
        raise ValueError(f"for {targets[0]} changes nothing; give some of {', '.join(sorted(SETTINGS))}")
    return Override(
        targets,
        _part(raw, "nameservers", listed(RESOLVER)),
        _part(raw, "override_local_dns", kinds.FLAG),
        _part(raw, "split", SPLIT),
        _part(raw, "search_domains", listed(DOMAIN)),
    )


def _part(raw: dict[Any, Any], name: str, kind: Kind[Any]) -> Any:
    if raw.get(name) is None:
        return None
    try:
        return kind.read(raw[name])
    except ValueError as error:
        raise ValueError(f"({name}) {error}") from None


def _write(override: Override) -> object:
    written: dict[str, object] = {"for": list(override.for_)}
    for name in ("nameservers", "search_domains"):
        value = getattr(override, name)
        if value is not None:
            written[name] = list(value)
    if override.override_local_dns is not None:
        written["override_local_dns"] = override.override_local_dns
    if override.split is not None:
        written["split"] = SPLIT.write(override.split)
    return written


OVERRIDE: Kind[Override] = Kind("DNS override", _read, _write, in_environment=False)
