"""There and back, with a provider that lies and browsers that are not the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from meshbox.errors import ConfigError
from meshbox.serve.openid import desk, journeys, provider
from meshbox.tailnet import checks, signin, users
from meshbox.tailnet.users import UserWish
from tests.fake.node import FakeNode
from tests.fake.provider import CLIENT_ID, SECRET, FakeProvider, Signer
from tests.fake.server import FakeServer, serving, write_config


@dataclass
class Browser:
    """One browser: follows no redirect by itself, so that a test may stop anywhere."""

    base: str
    cookies: dict[str, str] = field(default_factory=dict)

    async def ask(self, path: str, **more: Any) -> tuple[int, str, str]:
        """(status, Location, text)."""
        method = "POST" if "data" in more else "GET"
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": kept, **more.pop("headers", {})}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(method, self.base + path, allow_redirects=False, headers=headers, **more) as answer,
        ):
            for name, cookie in answer.cookies.items():
                self.cookies[name] = cookie.value
            return answer.status, answer.headers.get("Location", ""), await answer.text()


@dataclass
class House:
    server: FakeServer
    provider: FakeProvider

    def browser(self) -> Browser:
        return Browser(f"http://127.0.0.1:{self.server.door[1]}")

    async def waiting(self, name: str = "laptop") -> tuple[FakeNode, str]:
        """A device that waits, and the path of its page."""
        node = self.server.node(name)
        answer = await node.register("")
        return node, "/register/" + answer.json["AuthURL"].rpartition("/")[2]

    async def there(self, browser: Browser, page: str) -> dict[str, str]:
        """As far as the provider; returns what it sends back with the browser."""
        status, start, _ = await browser.ask(page)
        assert status == 303, status
        return await self.there_from(browser, start)

    async def there_from(self, browser: Browser, start: str) -> dict[str, str]:
        status, away, text = await browser.ask(start)
        assert status == 303, text
        return self.provider.sign_in(away)

    async def back(self, browser: Browser, query: dict[str, str]) -> tuple[int, str]:
        status, _, text = await browser.ask("/oidc/callback", params=query)
        return status, text

    async def wish(self, browser: Browser, question: str, **headers: str) -> tuple[int, str]:
        token = question.partition('name="token" value="')[2].partition('"')[0]
        status, location, text = await browser.ask("/oidc/confirm", data={"token": token}, headers=headers)
        return status, location or text

    @property
    def names(self) -> list[str]:
        return [node.hostname for node in self.server.tailnet.nodes.values()]


def settings(directory: Path, issuer: str, url: str = "http://127.0.0.1:1", **more: object) -> Path:
    secret = directory / "secret"
    secret.write_text(SECRET + "\n")
    oidc = {"issuer": issuer, "client_id": CLIENT_ID, "client_secret_path": str(secret), **more}
    return write_config(directory, oidc=oidc, server_url=url)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    provider = FakeProvider(time.time)
    await provider.open()
    async with serving(settings(tmp_path, provider.issuer)) as server:
        # The look at the start shall not come between what a test breaks.
        await asyncio.gather(*server.app._tasks)
        yield House(server, provider)
    await provider.close()


async def test_there_and_back_and_in(house: House) -> None:
    house.provider.userinfo = {"sub": "id1", "name": "Ana", "groups": ["ops"]}
    _, page = await house.waiting()
    browser = house.browser()
    status, question = await house.back(browser, await house.there(browser, page))
    assert status == 200 and "ana@example.com" in question and "laptop" in question
    assert house.names == []
    assert await house.wish(browser, question) == (303, page)
    [node] = house.server.tailnet.nodes.values()
    [user] = house.server.tailnet.users.values()
    assert (node.user_id, node.register_method) == (user.id, "oidc")
    assert (user.email, user.display_name, user.groups) == ("ana@example.com", "Ana", ("group:ops",))


async def test_each_step_is_taken_once_and_by_one_browser(house: House) -> None:
    _, page = await house.waiting()
    browser, thief = house.browser(), house.browser()
    query = await house.there(browser, page)
    assert (await house.back(thief, query))[0] == 403, "a code brought by somebody else"
    status, question = await house.back(browser, query)
    assert status == 200, "whose try did not end it"
    assert (await house.back(browser, query))[0] == 403, "twice"
    assert (await house.wish(thief, question))[0] == 403, "a question answered by somebody else"
    status, _ = await house.wish(browser, question, Origin="https://evil.example.com")
    assert status == 403
    status, _ = await house.wish(browser, question, **{"Sec-Fetch-Site": "same-site"})
    assert status == 403 and house.names == []
    assert (await house.wish(browser, question, **{"Sec-Fetch-Site": "same-origin"}))[0] == 303
    assert (await house.wish(browser, question))[0] == 403
    assert house.names == ["laptop"]


async def test_a_state_that_was_never_given(house: House) -> None:
    _, page = await house.waiting()
    browser = house.browser()
    query = await house.there(browser, page)
    for state in ("", "x", query["state"][:-1]):
        assert (await house.back(browser, query | {"state": state}))[0] == 403
    status, _, _ = await browser.ask("/oidc/confirm", data={"token": query["state"]})
    assert status == 403, "a state is no answer to the question"


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ({"claims": {"sub": "id1", "aud": "another"}}, "meant for somebody else"),
        ({"claims": {"sub": "id1", "nonce": "another"}}, "another sign-in"),
        ({"claims": {"sub": "id1", "iss": "https://evil.example.com"}}, "not the provider"),
        ({"claims": {"sub": ""}}, "names nobody"),
        ({"signer": Signer("stranger")}, "does not show"),
        ({"signer": Signer("one")}, "not the provider"),
    ],
)
async def test_lies(house: House, lie: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(desk.log, "emit_limited", lambda event, why, **_: said.append(f"{event}: {why}"))
    _, page = await house.waiting()
    browser = house.browser()
    query = await house.there(browser, page)
    for name, value in lie.items():
        setattr(house.provider, name, value)
    status, text = await house.back(browser, query)
    assert status == 403 and "not let into this network" in text and why not in text
    assert [line for line in said if line.startswith("signin_refused") and why in line], said
    assert house.names == [] and not house.server.tailnet.users


async def test_an_answer_of_another_provider_is_not_taken_to_ours(house: House) -> None:
    _, page = await house.waiting()
    browser = house.browser()
    query = await house.there(browser, page)
    before = len(house.provider.asked)
    assert (await house.back(browser, query | {"iss": "https://evil.example.com"}))[0] == 403
    assert len(house.provider.asked) == before, "the code was shown to nobody"


async def test_the_provider_says_no(house: House) -> None:
    _, page = await house.waiting()
    browser = house.browser()
    query = await house.there(browser, page)
    refusal = {"state": query["state"], "error": "access_denied", "error_description": "<b>no</b>"}
    status, text = await house.back(browser, refusal)
    assert status == 403 and "<b>no" not in text


async def test_a_new_key_is_fetched_once(house: House) -> None:
    for number in range(2):
        _, page = await house.waiting(f"n{number}")
        browser = house.browser()
        question = await house.back(browser, await house.there(browser, page))
        assert question[0] == 200
    assert house.provider.asked.count("/keys") == 1
    house.provider.signer = house.provider.shown = Signer("two")
    counter = house.server.app._sign_in
    assert counter is not None
    counter._provider._keys_at = -100.0
    _, page = await house.waiting("n3")
    browser = house.browser()
    assert (await house.back(browser, await house.there(browser, page)))[0] == 200
    assert house.provider.asked.count("/keys") == 2


@pytest.mark.parametrize(
    "broken", [{"status": 500}, {"padding": 300 << 10}, {"describe": {"issuer": "https://x"}}]
)
async def test_a_provider_that_is_broken(house: House, broken: dict[str, Any]) -> None:
    for name, value in broken.items():
        setattr(house.provider, name, value)
    counter = house.server.app._sign_in
    assert counter is not None
    counter._provider._metadata = None
    _, page = await house.waiting()
    browser = house.browser()
    _, start, _ = await browser.ask(page)
    status, _, text = await browser.ask(start)
    assert status == 503 and f"{page}?by=administrator" in text
    assert house.server.app.health.doubts().get("sign-in", "").startswith("the sign-in provider")
    status, _, text = await browser.ask(f"{page}?by=administrator")
    assert status == 200 and "meshbox auth approve" in text


async def test_a_failure_is_a_worry_for_a_while(house: House) -> None:
    counter = house.server.app._sign_in
    assert counter is not None and counter.worry() == ""
    house.provider.status = 500
    counter._provider._metadata = None
    await counter.look()
    assert "answered 500" in counter.worry()
    counter._provider._failed_at = time.monotonic() - 2 * provider.REMEMBERED
    assert counter.worry() == ""


async def test_links_of_nothing(house: House) -> None:
    browser = house.browser()
    await house.there(browser, (await house.waiting())[1])
    before = list(house.provider.asked)
    for path in ("/oidc/start/register/reg-none", "/oidc/start/ssh/none", "/oidc/start/other/x"):
        status, _, _ = await browser.ask(path)
        assert status == 404
    assert house.provider.asked == before


async def test_a_device_that_somebody_else_let_in_meanwhile(house: House) -> None:
    _, page = await house.waiting()
    browser = house.browser()
    _, question = await house.back(browser, await house.there(browser, page))
    t = house.server.tailnet
    from meshbox.tailnet import enrol

    owner = users.create(t, UserWish("boss"), "test", time.time())
    enrol.approve(t, page.rpartition("/")[2], owner.id, "test", time.time())
    assert (await house.wish(browser, question))[0] == 404
    assert [node.user_id for node in t.nodes.values()] == [owner.id]


async def test_who_opens_a_link_again_and_again_ends_only_their_own(house: House) -> None:
    counter = house.server.app._sign_in
    assert counter is not None
    _, page = await house.waiting()
    _, other_page = await house.waiting("other")
    other = house.browser()
    kept = await house.there(other, other_page)
    for _ in range(10):
        await house.there(house.browser(), page)
    assert len(counter._journeys) == journeys.PER_TARGET + 1
    assert (await house.back(other, kept))[0] == 200


async def test_only_the_owner_of_the_device_confirms_its_login(house: House) -> None:
    t = house.server.tailnet
    nodes = []
    for name in ("laptop", "box"):
        node, page = await house.waiting(name)
        browser = house.browser()
        _, question = await house.back(browser, await house.there(browser, page))
        await house.wish(browser, question)
        nodes.append(node)
    source, destination = sorted(t.nodes)
    check = checks._open(t, (source, destination, "root"), time.time())
    house.provider.claims = {"sub": "id2", "preferred_username": "ben"}
    stranger = house.browser()
    _, question = await house.back(stranger, await house.there(stranger, check.path))
    status, text = await house.wish(stranger, question)
    assert status == 422 and "not yours" in text and t.checks[check.id].state == "waiting"
    house.provider.claims = {"sub": "id1"}
    ana = house.browser()
    _, question = await house.back(ana, await house.there(ana, check.path))
    assert "ana" in question and "root" in question
    assert (await house.wish(ana, question))[0] == 303
    assert t.checks[check.id].state == "approved"


async def test_an_administrator_may_still_decide_and_is_told_of_a_wrong_key(
    house: House,
) -> None:
    t = house.server.tailnet
    for name in ("laptop", "box"):
        await house.server.joined(name)
    source, destination = sorted(t.nodes)
    check = checks._open(t, (source, destination, "root"), time.time())
    page = f"{check.path}?by=administrator"
    status, location, text = await house.browser().ask(page, data={"key": "mb-api-wrong", "wish": "approve"})
    assert (status, location) == (401, "") and "API key is unknown" in text
    status, location, _ = await house.browser().ask(check.path)
    assert status == 303 and location == f"/oidc/start/ssh/{check.id}"


async def test_the_end_of_the_token_is_the_end_of_the_key(tmp_path: Path) -> None:
    provider = FakeProvider(time.time)
    await provider.open()
    async with serving(settings(tmp_path, provider.issuer, use_expiry_from_token=True)) as server:
        house, browser = House(server, provider), Browser(f"http://127.0.0.1:{server.door[1]}")
        _, page = await house.waiting()
        _, question = await house.back(browser, await house.there(browser, page))
        await house.wish(browser, question)
        [node] = server.tailnet.nodes.values()
        assert node.expires_at is not None and abs(node.expires_at - time.time() - 300) < 30
    await provider.close()


async def test_a_secret_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    path = settings(tmp_path, "https://id.example.com")
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(ConfigError, match="is empty"):
        async with serving(path):
            await asyncio.sleep(0)
    written = yaml.safe_load(path.read_text())
    written["oidc"]["client_secret_path"] = str(tmp_path / "none")
    path.write_text(yaml.safe_dump(written))
    with pytest.raises(ConfigError, match="cannot be read"):
        async with serving(path):
            await asyncio.sleep(0)


async def enter_console(house: House, browser: Browser, says: str) -> tuple[int, str]:
    """From the console's entrance to the provider, back, and the button; (status, Location or text)."""
    _, _, entrance = await browser.ask("/console/enter")
    start = entrance.partition('href="/oidc/start/')[2].partition('"')[0]
    status, question = await house.back(browser, await house.there_from(browser, "/oidc/start/" + start))
    assert status == 200 and says in question
    return await house.wish(browser, question)


