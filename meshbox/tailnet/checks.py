"""Logins by Tailscale SSH that a `check` rule holds until a person has confirmed them.

The destination asks what to do with each login; what a person confirmed is remembered for the rule's
checkPeriod, for that source, destination and login name. All of it is soft: after a restart people are asked
again, and whoever waits is told to connect once more.

Source: tailcfg.SSHAction, capability version 142; ssh/tailssh of the client polls for 30 minutes and shows
`message` in the terminal of whoever logs in.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

from meshbox.errors import Busy, NotFound
from meshbox.policy.document import SshRule
from meshbox.policy.ssh import CHECK_PERIOD
from meshbox.tailnet.deadlines import Due
from meshbox.tailnet.model import Audit, Check, CheckState, Login, Node
from meshbox.tailnet.tailnet import Tailnet

ID_BYTES = 18
ID_PREFIX = "ssh"
"""So that an id never begins with a dash where it is typed as an argument."""

CHECK_LIFE = 600.0
"""Seconds a login waits for a person; after that it is refused, and the next try makes a new one."""

CHECKS_LIMIT = 256
CHECKS_PER_SOURCE = 8
"""Logins waiting at once. Any node may start logins as fast as it can connect."""


@dataclass(frozen=True, slots=True)
class LetIn:
    rule: SshRule


@dataclass(frozen=True, slots=True)
class Hold:
    """Ask again at the check's own address."""

    check: Check


@dataclass(frozen=True, slots=True)
class Turned:
    """Turned away; `reason` is shown in the terminal."""

    reason: str


Verdict = LetIn | Hold | Turned


def ask(t: Tailnet, source: int, destination: Node, login: str, now: float) -> Verdict:
    """A login reached its destination, which wants to know what to do. Raises Busy."""
    rule = _rule_for(t, source, destination.id, login)
    if rule is None:
        return Turned("the policy of this tailnet does not allow this login (any more)")
    if rule.action == "accept" or _is_fresh(t, rule, (source, destination.id, login), now):
        return LetIn(rule)
    return Hold(_open(t, (source, destination.id, login), now))


def follow(t: Tailnet, check_id: str, destination: int) -> Verdict:
    """How the check ended; Hold while it has not. The policy has the last word."""
    check = t.checks.get(check_id)
    if check is None or check.destination != destination:
        return Turned("nobody confirmed this login in time; connect again for a new link")
    if check.state == "waiting":
        return Hold(check)
    if check.state == "rejected":
        return Turned("this login was rejected")
    rule = _rule_for(t, check.source, check.destination, check.login)
    return Turned("the policy of this tailnet changed meanwhile") if rule is None else LetIn(rule)


def approve(t: Tailnet, check_id: str, actor: str, now: float) -> Check:
    """A person confirms the login. Raises NotFound."""
    check = _decide(t, check_id, "approved", actor, now)
    t.confirmed[check.subject] = now
    return check


def reject(t: Tailnet, check_id: str, actor: str, now: float) -> Check:
    return _decide(t, check_id, "rejected", actor, now)


def forget_check(t: Tailnet, check_id: str) -> None:
    """Its time is over; whoever waits for it is told."""
    t.checks.pop(check_id, None)
    t.announce()


def describe(t: Tailnet, check: Check) -> str:
    """As in `ana@laptop as root on server`."""
    source, destination = t.nodes.get(check.source), t.nodes.get(check.destination)
    where = "a deleted node" if destination is None else destination.name
    if source is None:
        return f"a deleted node as {check.login} on {where}"
    owner = t.users.get(source.user_id or 0)
    who = source.name if owner is None else f"{owner.name} at {source.name}"
    return f"{who} as {check.login} on {where}"


def _decide(t: Tailnet, check_id: str, state: CheckState, actor: str, now: float) -> Check:
    check = t.checks.get(check_id)
    if check is None:
        raise NotFound(
            f"no login {check_id!r} is waiting: it expired or never was; connect again for a new link"
        )
    if check.state != "waiting":
        raise NotFound(f"login {check_id!r} was already {check.state}")
    t.commit(now, Audit(now, actor, f"ssh.{state}", describe(t, check)))
    check = t.checks[check_id] = replace(check, state=state)
    t.announce()
    return check


def _rule_for(t: Tailnet, source: int, destination: int, login: str) -> SshRule | None:
    compiled = t.enforcement.compiled
    known = compiled.index.devices
    if source not in known or destination not in known:
        return None
    return compiled.ssh.decide(source, destination, login)


def _is_fresh(t: Tailnet, rule: SshRule, subject: Login, now: float) -> bool:
    period = CHECK_PERIOD if rule.check_period is None else rule.check_period
    at = t.confirmed.get(subject)
    return at is not None and 0 <= now - at < period


def _open(t: Tailnet, subject: Login, now: float) -> Check:
    """The waiting check of this login; asking twice makes one."""
    waiting = [check for check in t.checks.values() if check.state == "waiting"]
    for check in waiting:
        if check.subject == subject:
            return check
    if sum(check.source == subject[0] for check in waiting) >= CHECKS_PER_SOURCE:
        raise Busy("too many logins of this device wait for confirmation; try again later", 60)
    while len(t.checks) >= CHECKS_LIMIT:
        oldest = next(iter(t.checks))
        t.deadlines.cancel(Due.CHECK, oldest)
        forget_check(t, oldest)
    check_id = ID_PREFIX + base64.urlsafe_b64encode(t.entropy(ID_BYTES)).decode()
    check = t.checks[check_id] = Check(check_id, *subject, created_at=now)
    t.deadlines.set(Due.CHECK, check_id, now + CHECK_LIFE)
    return check
