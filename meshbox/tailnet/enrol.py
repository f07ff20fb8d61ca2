"""Registration: who a device becomes, from its request and what we know of it.

Source: control-protocol registration flows (tailcfg.RegisterRequest, capability version 142). The
only proof in a request is the tunnel's machine key; node key, old node key and host facts are claims.
Ordinary outcomes are values. Every accepted registration is durable before this returns.

The order of the rules matters and is the field's:
1. a node key that belongs to another machine is refused;
2. an expiry in the past is a log-out, whatever else the request carries;
3. a live node of this machine with this very node key is accepted as it is: containers send their
   spent auth key again at each start;
4. an auth key decides; 5. a follow-up asks how a pending registration ended; 6. a person must decide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from meshbox.errors import Conflict, Invalid
from meshbox.tailnet.authkeys import KeyRefused, check_auth_key, spend
from meshbox.tailnet.identity import Login, Owner, settle_node
from meshbox.tailnet.model import Audit, Node, Pending
from meshbox.tailnet.pending import decide, find_pending, open_pending, require_waiting
from meshbox.tailnet.ports import Delete, Put, Step
from meshbox.tailnet.report import note_registration
from meshbox.tailnet.tags import foreign_to_key, foreign_to_person
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.keys import MachineKey
from meshbox.wire.tailcfg import RegisterRequest


@dataclass(frozen=True, slots=True)
class Accepted:
    node: Node
    created: bool = False


@dataclass(frozen=True, slots=True)
class LoginNeeded:
    """A person must approve at the page of `pending`."""

    pending: Pending


@dataclass(frozen=True, slots=True)
class Waiting:
    """The follow-up of a registration nobody has decided yet: hold the answer."""

    pending: Pending


@dataclass(frozen=True, slots=True)
class KeyExpired:
    """The client must make a new node key."""


@dataclass(frozen=True, slots=True)
class Refused:
    """`reason` is shown to the user verbatim."""

    reason: str


@dataclass(frozen=True, slots=True)
class LoggedOut:
    pass


Outcome = Accepted | LoginNeeded | Waiting | KeyExpired | Refused | LoggedOut


def register(
    t: Tailnet, machine_key: MachineKey, request: RegisterRequest, source: str, now: float
) -> Outcome:
    """Decide one RegisterRequest. Raises Busy (pending limits), Exhausted (no address), StoreFull."""
    node = t.nodes.get(t.by_node_key.get(request.node_key, 0))
    if request.node_key.is_zero:
        return Refused("the request carries no node key")
    if node is not None and node.machine_key != machine_key:
        return Refused("this node key belongs to another machine")
    if request.expiry is not None and request.expiry <= now:
        return _log_out(t, node, now)
    if node is not None and not node.is_expired(now):
        return Accepted(_shorten(t, node, request, now))
    if request.auth_key:
        return _register_with_key(t, machine_key, request, request.auth_key, now)
    if request.followup:
        pending = find_pending(t, request.followup, machine_key, request.node_key)
        if pending is not None and pending.state == "waiting":
            return Waiting(pending)
        if pending is not None and pending.state == "rejected":
            return Refused("an administrator rejected this device")
    elif node is not None:
        return KeyExpired()
    return LoginNeeded(open_pending(t, machine_key, request, source, now))


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person let their own device in by signing in; its key is good `until` then, or as long as others."""

    until: float | None = None


def approve(
    t: Tailnet, pending_id: str, user_id: int, actor: str, now: float, by: SignedIn | None = None
) -> Node:
    """A person lets a pending device in, as a node of the user, or with the tags it asks for if the user
    may give them. Without `by` it is an administrator, and the device needs no further approval. Raises
    NotFound, Invalid."""
    pending = require_waiting(t, pending_id)
    wanted = pending.request.hostinfo.request_tags if pending.request.hostinfo else ()
    foreign = foreign_to_person(t, user_id, wanted)
    if foreign:
        raise Invalid(
            f"the device asks for {', '.join(foreign)}, which its user may not give: name the user in "
            "tagOwners of the policy, or run `tailscale up` there without --advertise-tags"
        )
    tags = tuple(sorted(set(wanted)))
    owner = (
        Owner(user_id, tags, method="approval", is_trusted=True)
        if by is None
        else Owner(user_id, tags, method="oidc", until=by.until)
    )
    login = Login(pending.machine_key, pending.request, owner)
    accepted = _join(t, login, actor, now)
    decide(t, pending, "approved")
    return accepted.node


def reject(t: Tailnet, pending_id: str, actor: str, now: float) -> None:
    pending = require_waiting(t, pending_id)
    hostname = pending.request.hostinfo.hostname if pending.request.hostinfo else ""
    t.commit(now, Audit(now, actor, "node.reject", hostname))
    decide(t, pending, "rejected")


def _register_with_key(
    t: Tailnet, machine_key: MachineKey, request: RegisterRequest, text: str, now: float
) -> Outcome:
    key = check_auth_key(t, text, now)
    if isinstance(key, KeyRefused):
        return Refused(key.reason)
    wanted = request.hostinfo.request_tags if request.hostinfo else ()
    foreign = foreign_to_key(t, key, wanted)
    if foreign:
        return Refused(f"requested tags {foreign} are invalid or not permitted")
    # A tagged key's own tags are what it gives, unless it may give others and those are asked for.
    tags = key.tags if set(wanted) <= set(key.tags) else tuple(sorted(set(wanted)))
    owner = Owner(key.user_id, tags, key.ephemeral, key.id, "key", key.preapproved)
    try:
        return _join(t, Login(machine_key, request, owner), f"key:{key.prefix}", now, *spend(key, now))
    except Conflict as clash:
        return Refused(str(clash))


def _join(t: Tailnet, login: Login, actor: str, now: float, *steps: Step) -> Accepted:
    """Commit the node of a login together with `steps`; all of it or none."""
    settled = settle_node(t, login, now)
    action = "node.join" if settled.created else "node.login"
    try:
        t.commit(now, *steps, Put(settled.node), Audit(now, actor, action, settled.node.name))
    except Exception:
        settled.undo(t)
        raise
    note_registration(t, settled.node, login.request, now)
    return Accepted(t.nodes[settled.node.id], settled.created)


def _log_out(t: Tailnet, node: Node | None, now: float) -> LoggedOut:
    if node is not None and not node.is_expired(now):
        audit = Audit(now, f"node:{node.name}", "node.logout", node.name)
        if node.ephemeral:
            t.commit(now, Delete("node", node.id), audit)
        else:
            t.commit(now, Put(replace(node, expires_at=now)), audit)
    return LoggedOut()


def _shorten(t: Tailnet, node: Node, request: RegisterRequest, now: float) -> Node:
    """A client may ask to expire sooner, never later."""
    if request.expiry is None or (node.expires_at is not None and node.expires_at <= request.expiry):
        return node
    node = replace(node, expires_at=request.expiry)
    t.commit(now, Put(node))
    return node
