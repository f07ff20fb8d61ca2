"""Who is online: right within two seconds of a change."""

from __future__ import annotations

import time

from tests.world.net import Guests, Net

SOON = 2.0


def test_down_and_up_are_seen(net: Net) -> None:
    net.ana.sees("ben", online=True)
    net.ben.cli("down")
    net.ana.sees("ben", online=False, within=SOON)
    net.ben.cli("up", f"--login-server={net.server.url}", "--hostname=ben")
    net.ben.wait_until("Running")
    net.ana.sees("ben", online=True, within=SOON)


def test_a_killed_client_is_seen_offline_and_back(net: Net) -> None:
    net.ben.kill()
    gone = net.ana.sees("ben", online=False, within=SOON)
    assert not gone["LastSeen"].startswith("0001"), "an offline peer has a last-seen time"
    net.ben.start()
    net.ben.wait_until("Running")
    net.ana.sees("ben", online=True, within=SOON)
    net.ben.sees("ana", online=True, within=SOON)


def test_a_newcomer_learns_who_is_offline_from_the_first_map(net: Net, guests: Guests) -> None:
    net.ben.kill()
    net.ana.sees("ben", online=False, within=SOON)
    newcomer = guests.join("newcomer")
    assert newcomer.sees("ben")["Online"] is False
    assert newcomer.sees("ana")["Online"] is True
    net.ben.start()
    newcomer.sees("ben", online=True)


def test_a_quick_reconnect_is_no_absence(net: Net) -> None:
    """A client whose control connection breaks comes back at once; peers need not hear of it."""
    net.ana.sees("ben", online=True)
    broken = net.server.host.run("ss", "-nK", "dst", str(net.lab.cables["ben"].address)).out
    assert "8080" in broken
    for _ in range(15):
        assert net.ana.peers()["ben"]["Online"] is True
        time.sleep(0.2)
    assert net.ben.peers()["ana"]["Online"] is True
