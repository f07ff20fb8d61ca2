"""Names of an app's domains: which nodes have them resolved by which connectors."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, allow, join, make_key, make_tailnet, policy

APPS = [{"domains": ["*.shop.example"], "connectors": ["tag:connector"]}]
SECTIONS = {
    "tagOwners": {"tag:connector": []},
    "nodeAttrs": [{"target": ["*"], "app": {"tailscale.com/app-connectors": APPS}}],
}
OFFER = orjson.dumps({"AppConnector": True, "Services": [{"Proto": "peerapi4", "Port": 4711}]})


@pytest.fixture
def t() -> Tailnet:
    t = make_tailnet()
    t.enforce(policy(**SECTIONS, acls=[allow("ana@", "*:*"), allow("bo@", "tag:connector:22")]))
    return t


def connector(t: Tailnet, number: int, online: bool = True) -> Node:
    node = join(t, number, make_key(t, tags=("tag:connector",)), f"connector{number}")
    t.tell(node.id, replace(t.report(node.id), peer_hostinfo=OFFER))
    if online:
        t.presence.enter(node.id)
    return node


def resolvers(t: Tailnet, node: Node) -> list[str]:
    routes = orjson.loads(Mapper(t).dns(node)).get("Routes", {})
    return [one["Addr"] for one in routes.get("shop.example", ())]


def test_only_who_may_use_a_connector_is_sent_to_it(t: Tailnet) -> None:
    ana, bo = join(t, 1, make_key(t, "ana"), "desk"), join(t, 2, make_key(t, "bo"), "phone")
    assert resolvers(t, ana) == []
    one = connector(t, 3)
    url = f"http://{one.ipv4}:4711/dns-query"
    assert resolvers(t, ana) == [url] and resolvers(t, bo) == [] and resolvers(t, one) == []
    two = connector(t, 4)
    assert resolvers(t, ana) == [url, f"http://{two.ipv4}:4711/dns-query"]
    assert resolvers(t, two) == [], "two connectors that asked each other would never end"


def test_those_online_are_asked_and_all_when_none_is(t: Tailnet) -> None:
    ana = join(t, 1, make_key(t, "ana"), "desk")
    one, two = connector(t, 3, online=False), connector(t, 4)
    assert resolvers(t, ana) == [f"http://{two.ipv4}:4711/dns-query"]
    t.presence.forget(two.id)
    assert len(resolvers(t, ana)) == 2 and one.ipv4 is not None


def test_a_device_that_no_app_names_is_no_connector(t: Tailnet) -> None:
    ana, stranger = join(t, 1, make_key(t, "ana"), "desk"), join(t, 2, make_key(t, "bo"), "phone")
    t.tell(stranger.id, replace(t.report(stranger.id), peer_hostinfo=OFFER))
    assert not t.enforcement.compiled.index.connectors and resolvers(t, ana) == []


def test_a_session_hears_when_a_connector_comes_moves_and_goes(t: Tailnet) -> None:
    ana = join(t, 1, make_key(t, "ana"), "desk")
    poll = Poll(Mapper(t), ana, "")
    poll.first(NOW)
    one = connector(t, 3)
    assert b":4711/dns-query" in b"".join(poll.next(NOW))
    t.tell(one.id, replace(t.report(one.id), peer_hostinfo=OFFER.replace(b"4711", b"4712")))
    assert b":4712/dns-query" in b"".join(poll.next(NOW))
    t.tell(one.id, replace(t.report(one.id), peer_hostinfo=b"{}"))
    assert b'"DNSConfig"' in b"".join(poll.next(NOW))
