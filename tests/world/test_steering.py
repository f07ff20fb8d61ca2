"""Who goes which way: `via` grants, sites with the same network, overlapping networks, exits for some."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.world.clients import NEWEST, Client
from tests.world.net import Guests, Net
from tests.world.process import eventually
from tests.world.sites import OUTSIDE, OUTSIDE6, open_site, put_policy

TAGS = {"tag:east": ["autogroup:admin"], "tag:west": ["autogroup:admin"]}
APPROVED = {"routes": {"0.0.0.0/0": ["tag:east", "tag:west"], "::/0": ["tag:east", "tag:west"]},
            "exitNode": ["tag:east", "tag:west"]}  # fmt: skip
BOTH = [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]


@pytest.fixture
def steered(net: Net, tmp_path: Path) -> Iterator[Net]:
    """ana and ben take routes; whatever the test put in force, everything is allowed afterwards."""
    put_policy(net, tmp_path / "policy.json", tagOwners=TAGS, autoApprovers=APPROVED)
    for client in (net.ana, net.ben):
        client.cli("set", "--accept-routes")
    yield net
    put_policy(net, tmp_path / "policy.json")
    for client in (net.ana, net.ben):
        client.cli("set", "--accept-routes=false", "--exit-node=")
    net.ana.sees("ben", online=True)


def tagged(net: Net, tag: str) -> str:
    return net.server.create_key("lab", "--tags", tag)


def carries(viewer: Client, router: str, *networks: str, within: float = 5.0) -> None:
    eventually(
        lambda: (viewer.peers().get(router) or {}).get("PrimaryRoutes", []) == list(networks) or None,
        within,
        f"{viewer.name} is shown {networks} on {router}",
    )


def test_viewers_are_steered_to_the_router_their_grant_names(
    steered: Net, guests: Guests, tmp_path: Path
) -> None:
    net, site = steered, open_site(steered, guests, "plant")
    for tag in ("east", "west"):
        site.gateway(f"plant-{tag}", f"--advertise-routes={site.network}", key=tagged(net, f"tag:{tag}"))

    def steer(ana: str, ben: str) -> None:
        grants = [
            {"src": [who.address], "dst": [site.network], "ip": ["*"], "via": [f"tag:{tag}"]}
            for who, tag in ((net.ana, ana), (net.ben, ben))
        ]
        file = tmp_path / "policy.json"
        put_policy(net, file, tagOwners=TAGS, autoApprovers=APPROVED, grants=grants)
        for who, tag in ((net.ana, ana), (net.ben, ben)):
            other = {"east": "west", "west": "east"}[tag]
            carries(who, f"plant-{tag}", site.network)
            carries(who, f"plant-{other}")
            assert who.fetch(site.page, within=20) == f"plant {site.inner(f'plant-{tag}')}"

    steer("east", "west")
    steer("west", "east")


def test_two_sites_with_the_same_network_are_told_apart(steered: Net, guests: Guests) -> None:
    net, same = steered, IPv4Network("10.55.0.0/24")
    east, west = (open_site(net, guests, name, inside=same) for name in ("shop", "depot"))
    for number, site, tag in ((7, east, "east"), (8, west, "west")):
        said = net.ana.cli("debug", "via", str(number), site.network).out.strip()
        # A router of 1.68.0 takes the connection and never dials on; for its viewers a newer one carries.
        version = NEWEST if net.version == "1.68.0" else net.version
        words = (f"site-{tag}", f"--advertise-routes={said}")
        site.gateway(*words, key=tagged(net, f"tag:{tag}"), version=version)
        carries(net.ana, f"site-{tag}", said)
        address = net.ana.cli("debug", "via", str(number), f"{site.address}/32").out.strip().partition("/")[0]
        assert net.ana.fetch(f"http://[{address}]:8000/", within=20).startswith(site.web.name)
        name = f"{site.address.replace('.', '-')}-via-{number}"
        assert net.ana.fetch(f"http://{name}:8000/", within=20).startswith(site.web.name)


def test_the_narrower_network_wins_and_a_changed_one_is_followed(steered: Net, guests: Guests) -> None:
    net, site = steered, open_site(steered, guests, "yard")
    wide = str(site.lan.network.supernet(8))
    first = site.gateway("yard-wide", f"--advertise-routes={wide}", key=tagged(net, "tag:east"))
    carries(net.ana, "yard-wide", wide)
    assert net.ana.fetch(site.page, within=20) == f"yard {site.inner('yard-wide')}"
    site.gateway("yard-narrow", f"--advertise-routes={site.network}", key=tagged(net, "tag:west"))
    carries(net.ana, "yard-narrow", site.network)
    eventually(
        lambda: net.ana.fetch(site.page, within=20) == f"yard {site.inner('yard-narrow')}",
        20,
        "the narrower network wins",
    )
    first.cli("set", "--advertise-routes=10.66.0.0/16,2001:db8:66::/48")
    carries(net.ana, "yard-wide", "10.66.0.0/16", "2001:db8:66::/48")


def test_an_exit_is_for_those_who_may_use_the_internet_and_for_both_families(
    steered: Net, guests: Guests, tmp_path: Path
) -> None:
    net, site = steered, open_site(steered, guests, "exit")
    site.gateway("way-out", "--advertise-exit-node", key=tagged(net, "tag:east"))
    eventually(lambda: net.ben.sees("way-out")["ExitNodeOption"], 5, "all may use the exit")
    grants = [
        {"src": [*net.ana.addresses], "dst": ["autogroup:internet"], "ip": ["*"]},
        {"src": ["lab@"], "dst": ["tag:east", "lab@"], "ip": ["*"]},
    ]
    put_policy(net, tmp_path / "policy.json", tagOwners=TAGS, autoApprovers=APPROVED, grants=grants)
    eventually(lambda: not net.ben.sees("way-out")["ExitNodeOption"], 2, "ben may not use it")
    assert net.ana.sees("way-out")["ExitNodeOption"]
    assert "way-out" in net.ana.cli("exit-node", "list").out
    net.ana.cli("set", "--exit-node=way-out")
    assert net.ana.fetch(f"http://{OUTSIDE}:8000/", within=20).startswith("exit ")
    assert net.ana.fetch(f"http://[{OUTSIDE6}]:8000/", within=20).startswith("exit ")
    net.ana.cli("set", "--exit-node=")


def test_an_exit_is_suggested(steered: Net, guests: Guests) -> None:
    net, site = steered, open_site(steered, guests, "best")
    site.gateway("best-exit", "--advertise-exit-node", key=tagged(net, "tag:east"))
    eventually(lambda: net.ana.sees("best-exit")["ExitNodeOption"], 5, "ana may use the exit")
    eventually(
        lambda: "best-exit" in net.ana.cli("exit-node", "suggest", check=False).text,
        20,
        "the exit is suggested",
    )


def test_exits_are_steered_as_well(steered: Net, guests: Guests, tmp_path: Path) -> None:
    net, site = steered, open_site(steered, guests, "doors")
    for tag in ("east", "west"):
        site.gateway(f"door-{tag}", "--advertise-exit-node", key=tagged(net, f"tag:{tag}"))
        eventually(lambda tag=tag: net.ana.sees(f"door-{tag}")["ExitNodeOption"], 5, "an exit")  # type: ignore[misc]
    grants = [
        {"src": [*who.addresses], "dst": ["autogroup:internet"], "ip": ["*"], "via": [f"tag:{tag}"]}
        for who, tag in ((net.ana, "east"), (net.ben, "west"))
    ]
    put_policy(net, tmp_path / "policy.json", tagOwners=TAGS, autoApprovers=APPROVED, grants=grants)

    def exits(viewer: Client) -> list[str]:
        return sorted(name for name, peer in viewer.peers().items() if peer["ExitNodeOption"])

    for who, tag in ((net.ana, "east"), (net.ben, "west")):
        eventually(lambda who=who, tag=tag: exits(who) == [f"door-{tag}"], 5, f"{who.name} leaves by {tag}")  # type: ignore[misc]
        who.cli("set", f"--exit-node=door-{tag}")
        said = who.fetch(f"http://{OUTSIDE}:8000/", within=20)
        assert said == f"doors {site.inner(f'door-{tag}')}"
        who.cli("set", "--exit-node=")
