"""What may be asked about a policy text, and the answers: checks, trials, comparisons, explanations.

Questions and answers are values that travel between processes: at ten thousand devices an answer takes
seconds, which the server has not (serve/checker.py). A text that cannot be used is a PolicyError, which
travels as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from meshbox.errors import Invalid, NotFound
from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.contrast import Contrast, contrast
from meshbox.policy.document import EMPTY, Document
from meshbox.policy.probe import explain
from meshbox.policy.problem import Failure, Spot
from meshbox.policy.resolve import check_people
from meshbox.policy.rules import Origin
from meshbox.policy.selectors import BadSelector, Kind, Names
from meshbox.policy.sight import ids
from meshbox.policy.spans import Address, Span
from meshbox.policy.sshprobe import run as run_ssh_tests
from meshbox.policy.texts import read_kept, read_new
from meshbox.policy.trial import check_tests, run_tests
from meshbox.policy.world import World
from meshbox.policy.yamlform import read as parse
from meshbox.wire.hujson import Value

MAX_ASKED = 2_000_000
"""Rules asked for one explanation: pairs of devices, times rules."""
_ENDS: frozenset[Kind] = frozenset(
    {"any", "user", "domain", "group", "tag", "host", "prefix", "member", "tagged", "role"}
)

End = int | Address | str
"""A device by its id, an address, or a word as policies write it: `tag:web`, `ana@example.com`."""


@dataclass(frozen=True, slots=True)
class Check:
    """May this text become the policy? With `with_tests` its own tests are run: not at the start of a server,
    when devices have still to come back. The answer is None, or a PolicyError is raised."""

    text: str
    with_tests: bool = True


@dataclass(frozen=True, slots=True)
class Trial:
    """Which of the text's own tests hold? `is_kept` says that the text is in force. The answer is a tuple of
    Tried, in the order of the text."""

    text: str
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """One entry of `tests` or `sshTests`: `wishes` as it writes them, and those unmet; none: it holds."""

    src: str
    wishes: tuple[str, ...]
    spot: Spot
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """What would `new` take and give instead of `old`, which is in force? None is no policy. The answer is
    a Contrast."""

    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Explain:
    """May `src` reach `dst`? `text` None: there is no policy; `is_kept` as in Trial. The answer is an
    Explanation."""

    text: str | None
    src: End
    dst: End
    port: int
    protocol: int = 6
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """A rule that lets pairs through, `pairs` of those asked about. `rule` is its compact JSON; `spot` is
    None when it is the rule that stands nowhere: no policy, everything is allowed."""

    section: str
    index: int
    spot: Spot | None
    rule: str
    pairs: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of `pairs` pairs of devices (or addresses) `allowed` get through, by `causes`. A pair that does not, as
    an example: ids, or None for what is no device."""

    pairs: int
    allowed: int
    causes: tuple[Cause, ...]
    denied: tuple[int | None, int | None] | None = None


Question = Check | Trial | Compare | Explain
Answer = None | tuple[Tried, ...] | Contrast | Explanation


class TooMany(Invalid):
    """An explanation would go through more rules than its limit."""


def answer(question: Question, world: World) -> Answer:
    """Raises PolicyError for a text that cannot be used, NotFound and Invalid for ends."""
    match question:
        case Check():
            _check(question, world)
            return None
        case Trial():
            return _try(question, world)
        case Compare():
            old = EMPTY if question.old is None else read_kept(question.old)
            new = EMPTY if question.new is None else _read(question.new, world)
            return contrast(compile_policy(old, world), compile_policy(new, world))
        case Explain():
            return _explain(question, world)


def _read(text: str, world: World) -> Document:
    document = read_new(text, world)
    check_people(document, world)
    return document


def _check(question: Check, world: World) -> None:
    compiled = compile_policy(_read(question.text, world), world)
    if question.with_tests:
        check_tests(compiled)


