"""Packet filters in wire form (tailcfg.FilterRule), compiled for the device that receives them.

Rules go to the destination, and to the routers that serve one; a rule of which nothing is left for the
receiver is not sent. Rules with the same sources and protocol are merged into the first of them; rules
that grant capabilities never are. Merging comes before anything is left out for a receiver, so a rule keeps
the place of one that the receiver is not sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from meshbox.policy.dests import Place, place_of
from meshbox.policy.document import Json
from meshbox.policy.index import Index
from meshbox.policy.rules import AnyRule, Ports, Rule, SelfRule, Table
from meshbox.policy.sight import View
from meshbox.policy.sources import addresses_of

JsonRule = dict[str, object]


def placed_rules(table: Table, device_id: int, received: Iterable[int]) -> list[tuple[int, JsonRule]]:
    """PacketFilter of one device, with the place of each rule in the policy, ascending. `received` are the
    plain rules that the device is a receiver of, by their number: of hundreds a device receives a few."""
    index = table.resolver.index
    place = place_of(index, device_id)
    own = own_devices(index, device_id)
    sent: list[_Sent] = []
    merged: dict[tuple[int, int | None], _Sent] = {}
    for number in sorted((*table.to_self, *(table.plain[one] for one in received))):
        at, rule = table.leaders[number], table.rules[number]
        if isinstance(rule, SelfRule):
            sources, receivers = rule.sides(own)
            if not receivers >> device_id & 1:
                continue
            texts = tuple(sorted(addresses_of(index, sources)))
        elif rule.is_silent:
            continue
        else:
            texts = rule.source.texts
        if rule.caps is not None:
            sent.append(_Sent(at, {"SrcIPs": texts, "CapGrant": _cap_grants(rule, place, rule.caps)}))
            continue
        if not texts:
            continue
        entries = _entries(rule, place)
        key = table.number(texts), rule.protocol
        known = merged.get(key)
        if known is not None:
            known.entries += entries
            known.at = min(known.at, at)
            continue
        json: JsonRule = {"SrcIPs": texts, "DstPorts": entries}
        if rule.protocol is not None:
            json["IPProto"] = [rule.protocol]
        merged[key] = _Sent(at, json, entries)
        sent.append(merged[key])
    return [(one.at, one.json) for one in sorted(sent, key=lambda one: one.at)]


@dataclass(slots=True)
class _Sent:
    """A rule and its place; others may yet be merged into its entries."""

    at: int
    json: JsonRule
    entries: list[object] = field(default_factory=list)


def _entries(rule: AnyRule, place: Place) -> list[object]:
    """DstPorts: for each address all of its ports."""
    if isinstance(rule, SelfRule):
        return _cross([own.text for own in place.addresses], rule.ports)
    entries: list[object] = []
    for dest, ports in zip(rule.dests, rule.ports, strict=True):
        texts = dest.texts(place) if rule.via is None else dest.routed_texts(place)
        entries += _cross(texts, ports)
    return entries


def _cross(texts: list[str], ports: Ports) -> list[object]:
    return [{"IP": text, "Ports": {"First": first, "Last": last}} for text in texts for first, last in ports]


def _cap_grants(rule: AnyRule, place: Place, caps: Mapping[str, Json]) -> list[object]:
    if isinstance(rule, Rule):
        lists = [dest.prefixes(place) for dest in rule.dests]
    else:
        lists = [[f"{own.text}/{32 if own.family == 4 else 128}" for own in place.addresses]]
    return [{"Dsts": prefixes, "CapMap": dict(caps)} for prefixes in lists if prefixes]


def own_devices(index: Index, device_id: int) -> View:
    """The untagged devices of the same person; nobody's for a tagged one."""
    device = index.devices[device_id]
    return 0 if device.user_id is None or device.tags else index.by_user.get(device.user_id, 0)
