"""Joining: with keys of every kind, by web approval, and again after a restart."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from tests.world.net import Guests, Net
from tests.world.process import eventually


def test_two_clients_join_with_a_key_and_see_each_other(net: Net) -> None:
    for client, other in ((net.ana, "ben"), (net.ben, "ana")):
        v4, v6 = client.addresses
        assert ip_address(v4) in ip_network("100.64.0.0/10")
        assert ip_address(v6) in ip_network("fd7a:115c:a1e0::/48")
        peer = client.sees(other, online=True)
        assert peer["DNSName"] == f"{other}.mesh.lab."
    assert {"ana", "ben"} <= net.server.nodes().keys()


def test_a_used_one_off_key_does_not_hinder_a_restart(net: Net, guests: Guests) -> None:
    """Containers start with the key they were once given, used or not."""
    key = net.server.create_key("lab")
    guest = guests.join("onekey", key=key)
    before = guest.addresses
    guest.restart()
    guest.up(key)
    assert guest.addresses == before
    guest.ping("ana")


def test_a_used_one_off_key_admits_nobody_else(net: Net, guests: Guests) -> None:
    key = net.server.create_key("lab")
    guests.join("first", key=key)
    second = guests.start("second")
    refused = second.cli(*second.up_words(key, "--timeout=5s"), check=False, timeout=15)
    assert refused.code != 0
    assert "key" in refused.text
    assert "second" not in net.server.nodes()


def test_a_wrong_key_is_refused_in_words(net: Net, guests: Guests) -> None:
    guest = guests.start("stranger")
    words = guest.up_words("mb-auth-abcdefghijkl-nonsense", "--timeout=5s")
    refused = guest.cli(*words, check=False, timeout=15)
    assert refused.code != 0
    assert "key" in refused.text
    assert "stranger" not in net.server.nodes()


def test_web_approval(net: Net, guests: Guests) -> None:
    guest = guests.start("walkin")
    waiting = guest.up_in_background(None)
    page = guest.login_page()
    assert page.startswith(net.server.url)
    assert "walkin" not in net.server.nodes()
    net.server.admin("auth", "approve", page, "--user", "lab")
    assert waiting.wait(20) == 0
    guest.wait_until("Running")
    net.ana.sees("walkin", online=True)
    guest.ping("ana")


def test_a_rejected_approval_joins_nobody(net: Net, guests: Guests) -> None:
    guest = guests.start("unwanted")
    waiting = guest.up_in_background(None, "--timeout=20s")
    page = guest.login_page()
    net.server.admin("auth", "reject", page)
    eventually(
        lambda: guest.status().get("AuthURL") != page or waiting.poll() is not None, 15, "refusal is told"
    )
    assert guest.status()["BackendState"] == "NeedsLogin"
    assert "unwanted" not in net.server.nodes()
    waiting.kill()
    waiting.wait()
