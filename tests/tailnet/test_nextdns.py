from __future__ import annotations

from meshbox.tailnet.nextdns import Device, adapt, profile_of

URL = "https://dns.nextdns.io/abc123"
LAPTOP = Device(name="laptop", model="linux", address="100.64.0.7")


def test_the_device_is_told_to_nextdns_and_to_nobody_else() -> None:
    assert adapt(URL, LAPTOP) == f"{URL}?device_name=laptop&device_model=linux&device_ip=100.64.0.7"
    assert adapt(f"{URL}?a=b", Device(name="x")) == f"{URL}?a=b&device_name=x"
    for other in ("9.9.9.9", "https://dns.quad9.net/dns-query"):
        assert adapt(other, LAPTOP) == other
    assert adapt(URL, None) == URL


def test_attributes_choose_a_profile_and_silence() -> None:
    assert profile_of(["funnel", "nextdns:kids01"]) == ("kids01", True)
    assert profile_of(["nextdns:no-device-info"]) == ("", False)
    assert adapt(URL, Device(profile="kids01")) == "https://dns.nextdns.io/kids01"
    assert adapt(URL, Device()) == URL
