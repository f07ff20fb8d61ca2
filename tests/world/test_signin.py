"""Signing in, with an OpenID Connect provider that is not ours and official clients."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.world.clients import NEWEST, ROOT, Client
from tests.world.lab import CONTROL_NAME, Lab
from tests.world.process import Daemon, eventually

PROVIDER = Path(os.environ.get("MESHBOX_OPENID_CACHE", ROOT / ".cache/openid")) / "3.52.0" / "provider"
SURFER, CHROMIUM = (Path(__file__).with_name(f"{name}.py") for name in ("surfer", "chromium"))
PORT = 9998
ISSUER = f"http://localhost:{PORT}/"
PASSWORD = "correct horse"


def person(number: int, name: str, email: str, is_verified: bool) -> dict[str, object]:
    return {"ID": f"id{number}", "Username": name, "Password": PASSWORD, "FirstName": name.title(),
            "LastName": "Example", "Email": email, "EmailVerified": is_verified}  # fmt: skip


PEOPLE = [person(1, "ana", "ana@example.com", True), person(2, "ben", "ana@example.com", False)]
"""Ben wrote Ana's address into his profile."""


class House:
    """The laboratory, its provider, and people at browsers on the server's host: `localhost` is there."""

    def __init__(self, directory: Path, *, tls: bool = False) -> None:
        secret = directory / "secret"
        secret.write_text("secret\n")
        self.people = directory / "people.json"
        self.people.write_text(json.dumps({one["ID"]: one for one in PEOPLE}))
        self.oidc: dict[str, Any] = {
            "issuer": ISSUER, "client_id": "web", "client_secret_path": str(secret)
        }  # fmt: skip
        self.lab = Lab.open(tls=tls, settings={"oidc": self.oidc, "node": {"expiry": "30d"}})
        self.provider = Daemon("provider", directory / "provider.log")

    @property
    def callback(self) -> str:
        return f"{self.lab.server.url}/oidc/callback"

    def open(self) -> None:
        """Start the provider."""
        here = {"PORT": str(PORT), "USERS_FILE": str(self.people), "REDIRECT_URI": self.callback}
        self.provider.start(self.lab.server.host.inside([str(PROVIDER)]), env={**os.environ, **here})
        described = f"{ISSUER}.well-known/openid-configuration"
        self.provider.ready(
            lambda: self.lab.server.host.run("curl", "-fsS", described, check=False).code == 0, 10, "answers"
        )

    def surf(self, url: str, name: str, *more: str) -> list[dict[str, Any]]:
        """What a person sees, page by page."""
        said = self.lab.server.host.run(sys.executable, str(SURFER), url, name, PASSWORD, *more)
        pages: list[dict[str, Any]] = json.loads(said.out)
        return pages

    def browse(self, *steps: list[str]) -> list[dict[str, str]]:
        """What Chromium shows after each step."""
        words = (sys.executable, str(CHROMIUM), json.dumps(steps), CONTROL_NAME, str(self.lab.network[2]))
        said = self.lab.server.host.run(*words, timeout=90)
        pages: list[dict[str, str]] = json.loads(said.out)
        return pages

    def device(self, name: str) -> tuple[Client, str]:
        """A client that waits for a person, and its link."""
        client = self.lab.client(name, NEWEST)
        client.up_in_background(None)
        return client, client.login_page()

    def close(self) -> None:
        self.provider.stop()
        self.lab.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("openid"))
    yield house
    house.close()


def test_without_its_provider_the_server_serves_and_an_administrator_lets_in(house: House) -> None:
    client, link = house.device("early")
    [page] = house.surf(link, "ana")
    assert page["status"] == 503 and "cannot be reached" in page["text"] and "administrator" in page["text"]
    [page] = house.surf(f"{link}?by=administrator", "ana")
    assert "meshbox auth approve" in page["text"]
    house.lab.server.admin("auth", "approve", link.rpartition("/")[2], "--user", "lab")
    client.wait_until("Running")
    house.open()
    _, link = house.device("second")
    eventually(lambda: house.surf(link, "ana", "--look")[-1]["status"] == 200, 10, "it is asked again")


def test_a_person_signs_in_and_the_device_is_theirs(house: House) -> None:
    client, link = house.device("laptop")
    pages = house.surf(link, "ana")
    assert [page["status"] for page in pages] == [200, 200, 200], pages
    assert "Signed in as ana@example.com" in pages[1]["text"] and "laptop" in pages[1]["text"]
    assert "Approved" in pages[2]["text"] and pages[2]["url"] == link
    client.wait_until("Running")
    node = house.lab.server.nodes()["laptop"]
    assert node["registerMethod"] == "REGISTER_METHOD_OIDC" and node["expiry"] is not None
    user = node["user"]
    assert (user["email"], user["displayName"]) == ("ana@example.com", "Ana Example")
    assert user["providerId"] == f"{ISSUER}id1"
    house.lab.clients["early"].ping("laptop")
    assert "signed in and decided about a register" in house.lab.server.daemon.text()


@pytest.mark.browser
def test_a_real_browser_goes_the_same_way(house: House) -> None:
    client, link = house.device("phone")
    pages = house.browse(
        ["open", link], ["type", "#username", "ana"], ["type", "#password", PASSWORD],
        ["press", "form button"], ["press", "form button"],
    )  # fmt: skip
    assert "Signed in as" in pages[1]["text"] and "ana@example.com" in pages[1]["text"]
    assert pages[2]["url"] == link and "Approved" in pages[2]["text"], pages[2]
    client.wait_until("Running")


def test_looking_lets_nothing_in(house: House) -> None:
    client, link = house.device("victim")
    pages = house.surf(link, "ana", "--look")
    assert "Let it in only if you started this" in pages[-1]["text"]
    assert client.status()["BackendState"] == "NeedsLogin" and "victim" not in house.lab.server.nodes()
    house.surf(link, "ana")
    client.wait_until("Running")
    assert house.lab.server.nodes()["victim"]["user"] == house.lab.server.nodes()["laptop"]["user"]


def test_the_same_device_again_is_the_same_node(house: House) -> None:
    client = house.lab.clients["laptop"]
    before, key = house.lab.server.nodes()["laptop"], client.status()["Self"]["PublicKey"]
    client.up_in_background(None, "--force-reauth")
    link = client.login_page()
    house.surf(link, "ana")
    eventually(lambda: client.status()["Self"]["PublicKey"] != key, 20, "it has a new key")
    client.wait_until("Running")
    after = house.lab.server.nodes()["laptop"]
    assert (after["id"], after["ipAddresses"]) == (before["id"], before["ipAddresses"])


def test_an_address_that_is_not_verified_is_nobodys(house: House) -> None:
    client, link = house.device("bens")
    house.surf(link, "ben")
    client.wait_until("Running")
    user = house.lab.server.nodes()["bens"]["user"]
    assert (user["email"], user["name"], user["providerId"]) == ("", "ben", f"{ISSUER}id2")


def test_who_is_not_among_the_allowed_is_turned_away(house: House) -> None:
    server = house.lab.server
    written = {**house.oidc, "allowed_domains": ["example.com"]}
    server.reconfigure(oidc=written, node={"expiry": "30d"})
    server.stop()
    server.start()
    client, link = house.device("stranger")
    pages = house.surf(link, "ben")
    assert pages[-1]["status"] == 403 and "not let into this network" in pages[-1]["text"]
    assert "does not say that the e-mail address was verified" in server.daemon.text()
    house.surf(link, "ana")
    client.wait_until("Running")
