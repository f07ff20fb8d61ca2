"""A parsed text to a policy: `read`. The first thing wrong is reported, in the hosted service's words.

What cannot be honoured is refused with the reason: a section that is read and then ignored would leave
somebody believing in a rule that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar, cast, get_args

from meshbox.policy.cursor import Cursor
from meshbox.policy.document import Document, Json, OneCgnat, PolicyTest, Selectors, SshTest
from meshbox.policy.ipsets import resolve_all
from meshbox.policy.postures import parse as parse_posture
from meshbox.policy.problem import PolicyError
from meshbox.policy.readrules import read_acl, read_grant
from meshbox.policy.readssh import read_ssh
from meshbox.policy.readtail import read_approvers, read_node_attr, read_relays
from meshbox.policy.selectors import Names, fold_tag
from meshbox.policy.spans import Span, parse_span
from meshbox.policy.words import OWNERS, Known, Words
from meshbox.policy.world import Attribute
from meshbox.wire.hujson import Document as Source

MAX_RULES = 20_000
"""Entries of acls, grants, ssh and nodeAttrs together. A megabyte of the shortest rule has 23,000, and each
is compiled for every device that joins."""
MAX_TESTS = 2_000
"""Entries of tests and sshTests together: each is held against every rule."""

SECTIONS = (
    "groups", "hosts", "ipsets", "postures", "defaultSrcPosture", "attrConfig", "tagOwners", "acls", "grants",
    "ssh", "nodeAttrs", "autoApprovers", "tests", "sshTests", "derpMap", "disableIPv4", "OneCGNATRoute",
    "randomizeClientPort",
)  # fmt: skip
Item = TypeVar("Item")
_TAG = re.compile(r"tag:[A-Za-z][A-Za-z0-9.-]*", re.ASCII)


def read(source: Source, known: Known | None = None) -> Document:
    """The policy in `source`. `known` is what the tailnet knows and the text cannot: domains and the
    identity provider's groups. Raises PolicyError."""
    known = known or Known()
    at = Cursor(source, (), {} if source.value is None else source.value).fields(SECTIONS)
    _check_sizes(at)
    groups = _groups(at.get("groups"))
    hosts = _hosts(at.get("hosts"))
    postures = {name: one.placed_texts() for name, one in _named(at.get("postures"), "posture:")}
    for items in postures.values():
        parse_posture(items)
    ipsets = {name: one.placed_texts() for name, one in _named(at.get("ipsets"), "ipset:")}
    resolve_all(ipsets, hosts)
    tags = _tags(at.get("tagOwners"))
    words = Words(
        Names({*groups, *known.groups}, tags.keys(), hosts, ipsets.keys()), known, frozenset(postures)
    )
    return Document(
        groups=groups,
        hosts=hosts,
        ipsets=ipsets,
        postures=postures,
        tag_owners=_owners(tags, words),
        default_src_posture=_postures(at.get("defaultSrcPosture"), words),
        attr_config=_attr_config(at.get("attrConfig")),
        acls=_list(at, "acls", lambda item, index: read_acl(item, index, words)),
        grants=_list(at, "grants", lambda item, index: read_grant(item, index, words)),
        ssh=_list(at, "ssh", lambda item, index: read_ssh(item, index, words)),
        node_attrs=_list(at, "nodeAttrs", lambda item, index: read_node_attr(item, index, words)) or (),
        auto_approvers=read_approvers(at.get("autoApprovers"), words),
        tests=_list(at, "tests", lambda item, index: _test(item)) or (),
        ssh_tests=_list(at, "sshTests", lambda item, index: _ssh_test(item)) or (),
        relays=read_relays(at.get("derpMap")),
        disable_ipv4="disableIPv4" in at and at["disableIPv4"].boolean(),
        one_cgnat=_one_cgnat(at.get("OneCGNATRoute")),
        randomize_client_port="randomizeClientPort" in at and at["randomizeClientPort"].boolean(),
    )


def _list(
    at: Mapping[str, Cursor], name: str, read_one: Callable[[Cursor, int], Item]
) -> tuple[Item, ...] | None:
    section = at.get(name)
    if section is None:
        return None
    return tuple(read_one(item, index) for index, item in enumerate(section.items()))


def _check_sizes(at: Mapping[str, Cursor]) -> None:
    for names, limit in (
        (("acls", "grants", "ssh", "nodeAttrs"), MAX_RULES),
        (("tests", "sshTests"), MAX_TESTS),
    ):
        count = 0
        for name in names:
            count += len(at[name].items()) if name in at else 0
            if count > limit:
                at[name].refuse(f"{' and '.join(names)} have more than {limit} entries together")


