"""The console in Chromium, over TLS, with official clients that are let in, changed and thrown out by it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.clients import NEWEST, Client
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.network import Host
from tests.world.process import eventually
from tests.world.test_signin import PASSWORD, House

CHROMIUM = Path(__file__).with_name("chromium.py")

pytestmark = pytest.mark.browser

Step = list[str]


class Desk:
    """An administrator's machine, beside the tailnet, with a browser and an API key."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.host: Host = lab.host("desk")
        self.key = lab.server.admin("apikeys", "create").out.strip()

    def browse(self, *steps: Step) -> list[dict[str, str]]:
        """What the screens say, after signing in."""
        signed_in: list[Step] = [["open", self.at("")], ["type", "#key", self.key], ["press", "main button"]]
        said = self.host.run(sys.executable, str(CHROMIUM), json.dumps([*signed_in, *steps]), timeout=90)
        pages: list[dict[str, str]] = json.loads(said.out)
        assert pages[1]["url"] == self.at(""), pages[1]
        return pages[2:]

    def at(self, path: str) -> str:
        return f"{self.lab.server.url}/console{path}"


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    for lab in keep(Lab.open(tls=True)):
        yield Desk(lab)


@pytest.fixture(scope="module")
def laptop(desk: Desk) -> Client:
    """It asked to come in without a key, and was let in by the button."""
    client = desk.lab.client("laptop", NEWEST)
    client.up_in_background(None)
    client.login_page()
    before, after = desk.browse(["open", desk.at("/waiting")], ["press", "button[value='auth.approve']"])
    assert "laptop" in before["text"] and "linux" in before["text"]
    assert "The device is in" in after["text"] and "Nothing waits" in after["text"]
    client.wait_until("Running")
    return client


def test_a_key_from_the_console_lets_in(desk: Desk, laptop: Client) -> None:
    _, made = desk.browse(["open", desk.at("/add")], ["press", "main form button"])
    key = re.search(r"^mb-auth-\S+", made["text"], re.MULTILINE)
    assert key, made
    [again] = desk.browse(["open", desk.at("/add")])
    assert key[0] not in again["text"], "it is shown once"
    desk.lab.client("phone", NEWEST).up(key[0]).ping("laptop")


def test_a_machine_is_renamed_and_logged_out(desk: Desk, laptop: Client) -> None:
    number = desk.lab.server.node_id("phone")
    _, renamed = desk.browse(
        ["open", desk.at(f"/machines/{number}")], ["clear", "input[name='name']"],
        ["type", "input[name='name']", "pocket"], ["press", "form:has(input[value='node.rename']) button"],
    )  # fmt: skip
    assert renamed["text"].splitlines().count("pocket") >= 1
    laptop.sees("pocket")
    desk.browse(
        ["open", desk.at(f"/machines/{number}")], ["press", "form:has(input[value='node.expire']) button"]
    )
    desk.lab.clients["phone"].wait_until("NeedsLogin")


def test_the_policy_is_changed_and_holds_at_once(desk: Desk, laptop: Client) -> None:
    friend = desk.lab.client("friend", NEWEST).up(desk.lab.server.create_key("lab"))
    friend.offer("hello")
    assert laptop.fetch(f"http://{friend.address}:8000") == "hello"
    _, compared, saved = desk.browse(
        ["open", desk.at("/access")], ["type", "#policy", '{"acls": []}'],
        ["press", "button[value='policy.diff']"], ["press", "button[value='policy.put']"],
    )  # fmt: skip
    assert "Lose access" in compared["text"] and "The policy is in force" in saved["text"]
    eventually(lambda: "friend" not in laptop.peers(), 5, "laptop loses sight of friend")
    [asked] = desk.browse(["open", desk.at("/access")])
    assert "in force" in asked["text"]


def test_a_machine_is_deleted_after_its_name_was_typed(desk: Desk, laptop: Client) -> None:
    number = desk.lab.server.node_id("pocket")
    form = "form:has(input[value='node.delete'])"
    _, refused, _, gone = desk.browse(
        ["open", desk.at(f"/machines/{number}")], ["unfold", "summary"],
        ["type", f"{form} input[name='confirm']", "laptop"], ["press", f"{form} button"],
        ["open", desk.at(f"/machines/{number}")], ["unfold", "summary"],
        ["type", f"{form} input[name='confirm']", "pocket"], ["press", f"{form} button"],
    )  # fmt: skip
    assert "nothing was deleted" in refused["text"]
    assert gone["url"] == desk.at("/machines") and "pocket" not in desk.lab.server.nodes()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """With a sign-in provider, over TLS."""
    house = House(tmp_path_factory.mktemp("openid"), tls=True)
    for _ in keep(house.lab):
        house.open()
        yield house
        house.provider.stop()


def test_people_sign_in_and_see_what_their_role_lets_them(house: House) -> None:
    client, link = house.device("notebook")
    signing_in = [["type", "#username", "ana"], ["type", "#password", PASSWORD], ["press", "form button"]]
    house.browse(["open", link], *signing_in, ["press", "form button"])
    client.wait_until("Running")
    server = house.lab.server
    other = house.lab.client("printer", NEWEST).up(server.create_key("lab"))
    assert other.daemon.alive

    entering = [
        ["open", f"{server.url}/console"], ["press", "a.button"], *signing_in, ["press", "form button"],
    ]  # fmt: skip
    question, mine = house.browse(*entering)[2:4]
    assert "ana@example.com" in question["text"] and "your own machines" in question["text"]
    assert mine["url"] == f"{server.url}/console/mine"
    assert "notebook" in mine["text"] and "printer" not in mine["text"]

    owner = server.nodes()["notebook"]["user"]["name"]
    server.admin("users", "set-role", owner, "admin")
    question, overview = house.browse(*entering)[2:4]
    assert "change everything" in question["text"]
    assert overview["url"] == f"{server.url}/console" and "Needs attention" in overview["text"]
