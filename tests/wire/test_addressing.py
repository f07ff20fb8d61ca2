"""Endpoints and prefixes: whatever comes in, only what every client can read goes out."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire.addressing import LONGEST_ENDPOINT, LONGEST_PREFIX, parse_prefix, reachable_endpoint

ENDPOINT = re.compile(r"(?:(\d+\.\d+\.\d+\.\d+)|\[([0-9a-f:.]+)\]):([1-9]\d{0,4})", re.ASCII)

ENDPOINT_LIKE = st.from_regex(r"\[?[0-9a-fA-F:.%]{0,40}\]?:?[0-9]{0,6}", fullmatch=True)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("203.0.113.4:41641", "203.0.113.4:41641"),
        ("10.0.0.5:1", "10.0.0.5:1"),
        ("[2001:db8::1]:65535", "[2001:db8::1]:65535"),
        ("[2001:DB8:0:0::1]:041", "[2001:db8::1]:41"),
        ("[::ffff:203.0.113.4]:41641", "203.0.113.4:41641"),
        # Two nodes on one host, as in tests and containers, do meet here.
        ("127.0.0.1:41641", "127.0.0.1:41641"),
        ("[fd00::1]:7", "[fd00::1]:7"),
    ],
)
def test_a_reachable_endpoint_is_canonical(written: str, canonical: str) -> None:
    assert reachable_endpoint(written) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "",
        ":1",
        "203.0.113.4",
        "203.0.113.4:",
        "203.0.113.4:0",
        "203.0.113.4:65536",
        "203.0.113.4:-1",
        "203.0.113.4:+1",
        "203.0.113.4: 1",
        "203.0.113.4:٣",
        "203.0.113.04:1",
        "203.0.113:1",
        "host:1",
        "2001:db8::1:80",
        "[203.0.113.4]:80",
        "[fe80::1]:80",
        "[fe80::1%eth0]:80",
        "[2001:db8::1%eth0]:80",
        "169.254.1.1:80",
        "[::ffff:169.254.1.1]:80",
        "0.0.0.0:80",
        "[::]:80",
        "224.0.0.1:80",
        "[ff02::1]:80",
        "255.255.255.255:80",
        "203.0.113.4:1" + "0" * 1_000_000,
    ],
)
def test_what_no_peer_can_send_to_is_none(written: str) -> None:
    assert reachable_endpoint(written) is None


@given(ENDPOINT_LIKE | st.text())
def test_an_endpoint_is_readable_by_all_or_none(written: str) -> None:
    endpoint = reachable_endpoint(written)
    if endpoint is not None:
        match = ENDPOINT.fullmatch(endpoint)
        assert match is not None
        ip_address(match[1] or match[2])
        assert 0 < int(match[3]) < 65536
        assert len(endpoint) <= LONGEST_ENDPOINT
        assert reachable_endpoint(endpoint) == endpoint


@pytest.mark.parametrize(
    ("written", "prefix"),
    [
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("10.1.2.3/16", "10.1.0.0/16"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("2001:DB8::1/64", "2001:db8::/64"),
        ("192.0.2.1/32", "192.0.2.1/32"),
    ],
)
def test_a_prefix_loses_its_host_bits(written: str, prefix: str) -> None:
    assert parse_prefix(written) == ip_network(prefix)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "/",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/8/8",
        "10.0.0.0/ 8",
        "10.0.0.0/٨",
        "010.0.0.0/8",
        "::/129",
        "fe80::%eth0/64",
        "default",
        "10.0.0.0/8" + "0" * 1_000_000,
    ],
)
def test_what_is_no_prefix_is_malformed_and_says_so_briefly(written: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_prefix(written)
    assert len(str(caught.value)) < 100


@given(st.from_regex(r"[0-9a-fA-F:.%/]{0,60}", fullmatch=True) | st.text())
@example("1.2.3.4/" + "0" * 30 + "8")
def test_a_prefix_can_be_read_again_or_is_malformed(written: str) -> None:
    try:
        prefix = parse_prefix(written)
    except Malformed:
        return
    assert parse_prefix(str(prefix)) == prefix
    assert len(str(prefix)) <= LONGEST_PREFIX
