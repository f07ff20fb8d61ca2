"""SSH rules as the destination receives them (tailcfg.SSHPolicy), and what they decide.

People reach their own devices and tagged devices, tagged devices reach tagged ones; nobody reaches another
person's device. `autogroup:member` as a destination is therefore read like `autogroup:self`. A client takes
the first rule that fits, so all rules that ask for a check come before those that do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from meshbox.policy.document import SshRule
from meshbox.policy.filter import JsonRule
from meshbox.policy.index import Index
from meshbox.policy.postures import Posture
from meshbox.policy.postures import parse as parse_posture
from meshbox.policy.resolve import Resolver
from meshbox.policy.selectors import fold_tag
from meshbox.policy.sight import View, bit, ids
from meshbox.policy.sources import make_source

Outcome = Literal["accept", "check"]

CHECK_ORIGIN = "https://unused"
"""Clients ask through the Noise tunnel and ignore the host."""
CHECK_URL = CHECK_ORIGIN + "/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER"
"""Where a client asks what to do with a login."""
RECORDING_PATH = "/machine/ssh/recording"
"""Where a client tells of a session that no recorder took."""
CHECK_PERIOD = 12 * 3600.0
"""Seconds for which a check holds when the rule does not say."""
RECORDER_PORT = 80

_LOCALPART = "localpart:*@"
_NO_LOCALPART = frozenset({"", "root", "*"})
"""Parts of a login before the `@` that open nothing: `*` would stand for every name, and root is for rules
that say root."""
_FORWARDING = ("allowAgentForwarding", "allowLocalPortForwarding", "allowRemotePortForwarding")
_FAILED = "This session must be recorded, and no recorder can be reached."

_Share = tuple[View, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Rule:
    """`sources` may log in; `tagged` are the destinations with tags, `own` whether everybody's own devices
    are destinations too. `names` maps login names, `domains` are those whose people may use the part of
    their login before the `@`."""

    rule: SshRule
    sources: View
    tagged: View
    own: bool
    names: dict[str, str]
    domains: frozenset[str]
    action: JsonRule

    @property
    def lists_per_tag(self) -> bool:
        return any(selector.kind == "tagged" for selector in self.rule.src)


class Ssh:
    """The SSH rules of one policy over one tailnet."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.index: Index = resolver.index
        self._postures: dict[str, Posture] = {}
        self._by_person: dict[tuple[int, View], list[_Share]] = {}
        self._written: dict[tuple[int, View, tuple[str, ...]], JsonRule] = {}
        rules = resolver.document.ssh or ()
        self._rules = [self._compile(rule) for rule in sorted(rules, key=lambda one: one.action == "accept")]

    def policy(self, device_id: int) -> JsonRule:
        """SSHPolicy for one device. Never None: to a client that means "as before"."""
        return {"rules": self.rules(device_id)}

    def rules(self, device_id: int) -> list[JsonRule]:
        """In the order that counts. Shared between devices: not to be changed."""
        return [
            self._write(rule, sources, names)
            for rule in self._rules
            for sources, names in self._shares(rule, device_id)
        ]

    def decide(self, source: int, destination: int, login: str) -> SshRule | None:
        """The rule that decides when `source` logs in to `destination` as `login`; None: not allowed."""
        for rule in self._rules:
            for sources, names in self._shares(rule, destination):
                if sources & bit(source) and names.get(login, names.get("*", "")):
                    return rule.rule
        return None

    def outcome(self, source: int, destination: int, login: str) -> Outcome | None:
        rule = self.decide(source, destination, login)
        return rule.action if rule else None

    def affected_by(self, old: Ssh, device_id: int) -> View:
        """The devices whose rules may have changed since `old`, which differs by one device."""
        found = 0
        recorders = {tag for rule in self._rules for tag in rule.rule.recorder}
        for before, rule in zip(old._rules, self._rules, strict=True):
            if (before.sources | rule.sources) >> device_id & 1:
                found |= rule.tagged
            if rule.own or rule.domains:
                found |= old._siblings(device_id) | self._siblings(device_id)
        if recorders & (old._tags_of(device_id) | self._tags_of(device_id)):
            found |= self.index.everyone
        return found

    def _siblings(self, device_id: int) -> View:
        device = self.index.devices.get(device_id)
        if device is None or device.tags or device.user_id is None:
            return 0
        return self.index.by_user[device.user_id]

    def _tags_of(self, device_id: int) -> set[str]:
        device = self.index.devices.get(device_id)
        return set() if device is None else set(map(fold_tag, device.tags))

    def accepted(self, rule: SshRule) -> JsonRule:
        """The action of a rule once nothing more is to be checked."""
        recorders = [address for tag in rule.recorder for address in self._recorders(tag)]
        if rule.enforce_recorder and rule.recorder and not recorders:
            # A client without recorders does not record, and would open the session.
            return {"reject": True, "message": _FAILED}
        action: JsonRule = {"accept": True, **dict.fromkeys(_FORWARDING, True)}
        if recorders:
            failure = {"NotifyURL": CHECK_ORIGIN + RECORDING_PATH}
            if rule.enforce_recorder:
                failure["RejectSessionWithMessage"] = _FAILED
                failure["TerminateSessionWithMessage"] = "The recording of this session failed."
            action |= {"recorders": recorders, "onRecordingFailure": failure}
        return action

    def _compile(self, rule: SshRule) -> _Rule:
        domains = frozenset(
            user.removeprefix(_LOCALPART) for user in rule.users if _domain_of(user) is not None
        )
        names = {"root": "root" if "root" in rule.users else ""}
        for user in rule.users:
            if user == "autogroup:nonroot":
                names["*"] = "="
            elif _domain_of(user) is None:
                names[user] = user
        tagged = 0
        for selector in rule.dst:
            if selector.kind in ("tag", "tagged"):
                tagged |= self.resolver.nodes(selector)
        return _Rule(
            rule=rule,
            sources=make_source(self.resolver, rule.src, self._postures_of(rule)).covered,
            tagged=tagged,
            own=any(selector.kind in ("self", "user", "member") for selector in rule.dst),
            names=names,
            domains=domains,
            action={"holdAndDelegate": CHECK_URL} if rule.action == "check" else self.accepted(rule),
        )

    def _postures_of(self, rule: SshRule) -> tuple[Posture, ...]:
        document = self.resolver.document
        names = document.default_src_posture if rule.src_posture is None else rule.src_posture
        for name in names:
            if name not in self._postures:
                self._postures[name] = parse_posture(document.postures[name])
        return tuple(self._postures[name] for name in names)

    def _shares(self, rule: _Rule, device_id: int) -> list[_Share]:
        """What one device receives of a rule: sources, and the login names open to them."""
        sources = self._sources_for(rule, device_id)
        if not sources:
            return []
        if not rule.domains:
            return [(sources, rule.names)]
        key = rule.rule.index, sources
        shares = self._by_person.get(key)
        if shares is None:
            shares = self._by_person[key] = list(self._split(rule, sources))
        return shares

    def _split(self, rule: _Rule, sources: View) -> Iterator[_Share]:
        """As soon as login names depend on the person, the hosted service writes everybody's rules apart."""
        untagged = sources & ~self.index.tagged
        owners = {self.index.devices[one].user_id for one in ids(untagged)} - {None}
        for user_id in sorted(one for one in owners if one is not None):
            own = untagged & self.index.by_user[user_id]
            yield own, rule.names
            name = self._local_name(user_id, rule.domains)
            if name is not None:
                yield own, {name: name}
        if sources & self.index.tagged:
            yield sources & self.index.tagged, rule.names

    def _sources_for(self, rule: _Rule, device_id: int) -> View:
        device = self.index.devices[device_id]
        own = bit(device_id)
        if rule.tagged & own:
            return rule.sources
        mine = own if device.tags or device.user_id is None else self.index.by_user[device.user_id]
        if rule.own and not device.tags:
            return rule.sources & mine
        # The hosted service also sends a rule with local parts to its own sources: not the others', but
        # what concerns themselves.
        if rule.domains and rule.sources & own and (rule.tagged or rule.own):
            return rule.sources & mine
        return 0

    def _local_name(self, user_id: int, domains: frozenset[str]) -> str | None:
        person = self.resolver.world.people.get(user_id)
        if person is None or person.domain not in domains:
            return None
        name = person.login.rpartition("@")[0]
        return None if name in _NO_LOCALPART else name

    def _write(self, rule: _Rule, sources: View, names: dict[str, str]) -> JsonRule:
        """Once for all the destinations that get the same: thousands of principals for a thousand servers."""
        key = rule.rule.index, sources, tuple(names)
        written = self._written.get(key)
        if written is None:
            written = self._written[key] = self._write_afresh(rule, sources, names)
        return written

    def _write_afresh(self, rule: _Rule, sources: View, names: dict[str, str]) -> JsonRule:
        devices = [self.index.devices[one] for one in ids(sources)]
        # With autogroup:tagged the hosted service lists a device once for each of its tags.
        addresses = sorted(
            str(address)
            for device in devices
            for address in device.addresses * (len(device.tags) if rule.lists_per_tag and device.tags else 1)
        )
        written: JsonRule = {
            "principals": [{"nodeIP": address} for address in addresses],
            "sshUsers": names,
            "action": rule.action,
        }
        if rule.rule.accept_env:
            written["acceptEnv"] = list(rule.rule.accept_env)
        return written

    def _recorders(self, tag: str) -> Iterator[str]:
        for one in ids(self.index.by_tag.get(tag, 0)):
            for address in self.index.devices[one].addresses:
                host = str(address) if address.version == 4 else f"[{address}]"
                yield f"{host}:{RECORDER_PORT}"


def _domain_of(user: str) -> str | None:
    """The domain of `localpart:*@domain`; anything else is the name of an account."""
    domain = user.removeprefix(_LOCALPART)
    return domain if domain and domain != user else None