async def press(browser: Browser, path: str, **fields: str) -> tuple[int, str]:
    """A form of the screen, sent as a browser would."""
    _, _, page = await browser.ask(path)
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    status, location, text = await browser.ask(path, data={"form_token": token, **fields})
    return status, location or text


async def test_who_runs_the_network_signs_in_to_the_console(house: House) -> None:
    t = house.server.tailnet
    _, page = await house.waiting()
    first = house.browser()
    await house.wish(first, (await house.back(first, await house.there(first, page)))[1])
    [user] = t.users.values()
    users.set_role(t, user.id, "admin", "test", 0.0)
    browser = house.browser()
    assert await enter_console(house, browser, "change everything in this network") == (303, "/console")
    status, _, overview = await browser.ask("/console")
    assert status == 200 and f"oidc:{user.name}" in overview and "My machines" in overview
    assert (await press(browser, "/console/users", act="user.create", name="dora"))[0] == 303
    assert "dora" in t.by_user_name
    assert (await first.ask("/console"))[1].startswith("/console/enter"), "another browser of the same person"

    users.set_role(t, user.id, "auditor", "test", 0.0)
    assert (await browser.ask("/console/users"))[0] == 200, "what the role lets, from now on"
    status, text = await press(browser, "/console/users", act="user.create", name="eve")
    assert status == 403 and "look at everything here, and change nothing" in text
    status, text = await press(
        browser, "/console/access", act="policy.explain", src="laptop", dst="laptop:22"
    )
    assert status == 200, "a question changes nothing"
    assert "eve" not in t.by_user_name


