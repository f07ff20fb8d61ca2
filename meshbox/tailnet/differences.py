"""Old value, new value: which facts became dirty. The only place that decides it."""

from __future__ import annotations

from meshbox.tailnet.changes import Fact
from meshbox.tailnet.model import Node, Report
from meshbox.tailnet.reported import offers_connector, reported


def node_facts(old: Node | None, new: Node, now: float) -> Fact:
    """The dirty facts after `new` took the place of `old` (None: the node is new).

    A key rotation is told as a patch, so that peers keep the node; everything else that peers
    see of a record needs the whole node again.
    """
    if old is None:
        return Fact.SIGHT | Fact.WHOLE
    facts = Fact(0)
    if old.node_key != new.node_key:
        facts |= Fact.KEY
    if old.expires_at != new.expires_at:
        facts |= Fact.KEY
    if old.is_expired(now) != new.is_expired(now):
        # `Expired` is no patch field, and an expired node sees nobody.
        facts |= Fact.WHOLE | Fact.SIGHT
    if _shown(old) != _shown(new):
        facts |= Fact.WHOLE
    if old.tags != new.tags or old.user_id != new.user_id:
        facts |= Fact.SIGHT
    if old.is_approved != new.is_approved:
        facts |= Fact.WHOLE | Fact.SIGHT
    if old.attributes != new.attributes:
        # Peers are told nothing of it, but a posture may open and close by it: somebody must look.
        facts |= Fact.STANDING
    return facts


def report_facts(old: Report, new: Report) -> Fact:
    facts = Fact(0)
    if old.endpoints != new.endpoints:
        facts |= Fact.ENDPOINTS
    if old.home_derp != new.home_derp:
        facts |= Fact.HOME_DERP
    if old.disco_key != new.disco_key:
        # A patch can change a disco key but peers ignore a node that never had one.
        facts |= Fact.DISCO if old.disco_key is not None else Fact.WHOLE
    if old.capver != new.capver:
        facts |= Fact.CAP
    if old.peer_hostinfo != new.peer_hostinfo or old.advertised_routes != new.advertised_routes:
        facts |= Fact.WHOLE
    if not facts and is_seen_by_policy(old, new):
        facts |= Fact.STANDING
    return facts


def is_seen_by_policy(old: Report, new: Report) -> bool:
    """Did the node say something that a policy looks at?"""
    if old.advertised_routes != new.advertised_routes or old.os != new.os:
        return True
    if old.hostinfo == new.hostinfo:
        return False
    return reported(old.hostinfo) != reported(new.hostinfo) or offers_connector(old) != offers_connector(new)


def _shown(node: Node) -> tuple[object, ...]:
    return (node.name, node.user_id, node.tags, node.ipv4, node.ipv6, node.approved_routes, node.machine_key)
