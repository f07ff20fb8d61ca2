"""`sshTests`: what the SSH rules of a policy must and must not allow, tried on the devices there are.

`accept` wants a login without further questions, `check` one that asks first, `deny` none. What devices
are like (postures) is what the test says and nothing else: a policy must not stop validating because
somebody's laptop was updated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshbox.policy.document import SshTest
from meshbox.policy.index import Index
from meshbox.policy.problem import Failure, PolicyError
from meshbox.policy.resolve import Resolver
from meshbox.policy.selectors import BadSelector, Kind, Names, Selector
from meshbox.policy.sight import View, bit, ids
from meshbox.policy.ssh import Outcome, Ssh

SOURCES: frozenset[Kind] = frozenset({"user", "group", "tag", "host", "prefix"})
DESTINATIONS: frozenset[Kind] = frozenset({"user", "tag", "host", "prefix"})
MAX_TRIALS = 200_000
"""Logins that all tests of a policy try together: 2,000 tests of everybody on everything would be 10^11."""
_WORDS: dict[Outcome | None, str] = {"accept": "Accept", "check": "Check", None: "Drop"}


class BadTest(ValueError):
    """What is wrong with one entry; the hosted service calls it a failed test."""


def run(resolver: Resolver, ssh: Ssh) -> tuple[Failure, ...]:
    """The tests that fail. Raises PolicyError where the hosted service has another word for it."""
    document = resolver.document
    groups = {*document.groups, *resolver.world.groups()}
    names = Names(groups, document.tag_owners.keys(), document.hosts, ())
    for test in document.ssh_tests:
        _check_destinations(test, names)
    failures = []
    trials = 0
    for test in document.ssh_tests:
        try:
            sources, destinations = _sides(test, names, resolver)
            trials += sources.bit_count() * destinations.bit_count() * _logins(test)
            if trials > MAX_TRIALS:
                raise BadTest(f"the tests try more than {MAX_TRIALS} logins together; name smaller groups")
            errors = tuple(
                _unmet(test, sources, destinations, _with_attributes(test, sources, resolver, ssh))
            )
        except BadTest as error:
            errors = (str(error),)
        if errors:
            failures.append(Failure(test.src, errors, test.spot))
    return tuple(failures)


def _check_destinations(test: SshTest, names: Names) -> None:
    for text in test.dst:
        target = text.strip()
        span = names.hosts.get(target.removeprefix("host:"))
        if target == "autogroup:internet" or "/" in target or (span and not span.is_single):
            raise PolicyError(f'SSH tests dst contains disallowed element "{target}"', test.spot)
        if target.startswith("tag:") and target.lower() not in names.tags:
            raise PolicyError(f'SSH tests dst contains unknown tag "{target}"', test.spot)


def _sides(test: SshTest, names: Names, resolver: Resolver) -> tuple[View, View]:
    if not (test.accept or test.check or test.deny):
        raise BadTest("a test needs accept, check or deny")
    if not all(login.strip() for login in (*test.accept, *test.check, *test.deny)):
        raise BadTest("a login name is empty")
    if not test.dst:
        raise BadTest("a test needs a dst")
    destinations = 0
    for text in test.dst:
        found = resolver.nodes(_selector(text, names, DESTINATIONS))
        if not found:
            raise BadTest(f'dst "{text}" is no device')
        destinations |= found
    sources = resolver.nodes(_selector(test.src, names, SOURCES))
    if not sources:
        raise BadTest(f'src "{test.src}" is no device')
    return sources, destinations


def _selector(text: str, names: Names, allowed: frozenset[Kind]) -> Selector:
    try:
        selector = names.parse(text.strip())
    except BadSelector as error:
        raise BadTest(str(error)) from None
    if selector.kind not in allowed or (selector.span and not selector.span.is_single):
        raise BadTest(f'"{text}" cannot be tested')
    return selector


def _with_attributes(test: SshTest, sources: View, resolver: Resolver, ssh: Ssh) -> Ssh:
    if not resolver.document.postures:
        return ssh
    given = tuple(test.posture_attributes.items())
    devices = [
        replace(device, attributes=given) if sources & bit(device.id) else device
        for device in resolver.index.devices.values()
    ]
    return Ssh(resolver.at(Index(devices)))


def _logins(test: SshTest) -> int:
    return len(test.accept) + len(test.check) + len(test.deny)


def _unmet(test: SshTest, sources: View, destinations: View, ssh: Ssh) -> Iterator[str]:
    wishes: tuple[tuple[Outcome | None, tuple[str, ...]], ...] = (
        ("accept", test.accept), ("check", test.check), (None, test.deny),
    )  # fmt: skip
    for wanted, logins in wishes:
        for login in logins:
            got = {ssh.outcome(src, dst, login.strip()) for src in ids(sources) for dst in ids(destinations)}
            for other in sorted(got - {wanted}, key=str):
                yield f'[ssh test error]: login "{login}": want: {_WORDS[wanted]}, got: {_WORDS[other]}'