def _named(section: Cursor | None, prefix: str) -> list[tuple[str, Cursor]]:
    """The members of a section whose keys all begin alike."""
    members = section.members() if section else []
    for name, member in members:
        if not name.startswith(prefix) or name == prefix:
            where = member.path[0]
            raise PolicyError(f'{where}["{name}"]: names must have the form {prefix}name', member.key_spot)
    return members


def _groups(section: Cursor | None) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    # The hosted service names the last group first when two contain each other.
    for name, members in sorted(_named(section, "group:"), key=lambda one: one[0], reverse=True):
        for item in members.items():
            who = item.text()
            if who.startswith("group:"):
                item.refuse(f'groups["{name}"]: "{who}": group members cannot be recursive')
            if "@" not in who or who.startswith(("tag:", "user:*@", "autogroup:")):
                item.refuse(
                    f'groups["{name}"]: "{who}": group members must be users, as name@ or an e-mail address'
                )
        found[name] = members.texts()
    return found


def _hosts(section: Cursor | None) -> dict[str, Span]:
    found = {}
    for name, member in section.members() if section else []:
        if "@" in name or ":" in name or not name or name == "*":
            raise PolicyError(f'hosts["{name}"]: names of hosts may not contain "@" or ":"', member.key_spot)
        span = parse_span(member.text())
        if span is None:
            member.refuse(f'hosts["{name}"]: "{member.text()}": invalid address')
        found[name] = span
    return found


def _tags(section: Cursor | None) -> dict[str, Cursor]:
    """The cursors of the owners of each tag; the names in small letters."""
    found = {}
    for name, member in section.members() if section else []:
        if not name.startswith("tag:"):
            raise PolicyError(f'tagOwners["{name}"]: tags must start with "tag:"', member.key_spot)
        if not name[4:5].isascii() or not name[4:5].isalpha():
            message = f"tagOwners[\"{name}\"]: tag names must start with a letter, after 'tag:'"
            raise PolicyError(message, member.key_spot)
        if not _TAG.fullmatch(name):
            message = f'tagOwners["{name}"]: tag names can only contain letters, numbers, dashes and dots'
            raise PolicyError(message, member.key_spot)
        if fold_tag(name) in found:
            raise PolicyError(f'tagOwners["{name}"]: this tag is given twice', member.key_spot)
        found[fold_tag(name)] = member
    return found


def _owners(tags: Mapping[str, Cursor], words: Words) -> dict[str, Selectors]:
    return {
        tag: tuple(words.selector(item, OWNERS, f'tagOwners["{tag}"]: ') for item in section.items())
        if section.value is not None
        else ()
        for tag, section in tags.items()
    }


def _postures(section: Cursor | None, words: Words) -> tuple[str, ...]:
    return () if section is None else words.postures(section)


def _attr_config(section: Cursor | None) -> dict[str, Json]:
    members = section.members() if section else []
    for name, member in members:
        member.refuse(f'attrConfig["{name}"]: this server keeps no attributes that devices set themselves')
    return {}


def _one_cgnat(section: Cursor | None) -> OneCgnat:
    text = section.text() if section else ""
    if section is not None and text not in get_args(OneCgnat):
        section.refuse(f'OneCGNATRoute "{text}" is not valid; use "mac-always" or "mac-never"')
    return cast(OneCgnat, text)


def _test(at: Cursor) -> PolicyTest:
    fields = at.fields(("src", "user", "accept", "allow", "deny", "proto", "srcPostureAttrs"))
    src, proto = fields.get("src") or fields.get("user"), fields.get("proto")
    return PolicyTest(
        src=src.text() if src else "",
        accept=_texts(fields.get("accept")) + _texts(fields.get("allow")),
        deny=_texts(fields.get("deny")),
        proto=proto.text() if proto else "",
        posture_attributes=_attributes(fields.get("srcPostureAttrs")),
        spot=at.spot,
    )


def _ssh_test(at: Cursor) -> SshTest:
    fields = at.fields(("src", "dst", "accept", "check", "deny", "srcPostureAttrs"))
    src = fields.get("src")
    return SshTest(
        src=src.text() if src else "",
        dst=_texts(fields.get("dst")),
        accept=_texts(fields.get("accept")),
        check=_texts(fields.get("check")),
        deny=_texts(fields.get("deny")),
        posture_attributes=_attributes(fields.get("srcPostureAttrs")),
        spot=at.spot,
    )


def _texts(section: Cursor | None) -> tuple[str, ...]:
    return section.texts() if section else ()


def _attributes(section: Cursor | None) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    for name, member in section.members() if section else []:
        if not isinstance(member.value, (str, bool, int, float)):
            member.refuse_kind("a string, a number or a boolean")
        found[name] = member.value
    return found
