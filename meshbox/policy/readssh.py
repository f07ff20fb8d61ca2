"""Reading `ssh`: who may log in where, as whom, and what is asked of them first."""

from __future__ import annotations

from typing import Literal

from meshbox.policy.cursor import Cursor
from meshbox.policy.document import Selectors, SshRule
from meshbox.policy.durations import BadDuration, parse_duration, write_duration
from meshbox.policy.readrules import check_self_sources
from meshbox.policy.selectors import Kind, Selector
from meshbox.policy.words import Words, check_pairs

SOURCES: frozenset[Kind] = frozenset({"user", "domain", "group", "tag", "member", "tagged"})
DESTINATIONS: frozenset[Kind] = frozenset({"user", "tag", "tagged", "member", "self"})
MAX_CHECK_PERIOD = 168 * 3600.0
_LOCALPART = "localpart:*@"
_FIELDS = (
    "action", "src", "dst", "users", "checkPeriod", "acceptEnv", "srcPosture", "recorder", "enforceRecorder",
)  # fmt: skip


def read_ssh(at: Cursor, index: int, words: Words) -> SshRule:
    fields = at.fields(_FIELDS)
    action = _action(fields.get("action"), at)
    users = _users(fields.get("users"), at, words)
    src = tuple(_source(item, words) for item in fields["src"].items()) if "src" in fields else ()
    dst = tuple(_destination(item, words) for item in fields["dst"].items()) if "dst" in fields else ()
    _check_pairing(at, action, src, dst)
    check_pairs(at, src, dst, "sources and destinations")
    period, environment = fields.get("checkPeriod"), fields.get("acceptEnv")
    posture, recorder = fields.get("srcPosture"), fields.get("recorder")
    return SshRule(
        index=index,
        action=action,
        src=src,
        dst=dst,
        users=users,
        check_period=_period(period) if period else None,
        accept_env=_environment(environment) if environment else (),
        src_posture=words.postures(posture) if posture else None,
        recorder=_recorder(recorder, words) if recorder else (),
        enforce_recorder="enforceRecorder" in fields and fields["enforceRecorder"].boolean(),
        spot=at.spot,
    )


def _action(at: Cursor | None, rule: Cursor) -> Literal["accept", "check"]:
    text = at.text().strip() if at else ""
    if at is None or not text:
        (at or rule).refuse("action must be specified")
    if text not in ("accept", "check"):
        at.refuse(f'"{text}" is not a valid action')
    return "accept" if text == "accept" else "check"


def _users(at: Cursor | None, rule: Cursor, words: Words) -> tuple[str, ...]:
    items = at.items() if at else []
    if not items:
        (at or rule).refuse("users must be specified")
    users = []
    for item in items:
        user = item.text().strip()
        if user in ("", "*"):
            item.refuse(f'user "{user}" is not valid')
        domain = user.removeprefix(_LOCALPART)
        if domain and domain != user and not words.known.has_domain(domain):
            item.refuse(
                f"{domain} is not associated with this Tailnet and cannot be used in "
                "user:*@<domain> expressions"
            )
        users.append(user)
    return tuple(users)


def _source(at: Cursor, words: Words) -> Selector:
    selector = words.parse(at, at.text().strip(), "src=")
    if selector.kind not in SOURCES:
        at.refuse(f'invalid src "{selector.text}"')
    words.check_domain(at, selector, "[ssh] ")
    return selector


def _destination(at: Cursor, words: Words) -> Selector:
    text = at.text().strip()
    selector = words.parse(at, text, f'dst="{text}": ')
    if selector.kind not in DESTINATIONS:
        at.refuse(f'invalid dst "{text}"')
    return selector


def _check_pairing(at: Cursor, action: str, src: Selectors, dst: Selectors) -> None:
    """People to their own devices, people to tagged devices, tagged to tagged: nothing else."""
    tags = [one for one in src if one.kind in ("tag", "tagged")]
    if action == "check" and any(one.kind == "tag" for one in tags):
        at.refuse('[ssh] "check" action does not support tags in src')
    if any(one.kind == "self" for one in dst):
        check_self_sources(at, src, may_be_any=False)
    for one in dst:
        if one.kind in ("user", "member") and tags:
            at.refuse("tags in SSH source cannot access user-owned devices")
        if one.kind == "user" and any(who != one for who in src):
            at.refuse("user destination requires source to contain only that same user")


def _period(at: Cursor) -> float | None:
    text = at.text().strip()
    if text in ("", "always"):
        return 0.0 if text else None
    try:
        period = parse_duration(text)
    except BadDuration as error:
        at.refuse(str(error))
    if period < 0:
        at.refuse(f"checkPeriod {write_duration(period)} must be a positive duration")
    if period > MAX_CHECK_PERIOD:
        at.refuse(f"checkPeriod {write_duration(period)} is above the max (168h)")
    return period


def _environment(at: Cursor) -> tuple[str, ...]:
    for item in at.items():
        if not item.text().strip():
            item.refuse("acceptEnv values cannot be empty")
    return at.texts()


def _recorder(at: Cursor, words: Words) -> tuple[str, ...]:
    found = []
    for item in at.items():
        selector = words.parse(item, item.text().strip())
        if selector.kind != "tag":
            item.refuse(f'recorder "{selector.text}" is not a tag')
        found.append(selector.name)
    return tuple(found)
