"""The file of extra records is taken over when it changes, and a bad one changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from meshbox.errors import ConfigError, Problem
from meshbox.serve import recordswatch
from meshbox.serve.recordswatch import RecordsWatch
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import make_tailnet


class Watched:
    def __init__(self, file: Path, said: list[str]) -> None:
        self.t: Tailnet = make_tailnet()
        self.file, self.said = file, said
        self.watch = RecordsWatch(self.t, lambda: file)

    def write(self, *records: dict[str, str], text: str = "") -> None:
        draft = self.file.with_suffix(".new")
        draft.write_text(text or json.dumps(records))
        draft.replace(self.file)

    @property
    def names(self) -> list[str]:
        return [record.name for record in self.t.settings.dns.extra_records]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    said: list[str] = []
    monkeypatch.setattr(recordswatch.log, "emit", lambda event, **fields: said.append(event))
    return Watched(tmp_path / "records.json", said)


def test_a_changed_file_holds_at_once_and_wakes_everybody(watched: Watched) -> None:
    woken: list[int] = []
    watched.t.on_change(lambda: woken.append(1))
    watched.write({"name": "a.mesh", "type": "A", "value": "100.64.0.9"})
    watched.watch.check()
    watched.watch.check()
    assert watched.names == ["a.mesh"] and woken == [1] and watched.said == ["dns_records_read"]
    watched.write({"name": "b.mesh", "type": "CNAME", "value": "lab"})
    watched.watch.check()
    assert watched.names == ["b.mesh"]


def test_a_bad_file_or_none_keeps_the_old_records_and_is_said_once(watched: Watched) -> None:
    watched.write({"name": "a.mesh", "value": "100.64.0.9"})
    watched.watch.check()
    for bad in (
        "[{",
        '[{"name": "*.mesh", "value": "100.64.0.1"}]',
        '[{"name": "a", "type": "TXT", "value": "x"}]',
    ):
        watched.said.clear()
        watched.write(text=bad)
        watched.watch.check()
        watched.watch.check()
        assert watched.names == ["a.mesh"] and watched.said == ["dns_records_refused"]
        assert watched.watch.worry()
    watched.said.clear()
    watched.file.unlink()
    watched.watch.check()
    assert watched.said == ["dns_records_refused"] and "cannot be read" in watched.watch.worry()
    watched.write({"name": "c.mesh", "value": "100.64.0.9"})
    watched.watch.check()
    assert watched.names == ["c.mesh"] and watched.watch.worry() == ""


def test_wildcards_below_nodes_are_taken_and_others_refused(watched: Watched) -> None:
    watched.write({"name": "*.lab.mesh.example.org", "type": "CNAME", "value": "lab"})
    watched.watch.check()
    assert watched.t.settings.dns.subdomains == {"lab"} and watched.names == []
    for name, value in (
        ("*.lab.other.org", "lab"),
        ("*.mesh.example.org", "lab"),
        ("*.lab.mesh.example.org", "nas"),
    ):
        watched.said.clear()
        watched.write({"name": name, "type": "CNAME", "value": value})
        watched.watch.check()
        assert watched.said == ["dns_records_refused"] and watched.t.settings.dns.subdomains == {"lab"}


def test_another_base_domain_looks_at_the_same_file_again(watched: Watched) -> None:
    watched.write({"name": "*.lab.mesh.example.org", "type": "CNAME", "value": "lab"})
    watched.watch.check()
    settings = watched.t.settings
    watched.t.configure(replace(settings, dns=replace(settings.dns, base_domain="new.example.org")))
    watched.watch.check()
    assert "not below a node of new.example.org" in watched.watch.worry()


def test_a_file_that_may_be_read_at_last_is_read(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.write({"name": "a.mesh", "value": "100.64.0.9"})
    with monkeypatch.context() as closed:
        refusal = ConfigError("x", [Problem("dns.extra_records_path", "cannot be read: Permission denied")])
        closed.setattr(recordswatch, "read_records", Mock(side_effect=refusal))
        watched.watch.check()
    assert "Permission denied" in watched.watch.worry()
    watched.file.chmod(0o640)
    watched.watch.check()
    assert watched.names == ["a.mesh"] and watched.watch.worry() == ""
