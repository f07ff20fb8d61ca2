"""Who is meant in `explain SRC DST:PORT`: a node, an address, a user, or a word as policies write it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

from meshbox.errors import Invalid, NotFound
from meshbox.policy.questions import End
from meshbox.policy.services import PROTOCOLS, WITH_PORTS, BadService, parse_protocol
from meshbox.serve.api.lookup import find_node
from meshbox.tailnet.tailnet import Tailnet

WORDS = ("tag:", "group:", "autogroup:", "user:", "host:", "ipset:")
MAX_END = 300
"""Characters; the longest is a group of a directory."""


def find_end(t: Tailnet, text: str) -> End:
    """A node wins over a user of the same name; what is neither is left to the policy, which knows hosts.
    Raises Conflict for a name of several nodes."""
    text = text.strip()
    if not text or len(text) > MAX_END:
        raise Invalid("say who: a node, user, group, tag, host or address")
    if text == "*" or text.startswith(WORDS) or "@" in text:
        return text
    with suppress(ValueError):
        return ip_address(text.removeprefix("[").removesuffix("]"))
    with suppress(NotFound):
        return find_node(t, text).id
    return f"{text}@" if text in t.by_user_name else text


def split_target(text: str, protocol: int) -> tuple[str, int]:
    """`db:5432`, `tag:db:5432`, `[fd7a::1]:22`; without a port if the protocol has none. Raises Invalid."""
    host, colon, port = text.strip().rpartition(":")
    if colon and host and port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535:
        return host, int(port)
    if protocol not in WITH_PORTS:
        return text, 0
    raise Invalid(
        f"{text[:MAX_END]!r} needs one port, as in db:5432 or tag:web:443 or [fd7a:115c:a1e0::1]:22"
    )


def read_protocol(text: str) -> int:
    try:
        found = parse_protocol(text)
    except BadService as error:
        raise Invalid(f"proto: {error}") from None
    return PROTOCOLS["tcp"] if found is None else found
