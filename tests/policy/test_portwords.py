from __future__ import annotations

import pytest

from meshbox.policy.portwords import write_ports

DEFAULT = (1, 6, 17, 58)


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ([(protocol, 22, 22) for protocol in (6, 17)], "22"),
        ([(protocol, 22, 22) for protocol in (6, 17)] + [(1, 0, 65535), (58, 0, 65535)], "22"),
        ([(protocol, 0, 65535) for protocol in DEFAULT], "*"),
        ([(6, 80, 84), (6, 85, 90), (6, 443, 443)], "tcp:80-90,443"),
        ([(17, 53, 53), (6, 22, 22)], "tcp:22 udp:53"),
        ([(1, 0, 65535), (58, 0, 65535)], "icmp:*"),
        ([(132, 80, 80), (200, 0, 65535)], "sctp:80 200:*"),
    ],
)
def test_ports_are_written_as_in_a_rule(cells: list[tuple[int, int, int]], text: str) -> None:
    assert write_ports(cells) == text
