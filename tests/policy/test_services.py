from __future__ import annotations

import pytest

from meshbox.policy.services import (
    ALL_PORTS,
    BadService,
    Service,
    parse_ports,
    parse_protocol,
    parse_service,
)


def test_protocols() -> None:
    assert parse_protocol("") is None
    assert parse_protocol("TCP") == 6 and parse_protocol("132") == 132 and parse_protocol("ip-in-ip") == 4


@pytest.mark.parametrize("text", ["0", "06", "256", "99999", "*", "tcpp", "-1", "٦"])
def test_no_protocols(text: str) -> None:
    with pytest.raises(BadService):
        parse_protocol(text)


def test_ports() -> None:
    assert parse_ports("22,80-90,*", None) == ((22, 22), (80, 90), ALL_PORTS)
    assert parse_ports("*", 1) == (ALL_PORTS,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ssh", 'port range "ssh": invalid first integer'),
        ("0", "port range \"0\": first port must be >0, or use '*' for wildcard"),
        ("80-x", 'port range "80-x": invalid last integer'),
        ("90-80", 'port range "90-80": first port must be <= last port'),
        ("99999", 'port range "99999": invalid first integer'),
        ("", 'port range "": invalid first integer'),
    ],
)
def test_no_ports(text: str, message: str) -> None:
    with pytest.raises(BadService) as error:
        parse_ports(text, None)
    assert str(error.value) == message


def test_a_bare_number_in_a_grant_is_a_port() -> None:
    assert parse_service("47") == [Service(None, ((47, 47),))]
    assert parse_service("udp:*") == [Service(17, (ALL_PORTS,))]
    assert parse_service("22, tcp:80-90") == [Service(None, ((22, 22),)), Service(6, ((80, 90),))]
    for text in ("icmp", "icmp:22", ":22", "tcp:"):
        with pytest.raises(BadService):
            parse_service(text)
