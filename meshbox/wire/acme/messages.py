"""What an authority answers, as values. Fields are those of RFC 8555 section 7.1 and RFC 9773.

Nothing here trusts the other side: a field of the wrong type is Malformed, and no text of an authority
gets longer than `DETAIL_LIMIT` on its way into a log line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from meshbox.errors import Malformed

DETAIL_LIMIT = 400
"""Characters of an authority's explanation; Let's Encrypt's longest have about 300."""

PROBLEM_PREFIX = "urn:ietf:params:acme:error:"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, from a number or a date. A date is compared with the authority's own clock
        (its Date header): ours may be wrong."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdecimal():
            return float(text)
        try:
            until = parsedate_to_datetime(text)
            said = parsedate_to_datetime(self.headers.get("date", ""))
            return max(0.0, (until - said).total_seconds())
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind` is the last word of the type, such as rateLimited; "" when the answer says none."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Directory:
    """URLs; `renewal_info` is "" where the authority has none. `profiles` are kinds of certificate."""

    new_nonce: str
    new_account: str
    new_order: str
    renewal_info: str
    profiles: frozenset[str]
    needs_binding: bool


@dataclass(frozen=True, slots=True)
class Order:
    """`status`: pending, ready, processing, valid, invalid."""

    status: str
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Authorization:
    """May this account have certificates for `name`? The http-01 challenge proves it: `token` is to be
    served, `challenge` is the URL to say so; both "" when the authority offers no such challenge."""

    name: str
    status: str
    challenge: str
    token: str
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class Window:
    """When the authority wants a certificate renewed, unix seconds. One in the past means now: usually
    the certificate is about to be revoked."""

    start: float
    end: float


def read(reply: Reply) -> dict[str, Any]:
    """The JSON object of an answer. Raises Malformed."""
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise Malformed(f"answered {reply.status} without JSON") from None
    if not isinstance(value, dict):
        raise Malformed("answered something that is no JSON object")
    return value


def problem_of(value: object) -> Problem | None:
    """A problem document (RFC 7807) or None. What is wrong with one name of several is in its
    subproblems, so their texts are said too."""
    if not isinstance(value, dict):
        return None
    details = [_text(value, "detail", "")]
    inner = value.get("subproblems")
    for one in inner if isinstance(inner, list) else ():
        if isinstance(one, dict):
            identifier = one.get("identifier")
            name = identifier.get("value", "") if isinstance(identifier, dict) else ""
            details.append(f"{name}: {_text(one, 'detail', '')}")
    detail = "; ".join(part for part in details if part)
    return Problem(_text(value, "type", "").removeprefix(PROBLEM_PREFIX), detail[:DETAIL_LIMIT])


def read_directory(reply: Reply) -> Directory:
    value = read(reply)
    meta = value.get("meta") or {}
    profiles = meta.get("profiles") if isinstance(meta, dict) else None
    return Directory(
        _text(value, "newNonce"),
        _text(value, "newAccount"),
        _text(value, "newOrder"),
        _text(value, "renewalInfo", ""),
        frozenset(profiles) if isinstance(profiles, dict) else frozenset(),
        isinstance(meta, dict) and meta.get("externalAccountRequired") is True,
    )


def read_order(reply: Reply) -> Order:
    value = read(reply)
    urls = value.get("authorizations")
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise Malformed("sent an order without authorizations")
    return Order(
        _text(value, "status"),
        tuple(urls),
        _text(value, "finalize"),
        _text(value, "certificate", ""),
        problem_of(value.get("error")),
    )


def read_authorization(reply: Reply) -> Authorization:
    value = read(reply)
    identifier = value.get("identifier")
    name = _text(identifier, "value") if isinstance(identifier, dict) else ""
    offered = value.get("challenges")
    challenges = [one for one in offered if isinstance(one, dict)] if isinstance(offered, list) else []
    http = next((one for one in challenges if one.get("type") == "http-01"), {})
    failed = next((problem for one in challenges if (problem := problem_of(one.get("error")))), None)
    return Authorization(
        name, _text(value, "status"), _text(http, "url", ""), _text(http, "token", ""), failed
    )


def read_window(reply: Reply) -> Window:
    window = read(reply).get("suggestedWindow")
    if not isinstance(window, dict):
        raise Malformed("sent no suggestedWindow")
    start, end = (_moment(_text(window, name)) for name in ("start", "end"))
    if end <= start:
        raise Malformed("sent a window that ends before it starts")
    return Window(start, end)


def _moment(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(f"sent {text[:40]!r} for a date") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _text(value: Mapping[str, Any], name: str, default: str | None = None) -> str:
    found = value.get(name, default)
    if not isinstance(found, str):
        raise Malformed(f"sent no {name}" if name not in value else f"sent a {name} that is no text")
    return found
