"""Notices: what an administrator tells clients, shown among their health messages, with a link if need be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args
from urllib.parse import urlsplit

from meshbox.errors import Conflict, Invalid, NotFound
from meshbox.tailnet.model import Audit, Notice, Severity
from meshbox.tailnet.ports import Delete, Put
from meshbox.tailnet.tailnet import Tailnet

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
TARGET = re.compile(r"(user|node|tag):\S{1,128}")
TITLE_LIMIT = 80
TEXT_LIMIT = 1000
LINK_LIMIT = 512
LABEL_LIMIT = 40
LABEL = "Open"
COUNT_LIMIT = 32
"""Every notice is in every full map."""
TARGET_LIMIT = 64


@dataclass(frozen=True, slots=True)
class NoticeWish:
    name: str
    title: str
    text: str = ""
    severity: str = "medium"
    link: str = ""
    label: str = ""
    targets: tuple[str, ...] = ()


def put(t: Tailnet, wish: NoticeWish, actor: str, now: float) -> Notice:
    """Show the notice, in place of one of the same name. Raises Invalid, Conflict."""
    known = find(t, wish.name)
    if known is None and len(t.notices) >= COUNT_LIMIT:
        raise Conflict(f"there are {COUNT_LIMIT} notices already: delete one first")
    notice = Notice(
        id=known.id if known is not None else t.store.new_id("notice"),
        name=_checked_name(wish.name),
        created_at=now,
        title=_plain("title", wish.title, TITLE_LIMIT),
        text=_plain("text", wish.text, TEXT_LIMIT) if wish.text else "",
        severity=_severity(wish.severity),
        link=_checked_link(wish.link),
        label=_plain("label", wish.label or LABEL, LABEL_LIMIT) if wish.link else "",
        targets=_checked_targets(wish.targets),
    )
    t.commit(now, Put(notice), Audit(now, actor, "notice.put", notice.name, notice.title))
    return notice


def delete(t: Tailnet, name: str, actor: str, now: float) -> None:
    notice = find(t, name)
    if notice is None:
        raise NotFound(f"there is no notice {name[:40]!r}")
    t.commit(now, Delete("notice", notice.id), Audit(now, actor, "notice.delete", notice.name))


def find(t: Tailnet, name: str) -> Notice | None:
    return next((notice for notice in t.notices.values() if notice.name == name), None)


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Invalid(f"{name[:40]!r} cannot name a notice: at most 32 of a-z, 0-9 and -")
    return name


def _plain(what: str, text: str, limit: int) -> str:
    if not text.strip() or len(text) > limit or not text.isprintable():
        raise Invalid(f"{what}: wants 1 to {limit} printable characters in one line")
    return text


def _severity(text: str) -> Severity:
    for severity in get_args(Severity):
        if text == severity:
            found: Severity = severity
            return found
    raise Invalid(f"severity: wants low, medium or high, found {text[:40]!r}")


def _checked_link(link: str) -> str:
    if not link:
        return ""
    try:
        parts = urlsplit(link)
        is_sound = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_sound = False
    if not is_sound or len(link) > LINK_LIMIT or not link.isprintable() or " " in link:
        raise Invalid(f"link: wants a URL such as https://wiki.example.com/maintenance, found {link[:60]!r}")
    return link


def _checked_targets(targets: tuple[str, ...]) -> tuple[str, ...]:
    if len(targets) > TARGET_LIMIT:
        raise Invalid(f"targets: at most {TARGET_LIMIT}")
    for target in targets:
        if not TARGET.fullmatch(target):
            raise Invalid(f"for whom: wants user:NAME, node:NAME or tag:NAME, found {target[:60]!r}")
    return targets
