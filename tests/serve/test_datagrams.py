"""Who asks too often; that answers leave from the address that was asked is shown by test_stun.py."""

from __future__ import annotations

import pytest

from meshbox.serve import datagrams
from meshbox.serve.datagrams import Askers

RATE = 20


def test_sources_are_counted_by_network_and_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "SOURCES", 10)
    now = 7.5
    askers = Askers(RATE, lambda: now)
    assert [askers.may_ask(f"2001:db8:1:2::{n:x}") for n in range(RATE + 1)] == [True] * RATE + [False]
    assert askers.may_ask("2001:db8:1:3::1")
    assert not askers.may_ask("2001:db8:1:2::ffff%eth0")
    assert all(askers.may_ask(f"192.0.2.{n}") for n in range(100))
    assert len(askers._asked) == 10
    assert askers.may_ask("::ffff:198.51.100.1")
    now = 8.0
    assert askers.may_ask("2001:db8:1:2::1")
    assert len(askers._asked) == 1
