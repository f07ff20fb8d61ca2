from __future__ import annotations

from dataclasses import replace

from meshbox.tailnet import report
from meshbox.tailnet.model import User
from meshbox.tailnet.worldview import device_of, person_of
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, map_request


def test_a_route_is_in_force_when_it_is_offered_and_approved() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    report.take(t, machine(1), map_request(1, routes=["10.33.0.0/16", "10.44.0.0/16"]), NOW)
    offered = t.report(node.id).advertised_routes
    device = device_of(replace(node, approved_routes=offered[:1]), t.report(node.id), True)
    assert device.advertised == offered and device.routes == offered[:1]
    assert device_of(replace(node, approved_routes=offered), t.report(99), True).routes == ()


def test_a_person_goes_by_the_address_or_else_by_the_name() -> None:
    assert person_of(User(1, "ana", NOW)).login == "ana"
    person = person_of(User(1, "ana", NOW, email="ana@example.com"))
    assert (person.login, person.name) == ("ana@example.com", "ana")


def test_a_person_has_a_role_and_the_groups_of_the_provider() -> None:
    person = person_of(User(1, "ana", NOW, role="admin", groups=("group:ops",)))
    assert (person.role, person.groups) == ("admin", {"group:ops"})
