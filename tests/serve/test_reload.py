"""Reload: what changes at once, what waits for a restart, and that an error changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network, ip_network
from pathlib import Path

import pytest

from meshbox import config
from meshbox.config import Address, Config, Dns, Limits
from meshbox.errors import CertificateError, ConfigError, Problem
from meshbox.serve import reload
from meshbox.serve.reload import Reload, changed_keys, guard_caps, needs_restart
from tests.serve.plant import MemoryPlant

OLD = Config(server_url="http://ctl")


class Said(list[tuple[str, dict[str, object]]]):
    def __call__(self, event: str, **fields: object) -> None:
        self.append((event, fields))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said()
    monkeypatch.setattr(reload.log, "emit", said)
    monkeypatch.setattr(reload.log, "setup", lambda level, format: None)
    return said


def make(read: Callable[[], Config], swap: Callable[[Config], None] = lambda config: None) -> Reload:
    return Reload(MemoryPlant(OLD).core, OLD, read, swap)


def test_settings_limits_and_proxies_are_swapped_and_named(said: Said) -> None:
    new = replace(
        OLD,
        dns=Dns(base_domain="new.test"),
        limits=Limits(connections_per_address=7, handshake_timeout=3.0),
        trusted_proxies=(ip_network("10.0.0.0/8"),),
    )
    one = make(lambda: new)
    assert one.run()
    assert one.core.tailnet.settings.dns.base_domain == "new.test"
    assert one.core.limits is new.limits
    assert (one.core.guard.caps.per_address, one.core.guard.caps.head_deadline) == (7, 3.0)
    assert one.core.guard.trusted == new.trusted_proxies
    ((event, fields),) = said
    assert event == "reloaded" and fields["restart"] == "nothing"
    assert fields["changed"] == (
        "dns.base_domain, limits.connections_per_address, limits.handshake_timeout, trusted_proxies"
    )


def test_what_needs_a_restart_is_named_and_not_touched(said: Said) -> None:
    prefixes = replace(OLD.prefixes, v4=IPv4Network("10.9.0.0/16"))
    new = replace(OLD, listen_addr=Address("0.0.0.0:9"), prefixes=prefixes)
    one = make(lambda: new)
    before = one.core.tailnet.settings.prefix_v4
    assert one.run()
    assert one.core.tailnet.settings.prefix_v4 == before
    assert said[0][1]["restart"] == "listen_addr, prefixes.v4"


@pytest.mark.parametrize(
    "error", [ConfigError("config.yaml", [Problem("dns", "wrong")]), CertificateError("expired")]
)
def test_an_error_in_the_file_or_in_what_it_names_changes_nothing(said: Said, error: Exception) -> None:
    def fail(*_: object) -> Config:
        raise error

    new = replace(OLD, dns=Dns(base_domain="new.test"))
    for one in (make(fail), make(lambda: new, fail)):  # type: ignore[arg-type]
        assert not one.run()
        assert one.config is OLD
        assert one.core.tailnet.settings.dns.base_domain != "new.test"
        assert str(error) in one.worry(), "the next start would not be as forgiving"
    assert [event for event, _ in said] == ["reload_refused"] * 2


def test_a_good_one_ends_the_worry(said: Said) -> None:
    found: list[Config | Exception] = [CertificateError("expired"), OLD]

    def read() -> Config:
        if isinstance(one := found.pop(0), Exception):
            raise one
        return one

    one = make(read)
    assert not one.run() and one.worry().endswith("by the next start: expired")
    assert one.run() and one.worry() == ""


def test_records_of_a_file_stay_until_the_file_is_read(said: Said, tmp_path: Path) -> None:
    record = config.ExtraRecord("a.mesh", "A", "100.64.0.9")
    written = replace(OLD, dns=Dns(extra_records=(record,)))
    elsewhere = replace(OLD, dns=Dns(extra_records_path=tmp_path / "missing.json"))
    found = [written, elsewhere, OLD]
    one = make(lambda: found.pop(0))
    for expected in (["a.mesh"], ["a.mesh"], []):
        assert one.run()
        assert [record.name for record in one.core.tailnet.settings.dns.extra_records] == expected


def test_changed_keys_are_dotted_as_in_the_file() -> None:
    nameservers = replace(OLD.dns.nameservers, global_=("9.9.9.9",))
    new = replace(OLD, dns=replace(OLD.dns, nameservers=nameservers), source="elsewhere")
    assert list(changed_keys(OLD, new)) == ["dns.nameservers.global"]
    assert not list(changed_keys(OLD, OLD))


def test_sections_count_with_all_their_keys() -> None:
    assert needs_restart("console.enabled") and needs_restart("dns.certificates.enabled")
    assert needs_restart("derp.server.listen_addr") and needs_restart("database.sqlite.path")
    assert not needs_restart("derp.paths") and not needs_restart("noises")


def test_a_soft_cap_above_the_hard_one_raises_both() -> None:
    caps = guard_caps(replace(OLD, limits=Limits(connections_per_address=5000)))
    assert caps.per_address_hard == 5000
