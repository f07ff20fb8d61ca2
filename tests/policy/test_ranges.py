from __future__ import annotations

from ipaddress import ip_address

from meshbox.policy.ranges import INTERNET, INTERNET_SET, WILDCARD


def test_ranges_are_spelled_as_the_hosted_service_spells_them() -> None:
    assert [span.text for span in WILDCARD] == [
        "100.64.0.0-100.115.91.255", "100.115.94.0-100.127.255.255", "fd7a:115c:a1e0::/48",
    ]  # fmt: skip
    texts = [span.text for span in INTERNET]
    assert texts[-1] == "2000::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    assert len(texts) == 7 and "0.0.0.0-9.255.255.255" in texts


def test_the_internet_is_not_at_home() -> None:
    for text, is_out in (
        ("8.8.8.8", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("2001:db8::", True),
    ):
        address = ip_address(text)
        assert INTERNET_SET.contains(address.version, int(address)) is is_out
