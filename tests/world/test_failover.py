"""Routers that are connected and dead: their routes move to one that answers, and stay there."""

from __future__ import annotations

import signal

import pytest

from tests.world.process import eventually
from tests.world.test_routes import Office, office

__all__ = ["office"]

WITHIN = 15.0


@pytest.mark.parametrize("death", ["hangs", "cut"])
def test_a_router_that_gives_no_sign_of_life_loses_its_routes(office: Office, death: str) -> None:
    net = office.net
    main, spare = f"main-{death}", f"spare-{death}"
    router, _ = office.gateway(main), office.gateway(spare)
    for name in (main, spare):
        net.server.admin("routes", "approve", name)
    assert net.ana.fetch(office.page, within=20) == "printed"

    def health() -> dict[str, str]:
        return {one["node"]: one["health"] for one in net.server.ask("routes", "list")}

    if death == "hangs":
        router.daemon.signal(signal.SIGSTOP)
    else:
        net.lab.cables[main].pull()
    eventually(lambda: office.state(spare) == {"primary"}, WITHIN, "the other router carries the route")
    assert net.server.nodes()[main]["online"], "the session of the dead one is still there"
    assert health() == {main: "silent", spare: "well"}
    assert net.ana.fetch(office.page, within=20) == "printed"
    router.daemon.signal(signal.SIGCONT)
    net.lab.cables[main].plug_in()
    eventually(lambda: health() == {main: "well", spare: "well"}, 60, "it answers again")
    assert office.state(spare) == {"primary"}, "nothing moves back"
