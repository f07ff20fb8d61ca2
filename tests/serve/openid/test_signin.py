"""There and back, with a provider that lies and browsers that are not the same."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshbox.errors import ConfigError
from meshbox.serve.openid import desk, journeys, provider
from meshbox.tailnet import checks, users
from meshbox.tailnet.users import UserWish
from tests.fake.provider import FakeProvider, Signer
from tests.fake.server import serving
from tests.serve.openid.house import House, settings


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
        house = House(server, provider)
        browser = house.browser()
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
