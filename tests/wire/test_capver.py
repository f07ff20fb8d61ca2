"""Capability versions and the releases behind them."""

from __future__ import annotations

import pytest

from meshbox.wire.capver import MIN_CAPVER, client_version, too_old


@pytest.mark.parametrize(
    ("capver", "release"),
    [
        (0, "older than 1.60"),
        (86, "older than 1.60"),
        (87, "1.60"),
        (97, "1.68"),
        (101, "1.68"),
        (102, "1.70"),
        (123, "1.86"),
        (142, "1.102"),
        (145, "1.103"),
        (146, "newer than 1.103"),
    ],
)
def test_the_release_of_a_version(capver: int, release: str) -> None:
    assert client_version(capver) == release


def test_the_oldest_client_we_serve() -> None:
    assert too_old(MIN_CAPVER) is None
    assert too_old(142) is None


def test_a_refusal_says_what_the_client_is_and_what_it_must_become() -> None:
    refusal = too_old(90)
    assert refusal is not None
    assert "1.64" in refusal
    assert "1.68" in refusal
