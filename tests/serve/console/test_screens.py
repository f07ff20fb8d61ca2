"""The screens of the console with everything on them, and what their buttons do."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from meshbox.errors import StoreFull
from meshbox.serve.console.acts import ACTS
from meshbox.serve.console.asking import endpoint_of
from meshbox.serve.console.rights import Right
from meshbox.serve.console.sight import SCREENS
from meshbox.tailnet import checks
from meshbox.tailnet.tailnet import Tailnet
from tests.serve.api.stand import Stand
from tests.serve.api.test_auth import knock
from tests.serve.console.visitor import Forms, Visitor
from tests.tailnet.build import NOW, join, make_key

SHOWN = [address for address in SCREENS if address.needs is not Right.OWN]

EVIL = '"><script>alert(1)</script>'

POLICY = """{
  // who may do what
  "tagOwners": {"tag:web": ["ana@"], "tag:db": []},
  "acls": [{"action": "accept", "src": ["ana@"], "dst": ["tag:web:443"]}],
  "ssh": [{"action": "check", "src": ["ana@"], "dst": ["tag:web"], "users": ["root"]}],
}
"""


def furnish(t: Tailnet) -> None:
    """ana: laptop (online), router with a route that waits; ben: phone; tagged: web; a visitor."""
    ana, ben = make_key(t, "ana", reusable=True), make_key(t, "ben")
    laptop = join(t, 1, ana, "laptop")
    join(t, 2, ben, "phone")
    router = join(t, 3, ana, "router")
    join(t, 4, make_key(t, "ana", tags=("tag:web",), ephemeral=True), "web")
    late = join(t, 5, ana, "late")
    t.nodes[late.id] = replace(t.nodes[late.id], is_approved=False)
    t.presence.enter(laptop.id)
    offered = ip_network("10.7.0.0/24"), ip_network("0.0.0.0/0"), ip_network("::/0")
    t.tell(router.id, replace(t.report(router.id), advertised_routes=offered, home_derp=7))
    knock(t, 9, "visitor")


@pytest.fixture
def house(stand: Stand) -> Stand:
    stand.do(furnish)
    assert stand.ask("PUT", "/api/v1/policy", {"policy": POLICY, "note": EVIL}).status == 200
    stand.do(lambda t: checks.ask(t, t.by_name["laptop"], t.nodes[t.by_name["web"]], "root", NOW))
    stand.ask("POST", "/api/v1/user", {"name": "eve", "displayName": EVIL})
    stand.problems = {"database": "full"}
    stand.doubts = {"backup": "is old"}
    return stand


def node(house: Stand, name: str) -> dict[str, object]:
    found: dict[str, object] = house.ask("GET", f"/api/v1/node/{name}").json["node"]
    return found


def screens() -> list[str]:
    """All that an API key sees: it has no machines of its own."""
    return [address.path.removeprefix("/console").format(node="3", user="1") for address in SHOWN]


@pytest.mark.parametrize("path", screens())
def test_screens_show_all_there_is(house: Stand, admin: Visitor, path: str) -> None:
    page = admin.open(path)
    assert page.tags.count("h1") == 1 and "script" not in page.tags
    for link in page.links:
        if link.startswith("/"):
            assert admin.ask("GET", link.partition("#")[0]).status == 200, link
    labelled = [form for form in admin.forms(path) if form.method == "post"]
    assert labelled, "each screen has at least the button to leave"


@pytest.mark.parametrize("path", screens())
def test_screens_of_an_empty_house(admin: Visitor, path: str) -> None:
    status = admin.ask("GET", f"/console{path}").status
    assert status == (404 if path[-1:].isdigit() else 200)


def test_every_button_is_an_act_of_its_screen_and_every_act_has_a_button(
    house: Stand, admin: Visitor
) -> None:
    admin.done("/keys", "api.create", description="over", expiration="2023-11-15T00:00:00Z")
    house.ask("POST", "/api/v1/node/phone/approve_routes", {"routes": ["10.9.0.0/24"]})
    house.ask("PUT", "/api/v1/policy", {"policy": POLICY + "// again"})
    house.now += 86_400 * 0.5
    seen = set()
    for address in SHOWN:
        for number in ("3", "5") if "{node}" in address.path else ("1",):
            path = address.path.removeprefix("/console").format(node=number, user="1")
            acts = {act for form in admin.forms(path) for act in form.acts if form.method == "post" and act}
            assert acts <= set(address.acts), path
            seen |= acts
    # Of a key that is over, and of a text that was never saved.
    others = {name for name, act in ACTS.items() if act.is_own}
    assert set(ACTS) - seen - others <= {"key.delete", "api.delete"}
    for act in ACTS.values():
        endpoint_of(act.method, act.path)


def test_what_is_kept_is_shown_as_text(house: Stand, admin: Visitor) -> None:
    for path in ("/users", "/access", "/activity", "/users/3"):
        body = admin.ask("GET", f"/console{path}").body.decode()
        assert "<script" not in body
    assert EVIL in admin.open("/users").text
    answer = admin.press("/access", "policy.check", policy="// </textarea>" + EVIL)
    assert "<script" not in answer.body.decode() and "</textarea>" + EVIL not in answer.body.decode()


def test_the_overview_says_what_wants_a_person(house: Stand, admin: Visitor) -> None:
    text = admin.open().text
    for words in (
        "database: full", "backup: is old", "3 devices or logins wait", "1 machine offers routes",
        "policy.set", "Waiting 3",
    ):  # fmt: skip
        assert words in text, words


def test_a_machine_is_changed(house: Stand, admin: Visitor) -> None:
    assert "Renamed" in admin.done("/machines/1", "node.rename", name="desk")
    assert node(house, "1")["givenName"] == "desk"
    status, text = admin.refused("/machines/1", "node.rename", name="no good")
    assert status == 422 and "no good" in text
    assert admin.refused("/machines/1", "node.rename", name="phone")[0] == 409
    admin.done("/machines/1", "node.user", user="2")
    assert node(house, "desk")["user"]["name"] == "ben"  # type: ignore[index]
    admin.done("/machines/1", "node.tags", tags="tag:web, tag:db")
    assert node(house, "desk")["tags"] == ["tag:db", "tag:web"]
    assert "not defined" in admin.refused("/machines/1", "node.tags", tags="tag:nowhere")[1]
    admin.done("/machines/2", "node.expire")
    assert node(house, "2")["expired"] is True
    admin.done("/machines/2", "node.keep")
    assert node(house, "2")["expiry"] is None
    admin.done("/machines/2", "node.expire")
    admin.done("/machines/2", "node.renew")
    assert node(house, "2")["expired"] is False
    prefix = admin.key.split("-")[2]
    assert house.ask("GET", f"/api/v1/audit?actor=api:{prefix}").json["entries"][0]["object"] == "phone"


def test_routes_are_ticked(house: Stand, admin: Visitor) -> None:
    admin.done("/machines/3", "node.routes", routes=["10.7.0.0/24"])
    assert node(house, "3")["subnetRoutes"] == ["10.7.0.0/24"]
    [form] = [form for form in admin.forms("/machines/3") if "node.routes" in form.acts]
    assert form.fields["routes"] == ["10.7.0.0/24"]
    admin.done("/waiting", "route.approve")
    assert len(node(house, "3")["subnetRoutes"]) == 3  # type: ignore[arg-type]
    admin.done("/machines/3", "node.routes", routes=[])
    assert node(house, "3")["approvedRoutes"] == []


def test_what_waits_is_let_in(house: Stand, admin: Visitor) -> None:
    admin.done("/waiting", "auth.approve", user="2")
    assert node(house, "visitor")["user"]["name"] == "ben"  # type: ignore[index]
    assert "The login goes on" in admin.done("/waiting", "ssh.approve")
    admin.done("/waiting", "node.approve")
    assert node(house, "late")["approved"] is True
    admin.done("/waiting", "route.approve")
    assert "Nothing waits" in admin.open("/waiting").text


def test_what_waits_is_turned_away(house: Stand, admin: Visitor) -> None:
    admin.done("/waiting", "auth.reject")
    admin.done("/waiting", "ssh.reject")
    admin.done("/waiting", "node.delete")
    assert house.ask("GET", "/api/v1/node/late").status == 404
    assert house.ask("GET", "/api/v1/node/visitor").status == 404


def test_many_at_once(house: Stand, admin: Visitor) -> None:
    assert "2 machines: the tags are set" in admin.done(
        "/machines", "node.tags", node=["1", "2"], tags="tag:db"
    )
    assert node(house, "1")["tags"] == node(house, "2")["tags"] == ["tag:db"]
    status, text = admin.refused("/machines", "node.expire", node=["2", "999", "3"])
    assert status == 422 and "999" in text and "1 of 3 were done" in text
    assert node(house, "2")["expired"] is True and node(house, "3")["expired"] is False
    assert "nothing is chosen" in admin.refused("/machines", "node.approve", node=[])[1]
    for typed in ("", "yes"):
        assert (
            "nothing was deleted" in admin.refused("/machines", "node.delete", node=["1"], confirm=typed)[1]
        )
    admin.done("/machines", "node.delete", node=["1", "2"], confirm="delete")
    assert sorted(house.do(lambda t: list(t.nodes))) == [3, 4, 5]


def test_deleting_wants_the_name(house: Stand, admin: Visitor) -> None:
    status, text = admin.refused("/machines/2", "node.delete", confirm="laptop")
    assert status == 422 and "type phone" in text and node(house, "phone")
    answer = admin.press("/machines/2", "node.delete", confirm=" phone ")
    assert answer.headers["Location"] == "/console/machines"
    assert admin.ask("GET", "/console/machines/2").status == 404
    assert admin.refused("/users/1", "user.delete", confirm="ana")[0] == 409, "ana still owns machines"


def test_a_key_is_shown_once_and_lets_in(house: Stand, admin: Visitor) -> None:
    text = admin.done("/add", "key.create", user="1", reusable="on")
    [key] = {word for word in text.split() if word.startswith("mb-auth-")}
    assert f"tailscale up --login-server https://mesh.example.org --auth-key {key}" in text
    assert key not in admin.open("/add").text and key not in admin.open("/keys").text
    assert house.do(lambda t: join(t, 20, key, "fresh")).name == "fresh"
    assert admin.refused("/add", "key.create", user="", aclTags="")[0] == 422
    newest = house.ask("GET", "/api/v1/preauthkey").json["preAuthKeys"][-1]
    assert (newest["reusable"], newest["ephemeral"], newest["preapproved"]) == (True, False, False)
    admin.done("/keys", "key.expire", {"id": [newest["id"]]})
    assert admin.done("/keys", "key.delete", {"id": [newest["id"]]})
    assert newest["id"] not in [
        one["id"] for one in house.ask("GET", "/api/v1/preauthkey").json["preAuthKeys"]
    ]


def test_an_api_key_is_shown_once_and_opens(house: Stand, admin: Visitor) -> None:
    text = admin.done("/keys", "api.create", description="Terraform")
    [key] = {word for word in text.split() if word.startswith("mb-api-") and "***" not in word}
    assert house.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {key}").status == 200
    assert key not in admin.open("/keys").text
    own = [
        one for one in house.ask("GET", "/api/v1/apikey").json["apiKeys"] if one["description"] == "for tests"
    ]
    answer = admin.press("/keys", "api.expire", {"id": [own[0]["id"]]})
    assert answer.status == 303 and admin.ask("GET", "/console/keys").status == 303, (
        "it was the key of this visit"
    )


def test_users_come_and_go(house: Stand, admin: Visitor) -> None:
    admin.done("/users", "user.create", name="dora", email="dora@example.org")
    assert "dora@example.org" in admin.open("/users").text
    status, text = admin.refused("/users", "user.create", name="dora", displayName="Dora D.")
    assert status == 409 and "already" in text
    number = house.ask("GET", "/api/v1/user/dora").json["user"]["id"]
    admin.done(f"/users/{number}", "user.role", role="admin")
    admin.done(f"/users/{number}", "user.rename", name="doris")
    assert house.ask("GET", "/api/v1/user/doris").json["user"]["role"] == "admin"
    admin.done(f"/users/{number}", "user.delete", confirm="doris")
    assert house.ask("GET", "/api/v1/user/doris").status == 404


def test_what_was_typed_is_not_lost(house: Stand, admin: Visitor) -> None:
    answer = admin.press("/users", "user.create", name="ana", displayName="Ana B.")
    assert answer.status == 409 and 'value="Ana B."' in answer.body.decode()
    broken = POLICY + "}"
    answer = admin.press("/access", "policy.put", policy=broken.replace("\n", "\r\n"))
    assert answer.status == 422 and "line 7" in answer.body.decode()
    [form] = [form for form in Forms(answer.body.decode()).forms if "policy.put" in form.acts]
    assert form.fields["policy"] == [broken]


def test_the_policy_is_checked_compared_saved_and_brought_back(house: Stand, admin: Visitor) -> None:
    [form] = [form for form in admin.forms("/access") if "policy.put" in form.acts]
    assert form.fields["policy"] == [POLICY]
    wider = POLICY.replace("tag:web:443", "tag:web:*")
    answer = admin.press("/access", "policy.diff", policy=wider)
    text = answer.body.decode()
    assert answer.status == 200 and "Gain access" in text and "Lose access: 0 pairs" in text
    assert "not saved yet" in admin.press("/access", "policy.check", policy=wider).body.decode()
    assert house.do(lambda t: t.in_force.version.id) == 1, "a question changes nothing"  # type: ignore[union-attr]
    admin.done("/access", "policy.put", policy=wider, note="wider")
    assert house.ask("GET", "/api/v1/policy").json["policy"] == wider
    status, text = admin.refused("/access", "policy.put", policy=POLICY, expected="1")
    assert status == 412 and "version 2" in text
    admin.done("/access", "policy.restore", {"version": ["1"]})
    assert house.ask("GET", "/api/v1/policy").json["policy"] == POLICY


def test_reach_names_the_rule(house: Stand, admin: Visitor) -> None:
    yes = admin.press("/access", "policy.explain", src="laptop", dst="web:443").body.decode()
    assert "Yes" in yes and "acls[0]" in yes and "line 4" in yes
    no = admin.press("/access", "policy.explain", src="phone", dst="web:443").body.decode()
    assert "No: no rule lets them" in no and 'value="phone"' in no
    assert admin.refused("/access", "policy.explain", src="laptop", dst="web")[0] == 422


def test_names_are_tried(house: Stand, admin: Visitor) -> None:
    assert "100.64.0.4" in admin.open("/names?as=laptop&name=web").text
    assert "no node &#39;nobody&#39;" in admin.ask("GET", "/console/names?as=nobody&name=x").body.decode()
    assert "clients answer" in admin.open("/names?as=laptop&name=web&type=MX").text


def test_activity_is_filtered_and_turned_over(house: Stand, admin: Visitor) -> None:
    for number in range(101):
        house.ask("POST", "/api/v1/user", {"name": f"u{number}"})
    first = admin.open("/activity?action=user.create")
    [older] = [link for link in first.links if "before=" in link]
    assert "node.join" not in first.text and "u100" in first.text
    assert "user.createu0" in admin.open(older.removeprefix("/console")).text
    assert "policy.set" in admin.open("/activity?action=policy.set&before=x").text


def test_a_long_list_has_pages(house: Stand, admin: Visitor) -> None:
    house.do(lambda t: [join(t, number, make_key(t, "ana"), f"n{number}") for number in range(100, 220)])
    first = admin.open("/machines?q=n&user=ana")
    [following] = [link for link in first.links if "page=" in link]
    assert following == "/console/machines?q=n&user=ana&page=2"
    assert "page 2 of 2" in admin.open(following.removeprefix("/console")).text
    assert "page 2 of 2" in admin.open("/machines?page=99").text


def test_a_bug_is_told_and_logged(house: Stand, admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshbox.serve.console.overview.attention", lambda t, now: 1 / 0)
    answer = admin.ask("GET", "/console")
    assert (
        answer.status == 500
        and "bug here" in answer.body.decode()
        and "ZeroDivision" not in answer.body.decode()
    )


def test_a_full_disk_says_so(house: Stand, admin: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreFull("no space left on the disk")

    monkeypatch.setattr(house.store, "commit", full)
    status, text = admin.refused("/users", "user.create", name="late")
    assert status == 507 and "no space left on the disk" in text
    assert "late" not in house.do(lambda t: t.by_user_name)
