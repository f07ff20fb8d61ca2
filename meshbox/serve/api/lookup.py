"""What an administrator calls a thing, and which thing that is.

Digits are always an id and never a name: a script that deletes node 7 twice must not delete the
second time a node that is called "7". Anything else is a name, or what else identifies the kind. When
it fits several things nobody is chosen; when it fits none, close names are offered.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

from meshbox.errors import Conflict, NotFound
from meshbox.tailnet import apikeys, authkeys, devices, users
from meshbox.tailnet.model import ApiKey, AuthKey, Node, User
from meshbox.tailnet.tailnet import Tailnet

ID_DIGITS = 18
"""Longer numbers are no ids; converting a text of a million digits takes minutes."""

SUGGEST_AMONG = 500
LENGTH_APART = 2
"""Names compared for "did you mean", and how much longer or shorter they may be: about 15 ms."""

CANDIDATES_SHOWN = 10


def find_user(t: Tailnet, text: str) -> User:
    """By id, name or e-mail address."""
    if is_id(text):
        user = t.users.get(int(text))
        if user is None and text in t.by_user_name:
            raise NotFound(
                f"there is no user with id {text}; the user named {text!r} has id {t.by_user_name[text]}"
            )
        return user or users.require(t, int(text))
    if text in t.by_user_name:
        return t.users[t.by_user_name[text]]
    of_email = [user for user in t.users.values() if user.email and user.email.lower() == text.lower()]
    if len(of_email) > 1:
        raise Conflict(
            f"several users have the e-mail address {text!r}: {_listed(map(_call_user, of_email))}"
        )
    if of_email:
        return of_email[0]
    raise NotFound(f"there is no user {text!r}{did_you_mean(text, t.by_user_name)}")


def find_node(t: Tailnet, text: str) -> Node:
    """By id, name, full name, address, node key, or the host name the device gave itself."""
    if is_id(text):
        node = t.nodes.get(int(text))
        if node is None and text in t.by_name:
            raise NotFound(
                f"there is no node with id {text}; the node named {text!r} has id {t.by_name[text]}"
            )
        return node or devices.require(t, int(text))
    label = text.lower().removesuffix(".").removesuffix("." + t.settings.domain)
    if label in t.by_name:
        return t.nodes[t.by_name[label]]
    found = [node for node in t.nodes.values() if _answers_to(node, text)]
    if len(found) > 1:
        raise Conflict(f"{text!r} may be several nodes; say which: {_listed(map(_call_node, found))}")
    if found:
        return found[0]
    raise NotFound(f"there is no node {text!r}{did_you_mean(label, t.by_name)}")


def find_auth_key(t: Tailnet, text: str) -> AuthKey:
    """By id, prefix, masked or whole text."""
    prefix = key_prefix(text)
    if prefix in t.auth_key_by_prefix:
        return t.auth_keys[t.auth_key_by_prefix[prefix]]
    if is_id(text):
        return authkeys.require(t, int(text))
    raise NotFound(f"there is no pre-auth key with the prefix {prefix!r}")


def find_api_key(t: Tailnet, text: str) -> ApiKey:
    """By id, prefix, masked or whole text."""
    prefix = key_prefix(text)
    if prefix in t.api_key_by_prefix:
        return t.api_keys[t.api_key_by_prefix[prefix]]
    if is_id(text):
        return apikeys.require(t, int(text))
    raise NotFound(f"there is no API key with the prefix {prefix!r}")


def key_prefix(text: str) -> str:
    """The prefix in `mb-api-<prefix>-***`, `mb-api-<prefix>-<secret>`, `<prefix>.<secret>` or itself. Never
    more than that: it stands in messages, and the rest may be a secret."""
    parts = text.split("-")
    if len(parts) >= 3 and parts[1] in ("auth", "api"):
        return parts[2]
    return text.partition(".")[0][:16]


def is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= ID_DIGITS


def did_you_mean(text: str, names: Iterable[str]) -> str:
    similar = (name for name in names if abs(len(name) - len(text)) <= LENGTH_APART)
    close = difflib.get_close_matches(text, list(islice(similar, SUGGEST_AMONG)), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _answers_to(node: Node, text: str) -> bool:
    return (
        text.lower() == node.hostname.lower()
        or any(text == str(address) for address in node.addresses)
        or text in (str(node.node_key), node.stable_id)
    )


def _call_user(user: User) -> str:
    return f"{user.name} (id {user.id})"


def _call_node(node: Node) -> str:
    return f"{node.name} (id {node.id})"


def _listed(names: Iterable[str]) -> str:
    first = list(islice(names, CANDIDATES_SHOWN + 1))
    more = ", ..." if len(first) > CANDIDATES_SHOWN else ""
    return ", ".join(first[:CANDIDATES_SHOWN]) + more
