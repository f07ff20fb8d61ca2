"""One API request, read and authorised, as the handlers see it.

A handler is a plain function from a Call to what it answers: no sockets, no awaiting, so nothing can
come between what it checks and what it changes. (Those about the policy wait for a check in another process;
the desk they ask looks again before it changes anything.) It reads fields by name; unknown ones are ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from meshbox.errors import Invalid
from meshbox.serve.api.moments import read_moment
from meshbox.serve.openid.desk import SignInDesk
from meshbox.serve.policydesk import PolicyDesk
from meshbox.store.audit import Entry, Search
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet

Json = dict[str, Any]

LIST_LIMIT = 512
"""Entries of a list in a request; the longest that makes sense is a node's tags or routes."""


class Ask(Protocol):
    """Ask a node's client (serve/questions.py)."""

    def __call__(self, node: Node, question: Callable[[str], Json], within: float) -> Awaitable[bytes]: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What the API needs of the server. `clock` is wall time; `store_answers` probes the database;
    `observe(method, route, status, seconds)` is told of every request, for the metrics; `troubles()` are
    the problems and doubts of the server's health; `facts()` is more for /status; `audit(search)` reads the
    audit, newest first, and may take a while: in a thread; `sign_in` is None without a provider."""

    tailnet: Tailnet
    mapper: Mapper
    ask: Ask
    desk: PolicyDesk
    server_url: str
    clock: Callable[[], float]
    started_at: float
    store_answers: Callable[[], bool]
    observe: Callable[[str, str, int, float], None]
    troubles: Callable[[], tuple[Mapping[str, str], Mapping[str, str]]] = lambda: ({}, {})
    facts: Callable[[], Mapping[str, Any]] = dict
    audit: Callable[[Search], Sequence[Entry]] = lambda wanted: ()
    sign_in: SignInDesk | None = None
    has_console: bool = True


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that may have ten thousand entries: written piece by piece, between other work."""

    name: str
    items: Sequence[Any]
    shape: Callable[[Any], Json]


@dataclass(frozen=True, slots=True)
class Marked:
    """An answer with its version: the ETag of the answer, which a change may send back as If-Match."""

    body: Json
    etag: str


Answer = Json | Listing | Marked
Function = Callable[["Call"], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Call:
    """`actor` says in the audit who did it; `path`, `query` and `body` are the request's fields; `if_match`
    is the header, "" without one."""

    context: Context
    actor: str
    now: float
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    if_match: str = ""

    @property
    def tailnet(self) -> Tailnet:
        return self.context.tailnet

    def text(self, *names: str) -> str:
        """The first of the fields that is given, in the body or the query; "" when none is. An id
        may come as a number."""
        for name in names:
            value = self.body.get(name)
            if value is None:
                value = self.query.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise Invalid(f"{name}: wants text, found {_found(value)}")
            return str(value)
        return ""

    def wants(self, *names: str) -> str:
        """The same, and one must be given."""
        value = self.text(*names)
        if not value:
            raise Invalid(f"{names[0]}: is missing")
        return value

    def flag(self, name: str) -> bool:
        value = self.body.get(name)
        if value is None:
            value = {"true": True, "1": True, "false": False, "0": False, "": False}.get(
                self.query.get(name, "").lower()
            )
        if not isinstance(value, bool):
            raise Invalid(f"{name}: wants true or false")
        return value

    def texts(self, *names: str) -> tuple[str, ...]:
        """The first of the fields that is given, a list of texts."""
        for name in names:
            value = self.body.get(name)
            if value is None:
                continue
            if not isinstance(value, list) or len(value) > LIST_LIMIT:
                raise Invalid(f"{name}: wants a list of at most {LIST_LIMIT} texts, found {_found(value)}")
            return _all_texts(name, value)
        return ()

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number from 0 to `most`."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) <= most):
            raise Invalid(f"{name}: wants a number from 0 to {most}, found {text[:30]!r}")
        return int(text)

    def moment(self, name: str) -> float | None:
        return read_moment(self.text(name), name)


def _all_texts(name: str, values: Iterable[Any]) -> tuple[str, ...]:
    texts = tuple(values)
    for value in texts:
        if not isinstance(value, str):
            raise Invalid(f"{name}: wants a list of texts, found {_found(value)} in it")
    return texts


def _found(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case _:
            return "text"
