"""The engine against the documents read literally, and a changed snapshot against a fresh one."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.filter import JsonRule
from meshbox.policy.sight import bit
from meshbox.policy.world import World
from tests.policy.naive import Naive, filter_admits, in_internet
from tests.policy.worlds import devices, parsed, policies, worlds

OUTSIDE = tuple(
    map(ip_address, ("10.33.1.5", "10.1.1.1", "192.168.1.9", "8.8.8.8", "9.9.9.9", "2001:db8::1"))
)


@settings(max_examples=40, deadline=None)
@given(policies(), worlds())
def test_filters_admit_what_the_documents_say(policy: dict[str, Any], world: World) -> None:
    document = parsed(policy)
    compiled, naive = compile_policy(document, world), Naive(document, world)
    every = [address for device in world.devices.values() for address in device.addresses]
    for receiver in world.devices.values():
        rules = compiled.filter(receiver.id)
        # What is behind a router or an exit node reaches it; the rest never comes here.
        behind = [
            address
            for address in OUTSIDE
            if any(address in route for route in receiver.subnet_routes)
            or (receiver.exit_routes and in_internet(address))
        ]
        for dst in (*receiver.addresses, *behind):
            for src in (*every, *OUTSIDE):
                if src.version != dst.version:
                    continue
                for protocol, port in ((6, 443), (17, 85)):
                    got = filter_admits(rules, src, dst, protocol, port)
                    assert got == naive.admits(receiver, src, dst, protocol, port), (receiver, src, dst, port)


@settings(max_examples=60, deadline=None)
@given(policies(), worlds())
def test_views_are_what_the_documents_say_and_mutual(policy: dict[str, Any], world: World) -> None:
    document = parsed(policy)
    compiled, naive = compile_policy(document, world), Naive(document, world)
    everyone = compiled.index.everyone
    for one in world.devices.values():
        view = compiled.view(one.id, everyone)
        assert view & bit(one.id)
        for other in world.devices.values():
            if one.id != other.id:
                sees = bool(view & bit(other.id))
                assert sees == bool(compiled.view(other.id, everyone) & bit(one.id))
                assert sees == naive.sees_each_other(one, other), (one, other)


@settings(max_examples=50, deadline=None)
@given(policies(), worlds())
def test_nobody_is_shown_a_route_on_a_hidden_router(policy: dict[str, Any], world: World) -> None:
    compiled = compile_policy(parsed(policy), world)
    for one in world.devices:
        view = compiled.view(one, compiled.index.everyone)
        carried = [
            route for routes in compiled.shown_routes(one).values() for route in routes if route.prefixlen
        ]
        assert len(carried) == len(set(carried)), "one prefix on two peers"
        assert all(view & bit(router) for router in compiled.shown_routes(one))


@settings(max_examples=50, deadline=None)
@given(policies(), worlds(), st.data())
def test_a_changed_snapshot_equals_a_fresh_one(
    policy: dict[str, Any], world: World, data: st.DataObject
) -> None:
    document = parsed(policy)
    compiled = compile_policy(document, world)
    now = dict(world.devices)
    for _ in range(data.draw(st.integers(1, 5))):
        if data.draw(st.booleans()):
            everything(compiled)  # what was asked for before must not be wrong after
        before = compiled
        number = data.draw(st.integers(1, 9))
        if number in now and data.draw(st.integers(0, 3)) == 0:
            now[number] = replace(now[number], is_online=not now[number].is_online)
            compiled = compiled.with_device(now[number])
        elif number in now and data.draw(st.booleans()):
            del now[number]
            compiled = compiled.without_device(number)
        else:
            now[number] = data.draw(devices(number))
            compiled = compiled.with_device(now[number])
        fresh = compile_policy(document, World(world.people, dict(now)))
        assert everything(compiled) == everything(fresh)
        for one in before.index.devices.keys() & compiled.index.devices.keys() - {number}:
            if compiled is not before and not compiled.affected >> one & 1:
                assert as_sets(before.filter(one)) == as_sets(compiled.filter(one))
                assert before.ssh.rules(one) == compiled.ssh.rules(one)


def as_sets(rules: list[JsonRule]) -> set[str]:
    """A filter without the order of its rules, which says nothing to a client; merging follows the order."""
    return {
        repr((rule["SrcIPs"], rule.get("IPProto"), entry))
        for rule in rules
        for entry in (*rule.get("DstPorts", ()), *rule.get("CapGrant", ()))  # type: ignore[misc]
    }


def everything(compiled: Compiled) -> dict[int, tuple[object, ...]]:
    return {
        one: (
            compiled.view(one, compiled.index.everyone),
            compiled.filter(one),
            compiled.shown_routes(one),
            compiled.routes.primary_routes(one),
            compiled.self_caps(one),
            compiled.peer_caps(one),
            compiled.ssh.rules(one),
            compiled.has_ipv4(one),
        )
        for one in compiled.index.devices
    }
