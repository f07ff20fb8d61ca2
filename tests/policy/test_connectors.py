"""App connectors: what the policy says of them, and who may use them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.connectors import APP, App, apps
from meshbox.policy.sight import ids
from meshbox.policy.world import Device
from tests.policy.build import ANA, BOB, DEVICES, ROUTER, acl, document, world

SHOP = {"name": "shop", "domains": ["*.Shop.example", "shop.example"], "connectors": ["tag:router"]}


def test_apps_are_read_and_nonsense_is_left_out() -> None:
    def read(*described: object) -> tuple[App, ...]:
        return apps(document(nodeAttrs=[{"target": ["*"], "app": {APP: list(described)}}]))

    assert read(SHOP) == (App(("shop.example",), frozenset({"tag:router"})),)
    assert read("nonsense", {"domains": "shop.example", "connectors": [1]}) == (App((), frozenset()),)
    assert apps(document()) == ()


def test_who_serves_an_app() -> None:
    tagged, named = App(("a",), frozenset({"tag:router"})), Device(1, tags=("tag:router",), is_connector=True)
    assert tagged.is_served_by(named) and not tagged.is_served_by(replace(named, tags=("tag:web",)))
    assert not tagged.is_served_by(replace(named, is_connector=False))
    assert App(("a",), frozenset("*")).is_served_by(Device(2, user_id=1, is_connector=True))


def connected(**sections: Any) -> Compiled:
    devices = {one.id: one for one in DEVICES}
    devices[ROUTER] = replace(devices[ROUTER], routes=(), advertised=(), is_connector=True)
    return compile_policy(document(**sections), world(*devices.values()))


def test_who_may_reach_the_internet_may_use_a_connector_and_it_is_told_so() -> None:
    compiled = connected(acls=[acl("ana@example.com", "autogroup:internet:*"), acl("*", "tag:router:22")])
    assert ids(compiled.usable_connectors(ANA)) == [ROUTER]
    assert ids(compiled.usable_connectors(BOB)) == [] and ids(compiled.usable_connectors(ROUTER)) == []
    texts = str(compiled.filter(ROUTER))
    assert "0.0.0.0-9.255.255.255" in texts, "the client looks whether 0.0.0.0 would be let in"
    gone = compiled.without_device(ROUTER)
    assert not gone.index.connectors and gone.usable_connectors(ANA) == 0
    back = gone.with_device(compiled.index.devices[ROUTER])
    assert ids(back.usable_connectors(ANA)) == [ROUTER]
