"""DNS settings as clients live them: resolved on the client's machine after each change, with no restart."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import nameserver
from tests.world.clients import Client
from tests.world.net import Guests, Net
from tests.world.process import Daemon, eventually
from tests.world.server import BASE_DOMAIN

MAGIC = {"magic_dns": True, "base_domain": BASE_DOMAIN, "override_local_dns": False}
EVERYTHING, CORP = "192.0.2.53", "192.0.2.54"
"""What the two name servers of this laboratory answer to whatever they are asked."""


@pytest.fixture
def servers(net: Net) -> Iterator[tuple[str, str]]:
    """The addresses of two name servers, on the control server's machine."""
    host, daemons, places = net.server.host, [], []
    for number, answer in ((53, EVERYTHING), (54, CORP)):
        place = f"10.99.0.{200 + number % 10}"
        host.run("ip", "address", "replace", f"{place}/24", "dev", "eth0")
        daemon = Daemon(f"name server {place}", net.lab.directory / f"dns-{number}.log")
        daemon.start(host.inside([sys.executable, nameserver.__file__, place, answer]))
        daemons.append(daemon)
        places.append(place)
    yield places[0], places[1]
    for daemon in daemons:
        daemon.stop()


@pytest.fixture
def settings(net: Net) -> Iterator[Net]:
    """The laboratory, whose DNS settings are put back."""
    yield net
    net.server.reconfigure()


def resolves(client: Client, name: str, address: str, within: float = 10) -> None:
    eventually(lambda: address in client.resolve(name), within, f"{client.name} finds {name} at {address}")


def lacks(client: Client, name: str) -> None:
    eventually(lambda: client.resolve(name) == [], 10, f"{client.name} finds no {name}")


def test_split_and_global_nameservers_and_search_domains(settings: Net, servers: tuple[str, str]) -> None:
    net, (everything, corp) = settings, servers
    split = {"nameservers": {"split": {"corp.example": [corp]}}}
    net.server.reconfigure(dns=MAGIC | split)
    resolves(net.ana, "db.corp.example", CORP)
    assert net.ana.resolve("www.example.net") == [], "nobody answers for the rest of the world yet"
    net.server.reconfigure(dns=MAGIC | split | {"search_domains": ["corp.example"]})
    resolves(net.ana, "wiki", CORP)
    nameservers = {"global": [everything], "split": {"corp.example": [corp]}}
    net.server.reconfigure(dns=MAGIC | {"override_local_dns": True, "nameservers": nameservers})
    resolves(net.ana, "www.example.net", EVERYTHING)
    resolves(net.ana, "db.corp.example", CORP)
    resolves(net.ana, f"ben.{BASE_DOMAIN}", net.ben.address)
    shown = net.server.ask("dns", "show")["config"]
    assert shown["Resolvers"] == [{"Addr": everything}]
    net.server.reconfigure(dns=MAGIC)
    lacks(net.ana, "www.example.net")
    resolves(net.ana, f"ben.{BASE_DOMAIN}", net.ben.address)


def test_records_from_the_watched_file_and_aliases_follow(settings: Net, guests: Guests) -> None:
    net, file = settings, settings.lab.directory / "records.json"
    file.write_text("[]")
    net.server.reconfigure(dns=MAGIC | {"extra_records_path": str(file)})
    write(file, {"name": "grafana.mesh.lab", "type": "A", "value": "100.64.0.99"},
          {"name": "six.mesh.lab", "type": "AAAA", "value": "fd7a:115c:a1e0::99"},
          {"name": "*.forge.mesh.lab", "type": "CNAME", "value": "forge"},
          {"name": "git.mesh.lab", "type": "CNAME", "value": "forge"})  # fmt: skip
    resolves(net.ana, "grafana.mesh.lab", "100.64.0.99", within=5)
    resolves(net.ana, "six.mesh.lab", "fd7a:115c:a1e0::99")
    assert net.ana.resolve("git.mesh.lab") == [], "there is no forge yet"
    forge = guests.join("forge")
    resolves(net.ana, "git.mesh.lab", forge.address)
    if net.version == "1.102.5":
        resolves(net.ana, "anything.below.forge.mesh.lab", forge.address)
        resolves(forge, "self.forge.mesh.lab", forge.address)
    answer = net.server.ask("dns", "query", "git.mesh.lab", "--as", "ana")
    assert answer["values"] == [forge.address] and answer["outcome"] == "answered"
    file.write_text("[{")
    eventually(lambda: "were not taken over" in net.server.daemon.text(), 5, "the mistake is said")
    assert net.ana.resolve("grafana.mesh.lab") == ["100.64.0.99"]
    write(file)
    lacks(net.ana, "grafana.mesh.lab")


def test_a_user_and_a_node_have_settings_of_their_own(settings: Net, servers: tuple[str, str]) -> None:
    net, (everything, corp) = settings, servers
    overrides = [
        {"for": ["node:ana"], "split": {"lab.example": [corp]}},
        {"for": ["user:other"], "nameservers": [everything]},
    ]
    net.server.reconfigure(dns=MAGIC | {"overrides": overrides})
    resolves(net.ana, "x.lab.example", CORP)
    assert net.ben.resolve("x.lab.example") == []
    net.server.admin("users", "create", "other")
    net.server.admin("nodes", "move", "ben", "--user", "other")
    resolves(net.ben, "www.example.net", EVERYTHING)
    assert net.ana.resolve("www.example.net") == []
    net.server.admin("nodes", "move", "ben", "--user", "lab")
    lacks(net.ben, "www.example.net")


def test_the_client_and_dns_query_agree(settings: Net, servers: tuple[str, str]) -> None:
    net, (_, corp) = settings, servers
    net.server.reconfigure(dns=MAGIC | {"nameservers": {"split": {"corp.example": [corp]}}})
    resolves(net.ana, "db.corp.example", CORP)
    for name in ("ben", "ben.mesh.lab", "ana.mesh.lab", "nobody.mesh.lab"):
        said = net.server.ask("dns", "query", name, "--as", "ana")
        assert said["values"] == net.ana.resolve(name), said
    asked = net.server.ask("dns", "query", "db.corp.example", "--as", "ana")
    assert asked["resolvers"] == [corp]
    reverse = net.server.ask("dns", "query", net.ben.address, "--as", "ana", "--type", "PTR")
    assert reverse["values"] == ["ben.mesh.lab"]
    assert net.ana.host.run("getent", "hosts", net.ben.address).out.split()[1].rstrip(".") == "ben.mesh.lab"


def write(file: Path, *records: dict[str, str]) -> None:
    """As a program should: whole or not at all."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(records))
    draft.replace(file)
