"""What a world test is given: a laboratory with two joined clients, and a factory for more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.world.clients import Client, Wish
from tests.world.lab import Lab
from tests.world.network import Host, Router
from tests.world.server import Server

_OPEN: list[Lab] = []


def open_labs() -> tuple[Lab, ...]:
    """The laboratories that are up, for failure reports."""
    return tuple(_OPEN)


def keep(lab: Lab) -> Iterator[Lab]:
    """Register a laboratory for failure reports and close it in the end."""
    _OPEN.append(lab)
    try:
        yield lab
    finally:
        _OPEN.remove(lab)
        lab.close()


TAGS = ("tag:ci", "tag:connector", "tag:east", "tag:files", "tag:relay", "tag:server", "tag:web", "tag:west")
"""All that tests of this folder give to nodes."""


@dataclass(slots=True)
class Net:
    """A laboratory with two joined clients of one version."""

    lab: Lab
    version: str
    key: str
    ana: Client
    ben: Client

    @property
    def server(self) -> Server:
        """The server under test."""
        return self.lab.server

    def put_policy(self, **sections: object) -> None:
        """Put a policy in force; without sections one that allows everything. The tags of other tests stay
        defined: a tag that no policy knows can be given to nobody."""
        file = self.lab.directory / "policy.json"
        file.write_text(json.dumps({"tagOwners": {tag: [] for tag in TAGS}, **sections}))
        self.server.admin("policy", "set", str(file))


class Guests:
    """Clients of one test."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self._came: list[Client] = []

    def start(self, name: str, *, on: Host | None = None, behind: Router | None = None,
              version: str = "", wish: Wish | None = None) -> Client:  # fmt: skip
        """A running client that has not joined."""
        client = self.net.lab.client(name, version or self.net.version, on=on, behind=behind, wish=wish)
        self._came.append(client)
        return client

    def join(self, name: str, *words: str, key: str = "", behind: Router | None = None) -> Client:
        """A client that has joined."""
        return self.start(name, behind=behind).up(key or self.net.key, *words)

    def leave(self) -> None:
        """End the clients, delete their nodes."""
        for client in self._came:
            self.net.lab.dismiss(client)
        names = {client.name for client in self._came}
        for given, node in self.net.server.nodes().items():
            if given not in {"ana", "ben"} and (node["name"] in names or given in names):
                self.net.server.admin("nodes", "delete", str(node["id"]), "--yes")
