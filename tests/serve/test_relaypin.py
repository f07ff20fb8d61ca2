"""What is kept of the separate relay."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox import log
from meshbox.serve.relaypin import KeptPin

PIN = "sha256-raw:" + "ab" * 32


@pytest.mark.parametrize("pin", ["", PIN])
def test_it_is_the_same_after_a_restart_for_the_same_relay_only(tmp_path: Path, pin: str) -> None:
    KeptPin(tmp_path).keep("/run/relay.sock", pin)
    assert KeptPin(tmp_path).recall("/run/relay.sock") == pin
    assert KeptPin(tmp_path).recall("/run/other.sock") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"place": "/run/relay.sock"}', b"\xff\xfe"])
def test_a_broken_file_is_no_knowledge(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "derp-relay.json").write_bytes(content)
    assert KeptPin(tmp_path).recall("/run/relay.sock") is None


def test_a_directory_that_takes_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: said.append(f"{event}: {fields['reason']}"))
    KeptPin(tmp_path / "gone").keep("/run/relay.sock", PIN)
    assert said == ["derp_pin_not_kept: No such file or directory"]
