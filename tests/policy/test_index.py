from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_network

from meshbox.policy.index import Index
from meshbox.policy.sight import bit, ids
from meshbox.policy.spans import span_of_prefix
from tests.policy.build import ANA, DEVICES, EXIT, ROUTER, SPARE, WEB, device

NET = ip_network("10.33.0.0/16")


def test_devices_are_found_by_what_they_are() -> None:
    index = Index(DEVICES)
    assert ids(index.by_tag["tag:web"]) == [WEB, SPARE]
    assert ids(index.by_user[1]) == [1, 2]
    assert ids(index.tagged) == [WEB, ROUTER, SPARE, EXIT]
    assert ids(index.devices_in(span_of_prefix(ip_network("100.64.0.2/31")))) == [2, 3]
    assert ids(index.routers_overlapping(span_of_prefix(ip_network("10.0.0.0/8")))) == [ROUTER, SPARE]
    assert ids(index.exits()) == [EXIT]
    assert ids(index.carriers(span_of_prefix(ip_network("8.8.8.0/24")))) == [EXIT]


def test_the_first_router_carries_until_it_is_offline() -> None:
    index = Index(DEVICES)
    assert index.primary(NET) == ROUTER
    index = index.minus(ROUTER).plus(replace(DEVICES[ROUTER - 1], is_online=False))
    assert index.primary(NET) == SPARE
    index = index.minus(SPARE).plus(replace(DEVICES[SPARE - 1], is_online=False))
    assert index.primary(NET) == ROUTER


def test_a_change_leaves_the_index_it_was_made_from_as_it_was() -> None:
    index = Index(DEVICES)
    without = index.minus(ANA)
    back = without.plus(DEVICES[ANA - 1])
    assert index.everyone & bit(ANA) and not without.everyone & bit(ANA)
    assert ids(without.by_user[1]) == [2] and ids(index.by_user[1]) == [1, 2]
    assert back.by_user == index.by_user and back.routers == index.routers
    everything = span_of_prefix(ip_network("0.0.0.0/0"))
    assert back.devices_in(everything) == index.devices_in(everything)


def test_routers_of_tailnet_addresses_count_with_the_devices_behind_them() -> None:
    index = Index([*DEVICES, device(20, "tag:web", routes=("100.64.0.0/30",))])
    assert index.routes_own_addresses
    assert ids(index.closure(bit(ANA))) == [ANA, 20]
    assert not Index(DEVICES).routes_own_addresses


def test_a_device_that_joins_may_be_the_first_inside_a_route() -> None:
    """What is known of routes over addresses is carried along, and must not be carried too far."""
    index = Index([device(20, "tag:web", routes=("100.64.1.0/24",))])
    assert not index.routes_own_addresses
    inside = replace(device(21, "tag:web"), ipv4=IPv4Address("100.64.1.7"))
    assert not index.plus(device(22, "tag:web")).routes_own_addresses
    assert index.plus(device(22, "tag:web")).minus(22).plus(inside).routes_own_addresses
    assert not index.plus(inside).minus(21).routes_own_addresses
