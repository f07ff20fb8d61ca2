from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from meshbox.tailnet import devices, notices, report
from meshbox.tailnet.hints import Hints
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node
from meshbox.tailnet.notices import NoticeWish
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, map_request
from tests.tailnet.memory import PaperClient

DOWN = NoticeWish("down", "Maintenance", "Tonight.", link="https://wiki.test")
SHOWN = {
    "Title": "Maintenance",
    "Text": "Tonight.",
    "Severity": "medium",
    "PrimaryAction": {"URL": "https://wiki.test", "Label": "Open"},
}


def one_node(capver: int = 142) -> tuple[Tailnet, Node]:
    t = make_tailnet()
    node = join(t, 1, make_key(t), "lab")
    report.take(t, machine(1), map_request(1, version=capver), NOW)
    return t, node


def said(t: Tailnet, node: Node) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(b"{" + Hints(t).fields(node)[1:] + b"}")
    return found


def test_new_clients_are_shown_messages_and_old_ones_texts() -> None:
    t, node = one_node()
    notices.put(t, DOWN, "test", NOW)
    assert said(t, node) == {"DisplayMessages": {"*": None, "down": SHOWN}}
    t, node = one_node(capver=113)
    assert said(t, node) == {"Health": []}
    notices.put(t, DOWN, "test", NOW)
    assert said(t, node) == {"Health": ["Maintenance: Tonight. https://wiki.test"]}


def test_a_notice_may_be_for_some() -> None:
    t, node = one_node()
    for target, is_meant in (("user:ana", True), ("node:lab", True), ("tag:web", False), ("user:bo", False)):
        notices.put(t, replace(DOWN, targets=(target,)), "test", NOW)
        assert ("down" in said(t, node)["DisplayMessages"]) is is_meant, target


def test_an_update_is_hinted_at_to_those_who_lack_it() -> None:
    t, node = one_node()
    assert "ClientVersion" not in said(t, node)
    for latest, hint in (
        ("1.102.5", {"RunningLatest": True}),
        ("1.98.0", {"RunningLatest": True}),
        ("1.104.0", {"LatestVersion": "1.104.0", "Notify": True}),
    ):
        t.configure(replace(t.settings, latest_client=latest))
        assert said(t, node)["ClientVersion"] == hint


def test_a_hint_is_taken_back_while_the_session_lasts() -> None:
    t, node = one_node()
    client, poll = PaperClient(), Poll(Mapper(t), node, "zstd")
    assert not any("ClientVersion" in message for message in client.feed(poll.first(NOW)))
    for latest, expected in (
        ("1.104.0", {"LatestVersion": "1.104.0", "Notify": True}),
        ("", {"RunningLatest": True}),
    ):
        t.configure(replace(t.settings, latest_client=latest))
        told = [
            message["ClientVersion"] for message in client.feed(poll.next(NOW)) if "ClientVersion" in message
        ]
        assert told == [expected]


def test_a_session_hears_of_changes_and_of_nothing_else() -> None:
    t, node = one_node()
    client, poll = PaperClient(), Poll(Mapper(t), node, "zstd")
    first = client.feed(poll.first(NOW))
    assert first[0]["DisplayMessages"] == {"*": None}
    notices.put(t, replace(DOWN, targets=("tag:web",)), "test", NOW)
    assert not any("DisplayMessages" in message for message in client.feed(poll.next(NOW)))
    devices.set_tags(t, node.id, ["tag:web"], "test", NOW)
    assert any("down" in message.get("DisplayMessages", {}) for message in client.feed(poll.next(NOW)))
    notices.delete(t, "down", "test", NOW)
    assert {"DisplayMessages": {"*": None}} in client.feed(poll.next(NOW))


def test_settings_reach_the_nodes_capabilities() -> None:
    t, node = one_node()
    client, poll = PaperClient(), Poll(Mapper(t), node, "zstd")
    client.feed(poll.first(NOW))
    sharing = "https://tailscale.com/cap/file-sharing"
    assert sharing in client.self_node["CapMap"] and "default-auto-update" not in client.self_node["CapMap"]
    t.configure(replace(t.settings, taildrop=False, auto_update=True))
    client.feed(poll.next(NOW))
    assert sharing not in client.self_node["CapMap"]
    assert client.self_node["CapMap"]["default-auto-update"] == [True]
    again = PaperClient().feed(Poll(Mapper(t), node, "zstd").first(NOW))
    assert again[0]["DefaultAutoUpdate"] is True
