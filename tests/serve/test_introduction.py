"""What is kept of the separate relay."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox import log
from meshbox.serve.introduction import Introduction, KeptIntroduction, introduction_of

PIN = "sha256-raw:" + "ab" * 32


@pytest.mark.parametrize("said", [Introduction(), Introduction(PIN, True)])
def test_it_is_the_same_after_a_restart_for_the_same_relay_only(tmp_path: Path, said: Introduction) -> None:
    KeptIntroduction(tmp_path).keep("/run/relay.sock", said)
    assert KeptIntroduction(tmp_path).recall("/run/relay.sock") == said
    assert KeptIntroduction(tmp_path).recall("/run/other.sock") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"place": "/run/relay.sock"}', b"\xff\xfe"])
def test_a_broken_file_is_no_knowledge(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "derp-relay.json").write_bytes(content)
    assert KeptIntroduction(tmp_path).recall("/run/relay.sock") is None


@pytest.mark.parametrize("answer", [{}, {"pin": None}, {"pin": 5}, {"pin": "rubbish"}])
def test_an_answer_without_a_pin_is_no_introduction(answer: dict[str, object]) -> None:
    assert introduction_of(answer) is None


def test_a_directory_that_takes_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(log, "emit", lambda event, **fields: said.append(f"{event}: {fields['reason']}"))
    KeptIntroduction(tmp_path / "gone").keep("/run/relay.sock", Introduction(PIN))
    assert said == ["derp_introduction_not_kept: No such file or directory"]
