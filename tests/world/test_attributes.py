"""What a policy gives single devices, as clients see and obey it: attributes, apps, addresses, postures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.world.clients import Client
from tests.world.net import Guests, Net
from tests.world.process import eventually
from tests.world.sites import put_policy
from tests.world.test_access import PORT, connects

SOON = 5.0


@pytest.fixture
def file(net: Net, tmp_path: Path) -> Iterator[Path]:
    """Where the test writes its policies; in the end everything is allowed again."""
    file = tmp_path / "policy.json"
    yield file
    put_policy(net, file)
    net.ana.sees("ben", online=True)


def capabilities(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.status()["Self"].get("CapMap") or {}
    return found


def test_attributes_and_apps_reach_the_client_they_are_for(net: Net, file: Path) -> None:
    app = {"example.com/cap/colour": [{"name": "blue"}]}
    entry = {"target": [net.ana.address], "attr": ["example:attribute", "nextdns:abc123"], "app": app}
    put_policy(net, file, nodeAttrs=[entry])
    eventually(lambda: "example:attribute" in capabilities(net.ana), SOON, "ana has the attribute")
    found = capabilities(net.ana)
    assert found["example.com/cap/colour"] == [{"name": "blue"}] and "nextdns:abc123" in found
    assert "example:attribute" not in capabilities(net.ben)
    put_policy(net, file)
    eventually(lambda: "example:attribute" not in capabilities(net.ana), SOON, "the attribute is gone")


def test_clients_obey_the_random_port_and_the_one_route(net: Net, guests: Guests, file: Path) -> None:
    guests.join("third")  # with a single peer a client keeps its address as the route

    def ports() -> str:
        return net.ana.host.run("ss", "-Hlun").out

    def routes() -> str:
        return net.ana.host.run("ip", "route", "show", "table", "52").out

    assert ":41641" in ports() and "100.64.0.0/10" not in routes()
    one_route = {"target": ["lab@"], "attr": ["one-cgnat?v=true"]}
    put_policy(net, file, randomizeClientPort=True, nodeAttrs=[one_route])
    eventually(lambda: ":41641" not in ports(), SOON, "the client listens at another port")
    eventually(lambda: "100.64.0.0/10" in routes(), SOON, "the client has one route for all")
    net.ana.ping("ben", via="direct")
    put_policy(net, file)
    eventually(lambda: ":41641" in ports() and "100.64.0.0/10" not in routes(), SOON, "all is as it was")


def test_new_devices_take_addresses_from_their_pool(net: Net, guests: Guests, file: Path) -> None:
    before = net.ana.address
    tags = {"tag:ci": ["autogroup:admin"]}
    pools = [
        {"target": ["tag:ci"], "ipPool": ["100.81.7.0/32"]},
        {"target": ["lab@"], "ipPool": ["100.82.0.0/16"]},
    ]
    put_policy(net, file, tagOwners=tags, nodeAttrs=pools)
    key = net.server.create_key("lab", "--reusable", "--tags", "tag:ci")
    runner = guests.join("runner", key=key)
    assert runner.address == "100.81.7.0" and guests.join("mine").address.startswith("100.82.0.")
    assert net.ana.address == before, "who has an address keeps it"
    net.ana.ping("runner")
    late = guests.start("late")
    refused = late.cli(*late.up_words(key), "--timeout=10s", check=False)
    assert (
        refused.code != 0
        and "no address is left in the ipPool 100.81.7.0/32" in refused.text + late.daemon.text()
    )


def test_a_posture_opens_and_closes_with_an_attribute(net: Net, file: Path) -> None:
    net.ben.offer("hello")
    postures = {"posture:gold": ["custom:tier == 'gold'", f"node:tsVersion == '{net.version}'"]}
    rule = {"src": ["lab@"], "dst": ["lab@"], "ip": [f"tcp:{PORT}"], "srcPosture": ["posture:gold"]}
    put_policy(net, file, postures=postures, grants=[rule])

    def open_for(client: Client, target: Client) -> bool:
        return connects(client, target.address, PORT)

    eventually(lambda: not open_for(net.ana, net.ben), SOON, "without the attribute it is closed")
    net.server.admin("nodes", "attributes", "ana", "--set", "custom:tier=gold")
    eventually(lambda: open_for(net.ana, net.ben), SOON, "the attribute opens")
    net.server.admin("nodes", "attributes", "ana", "--set", "custom:tier=silver")
    eventually(lambda: not open_for(net.ana, net.ben), SOON, "another value closes")
    net.server.admin("nodes", "attributes", "ana", "--unset", "custom:tier")