@pytest.mark.parametrize("role", ["member", "network-admin", "it-admin", "billing-admin"])
async def test_everybody_else_sees_their_own_machines(house: House, role: str) -> None:
    t = house.server.tailnet
    _, page = await house.waiting("laptop")
    browser = house.browser()
    await house.wish(browser, (await house.back(browser, await house.there(browser, page)))[1])
    [user] = t.users.values()
    users.set_role(t, user.id, role, "test", 0.0)
    other = await house.server.joined("other")
    assert await enter_console(house, browser, "see and change your own machines") == (303, "/console")
    for path in ("/console", "/console/machines", "/console/keys", "/console/access", "/console/machines/2"):
        assert (await browser.ask(path))[:2] == (303, "/console/mine"), path
        assert (await press(browser, path, act="api.create"))[0] in (303, 405)
    status, _, mine = await browser.ask("/console/mine")
    assert status == 200 and "laptop" in mine and ">other<" not in mine and "/console/users" not in mine

    number = str(t.by_name["laptop"])
    assert (await press(browser, "/console/mine", act="mine.rename", node=number, name="desk"))[0] == 303
    assert (await press(browser, "/console/mine", act="mine.expire", node=number))[0] == 303
    assert t.nodes[int(number)].name == "desk" and t.nodes[int(number)].is_expired(time.time())
    foreign = str(t.by_name["other"])
    for act in ("mine.rename", "mine.expire", "mine.delete"):
        fields = {"node": foreign, "name": "stolen", "confirm": "other", "called": "other"}
        status, text = await press(browser, "/console/mine", act=act, **fields)
        assert status == 403 and "not yours" in text
    assert (await press(browser, "/console/mine", act="node.delete", node=foreign))[0] == 422
    # Its own machine calls itself as the other is called, but for a space that is cut off on the way.
    t.nodes[int(number)] = replace(t.nodes[int(number)], hostname="other ")
    fields = {"node": "other ", "confirm": "other", "called": "other"}
    assert (await press(browser, "/console/mine", act="mine.delete", **fields))[0] == 403
    assert t.nodes[int(foreign)].name == "other" and not t.api_keys and other.map.node is not None
    fields = {"node": number, "confirm": "desk", "called": "desk"}
    assert (await press(browser, "/console/mine", act="mine.delete", **fields))[0] == 303
    assert list(t.nodes) == [int(foreign)]


