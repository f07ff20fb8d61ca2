"""Who may use the relays: told key by key when it changes.

A relay keeps what it was told for the time when we are away, so it must hear of every key that comes, goes
or gets another date, once.
"""

from __future__ import annotations

from collections.abc import Callable

from meshbox.tailnet.model import Node
from meshbox.wire.keys import NodeKey

Listener = Callable[[NodeKey, bool], None]


class Admission:
    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """`listener(node_key, admitted)` is called when a relay should let a key in or cut it."""
        self._listeners.append(listener)

    def say(self, node_key: NodeKey, admitted: bool) -> None:
        for listener in self._listeners:
            listener(node_key, admitted)

    def follow(self, old: Node | None, node: Node, now: float) -> None:
        """The node became another."""
        was_admitted = old is not None and old.is_let_in(now)
        is_admitted = node.is_let_in(now)
        if old is not None and was_admitted and (old.node_key != node.node_key or not is_admitted):
            self.say(old.node_key, False)
        # A date that moved is news as well: relays cut by it when they cannot ask us.
        is_news = old is None or (old.node_key, old.expires_at) != (node.node_key, node.expires_at)
        if is_admitted and (is_news or not was_admitted):
            self.say(node.node_key, True)
