from __future__ import annotations

import pytest

from meshbox.errors import NotFound
from meshbox.tailnet.pending import find_pending, forget_pending, open_pending, require_waiting
from tests.tailnet.build import NOW, machine, make_tailnet, node_key, register_request


def test_a_new_node_key_replaces_the_devices_entry() -> None:
    t = make_tailnet()
    first = open_pending(t, machine(1), register_request(1), "192.0.2.1", NOW)
    second = open_pending(t, machine(1), register_request(2), "192.0.2.1", NOW)
    assert list(t.pending.values()) == [second]
    with pytest.raises(NotFound, match="tailscale up"):
        require_waiting(t, first.id)


def test_ids_cannot_be_guessed_from_each_other() -> None:
    t = make_tailnet()
    ids = {open_pending(t, machine(n), register_request(n), f"192.0.2.{n}", NOW).id for n in range(50)}
    assert len(ids) == 50 and all(len(pending_id) >= 32 for pending_id in ids)


def test_an_entry_is_found_by_url_or_id_and_only_by_its_owner() -> None:
    t = make_tailnet()
    entry = open_pending(t, machine(1), register_request(1), "192.0.2.1", NOW)
    for name in (entry.id, "https://ctl.example.org" + entry.path):
        assert find_pending(t, name, machine(1), node_key(1)) == entry
        assert find_pending(t, name, machine(2), node_key(1)) is None
        assert find_pending(t, name, machine(1), node_key(2)) is None
    forget_pending(t, entry.id)
    assert find_pending(t, entry.id, machine(1), node_key(1)) is None