@pytest.mark.parametrize("end", ["unlinked", "linked to another", "deleted"])
async def test_a_session_ends_with_the_identity(house: House, end: str) -> None:
    t = house.server.tailnet
    user = users.create(t, UserWish("boss"), "test", 0.0)
    signin.link(t, user.id, house.provider.issuer, "id1", "test", 0.0)
    users.set_role(t, user.id, "owner", "test", 0.0)
    browser = house.browser()
    assert (await enter_console(house, browser, "everything"))[0] == 303
    assert (await browser.ask("/console"))[0] == 200
    if end == "deleted":
        users.delete(t, user.id, "test", 0.0)
    else:
        signin.link(t, user.id, house.provider.issuer, "" if end == "unlinked" else "id2", "test", 0.0)
    assert (await browser.ask("/console"))[1].startswith("/console/enter")


async def test_a_stranger_at_the_console_is_not_made_a_user(house: House) -> None:
    assert (await enter_console(house, house.browser(), "your own machines"))[0] == 403
    assert not house.server.tailnet.users


async def test_nobody_signs_in_to_a_console_in_the_clear(tmp_path: Path) -> None:
    provider = FakeProvider(time.time)
    await provider.open()
    config = settings(tmp_path, provider.issuer, url="http://mesh.example.org")
    async with serving(config) as server:
        browser = House(server, provider).browser()
        assert (await browser.ask("/oidc/start/console/a"))[0] == 404
        assert "/oidc/start" not in (await browser.ask("/console/enter"))[2]
    await provider.close()


async def test_visits_do_not_end_each_others_journeys(house: House) -> None:
    """Anybody may open the entrance; who does it again and again must not keep administrators out."""
    browser = house.browser()
    query = await house.there_from(browser, "/oidc/start/console/a")
    for number in range(20):
        await house.there_from(house.browser(), f"/oidc/start/console/b{number}")
    assert (await house.back(browser, query))[0] == 200
