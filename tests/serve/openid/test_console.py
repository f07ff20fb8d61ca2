"""People at the console: what their role lets them see and do, and until when."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from meshbox.tailnet import signin, users
from meshbox.tailnet.users import UserWish
from tests.fake.provider import FakeProvider
from tests.fake.server import serving
from tests.serve.openid.house import Browser, House, settings


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
    looker = house.browser()
    assert await enter_console(house, looker, "look at everything") == (303, "/console")
    _, register = await house.waiting("newcomer")
    status, _, waiting = await looker.ask("/console/waiting")
    assert status == 200 and "newcomer" in waiting
    assert register.rpartition("/")[2] not in waiting, "with it the auditor could sign in for the device"
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
