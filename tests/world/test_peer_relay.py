"""A node as the relay of two others that cannot reach each other directly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.net import Guests, Net
from tests.world.process import eventually
from tests.world.sites import put_policy

PORT = 41999
OPEN = [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]
RELAYED = {"src": ["lab@"], "dst": ["tag:relay"], "app": {"tailscale.com/cap/relay": []}}


@pytest.fixture
def file(net: Net, tmp_path: Path) -> Iterator[Path]:
    """Where the test writes its policies; in the end everything is allowed again."""
    file = tmp_path / "policy.json"
    yield file
    put_policy(net, file)


def test_a_node_relays_for_those_whom_the_policy_lets(net: Net, guests: Guests, file: Path) -> None:
    tags = {"tag:relay": ["autogroup:admin"]}
    put_policy(net, file, tagOwners=tags, grants=OPEN)
    relay = guests.join("relay", key=net.server.create_key("lab", "--tags", "tag:relay"))
    offered = relay.cli("set", f"--relay-server-port={PORT}", check=False)
    if net.version in ("1.68.0", "1.80.3"):
        assert "flag provided but not defined" in offered.text, "these clients cannot be relays"
        return
    assert offered.code == 0
    left, right = (
        guests.join(name, behind=net.lab.router(f"{name}-nat-{net.version}", "hard"))
        for name in ("left", "right")
    )

    def way() -> str:
        said = left.cli("ping", "--c=3", "--until-direct=false", "--timeout=2s", "right", check=False).text
        found: list[str] = re.findall(r"^pong from .* via (\S+?)\(", said, re.MULTILINE)
        return found[-1] if found else said

    right.sees("left", online=True)
    left.ping("right", via="derp")
    assert way() == "DERP", "both are behind routers that take a port for each destination"
    put_policy(net, file, tagOwners=tags, grants=[*OPEN, RELAYED])
    eventually(lambda: way() == "peer-relay", 60, "the two talk through the node")
    assert right.cli("debug", "peer-relay-servers").out.strip() not in ("", "null", "[]")