def _try(question: Trial, world: World) -> tuple[Tried, ...]:
    document = read_kept(question.text) if question.is_kept else _read(question.text, world)
    compiled = compile_policy(document, world)
    failed = _by_spot((*run_tests(compiled), *run_ssh_tests(compiled.resolver, compiled.ssh)))
    network = (
        Tried(
            test.src,
            (*(f"accept {one}" for one in test.accept), *(f"deny {one}" for one in test.deny)),
            test.spot,
            failed.get(test.spot, ()),
        )
        for test in document.tests
    )
    ssh = (
        Tried(
            test.src,
            tuple(
                f"ssh {verb} {login} on {dst}"
                for verb, logins in (("accept", test.accept), ("check", test.check), ("deny", test.deny))
                for login in logins
                for dst in test.dst
            ),
            test.spot,
            failed.get(test.spot, ()),
        )
        for test in document.ssh_tests
    )
    return (*network, *ssh)


def _by_spot(failures: Sequence[Failure]) -> dict[Spot | None, tuple[str, ...]]:
    return {failure.spot: failure.errors for failure in failures}


def _explain(question: Explain, world: World) -> Explanation:
    text = question.text
    document = EMPTY if text is None else read_kept(text) if question.is_kept else _read(text, world)
    return explain_by(compile_policy(document, world), question, MAX_ASKED)


def explain_by(compiled: Compiled, question: Explain, limit: int) -> Explanation:
    """By a policy that is compiled already, which is that of `question.text`. Raises TooMany over `limit`."""
    text = question.text
    sources, targets = _ends(compiled, question.src), _ends(compiled, question.dst)
    pairs = [(src, dst) for src in sources for dst in targets if src != dst]
    if len(pairs) * max(len(compiled.table.rules), 1) > limit:
        raise TooMany(f"these are {len(pairs)} pairs of devices, more than can be gone through; name fewer")
    found: dict[Origin, int] = {}
    denied: tuple[int | None, int | None] | None = None
    for src, dst in pairs:
        origin = explain(compiled, src, dst, question.port, question.protocol).origin
        if origin is not None:
            found[origin] = found.get(origin, 0) + 1
        elif denied is None:
            denied = _id(src), _id(dst)
    value = None if text is None else parse(text).value
    causes = tuple(
        Cause(origin.section, origin.index, origin.spot if value else None, _written(value, origin), count)
        for origin, count in found.items()
    )
    return Explanation(len(pairs), sum(found.values()), causes, denied)


def _id(end: int | Address) -> int | None:
    return end if isinstance(end, int) else None


def _ends(compiled: Compiled, end: End) -> list[int | Address]:
    if not isinstance(end, str):
        return [end]
    document = compiled.document
    groups = {*document.groups, *compiled.resolver.world.groups()}
    try:
        selector = Names(groups, document.tag_owners.keys(), document.hosts, ()).parse(end)
    except BadSelector as error:
        raise NotFound(f"{end!r} is no node, no user, and no word of this policy ({error})") from None
    if selector.kind not in _ENDS:
        raise Invalid(f"{end!r} stands for too much; name a node, user, group, tag, host or address")
    if selector.span is not None:
        return [_address(end, selector.span)]
    found: list[int | Address] = list(ids(compiled.resolver.nodes(selector)))
    if not found:
        raise NotFound(f"{end!r} has no devices")
    return found


def _address(text: str, span: Span) -> Address:
    if not span.is_single:
        raise Invalid(f"{text!r} is a network; name one address of it")
    return next(iter(span.prefixes())).network_address


def _written(value: Value, origin: Origin) -> str:
    """The rule as compact JSON: comments and line breaks are in the text, at its line."""
    sections = {key.lower(): section for key, section in value.items()} if isinstance(value, dict) else {}
    section = sections.get(origin.section)
    if not isinstance(section, list):
        return ""
    return json.dumps(section[origin.index], ensure_ascii=False)
