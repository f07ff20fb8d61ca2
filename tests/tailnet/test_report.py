from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.errors import Unauthorised, UnknownNode
from meshbox.tailnet import devices, report
from meshbox.tailnet.changes import Dirty, Fact
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, disco, join, machine, make_key, make_tailnet, map_request


@pytest.fixture
def t() -> Tailnet:
    return make_tailnet()


@pytest.fixture
def node(t: Tailnet) -> Node:
    node = join(t, 1, make_key(t))
    report.take(t, machine(1), map_request(1), NOW)
    return node


def facts_of(t: Tailnet, node: Node, cursor: int) -> Fact:
    dirty = t.changes.since(cursor)
    assert isinstance(dirty, Dirty)
    return dirty.nodes.get(node.id, Fact(0))


def test_the_node_key_must_be_the_machines(t: Tailnet, node: Node) -> None:
    before = t.report(node.id)
    with pytest.raises(Unauthorised):
        report.take(t, machine(2), map_request(1, endpoints=["198.51.100.1:1"]), NOW)
    with pytest.raises(UnknownNode):
        report.take(t, machine(1), map_request(7), NOW)
    assert t.report(node.id) == before


def test_an_unchanged_report_is_no_news_and_no_write(t: Tailnet, node: Node) -> None:
    t.flush()
    cursor = t.changes.cursor
    report.take(t, machine(1), map_request(1), NOW + 60)
    assert t.changes.cursor == cursor
    assert t.flush() == 0


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ({"endpoints": ["198.51.100.1:1"]}, Fact.ENDPOINTS),
        ({"derp": 900}, Fact.HOME_DERP),
        ({"disco": 5}, Fact.DISCO),
        ({"version": 113}, Fact.CAP),
        ({"services": [{"Proto": "peerapi4", "Port": 9}]}, Fact.WHOLE),
    ],
)
def test_each_change_is_the_kind_of_news_it_is(t: Tailnet, node: Node, fields: object, facts: Fact) -> None:
    cursor = t.changes.cursor
    assert isinstance(fields, dict)
    report.take(t, machine(1), map_request(1, **fields), NOW)
    assert facts_of(t, node, cursor) == facts


def test_the_first_disco_key_is_a_whole_node(t: Tailnet) -> None:
    node = join(t, 3, make_key(t))
    cursor = t.changes.cursor
    report.take(t, machine(3), map_request(3), NOW)
    assert facts_of(t, node, cursor) & Fact.WHOLE
    assert t.report(node.id).disco_key == disco(3)


def test_what_is_left_out_stays(t: Tailnet, node: Node) -> None:
    report.take(t, machine(1), map_request(1, derp=0), NOW)
    assert t.report(node.id).home_derp == 999
    report.take(t, machine(1), replace(map_request(1), hostinfo=None, disco_key=None), NOW)
    assert t.report(node.id).disco_key == disco(1) and t.report(node.id).os == "linux"


def test_a_read_only_request_changes_nothing(t: Tailnet, node: Node) -> None:
    before = t.report(node.id)
    report.take(t, machine(1), replace(map_request(1, endpoints=[]), read_only=True), NOW)
    assert t.report(node.id) == before


def test_the_name_follows_the_host_name_but_not_an_administrators_choice(t: Tailnet, node: Node) -> None:
    assert report.take(t, machine(1), map_request(1, "New Name"), NOW + 20).name == "new-name"
    devices.rename(t, node.id, "chosen", "test", NOW)
    assert report.take(t, machine(1), map_request(1, "other"), NOW + 40).name == "chosen"


def test_a_flapping_host_name_is_followed_slowly(t: Tailnet, node: Node) -> None:
    names = {report.take(t, machine(1), map_request(1, f"n{i}"), NOW + 20 + i / 100).name for i in range(100)}
    assert names == {"n0"}
    assert report.take(t, machine(1), map_request(1, "last"), NOW + 40).name == "last"


def test_soft_facts_survive_a_failing_flush(t: Tailnet, node: Node) -> None:
    def refuse(reports: object) -> None:
        raise OSError("disk gone")

    good, t.store.flush = t.store.flush, refuse  # type: ignore[method-assign]
    with pytest.raises(OSError):
        t.flush()
    t.store.flush = good  # type: ignore[method-assign]
    assert t.flush() == 1


def test_soft_facts_are_written_in_slices(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    for number in range(1, 6):
        join(t, number, key)
        report.take(t, machine(number), map_request(number), NOW)
    assert [t.flush(2), t.flush(2), t.flush(2), t.flush(2)] == [2, 2, 1, 0]
    assert t.store.load().reports == t.reports
