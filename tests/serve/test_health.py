"""Health: what is wrong, said once when it starts and once when it is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.errors import StoreFull
from meshbox.serve import health
from meshbox.serve.health import FRESH, Health, Probes


class Sick:
    def __init__(self, tmp_path: Path) -> None:
        self.now = 100.0
        self.lag = 0.0
        self.failure = self.worry = ""
        self.is_full = False
        self.checks = 0
        doubts = {"certificate": lambda: self.worry}
        probes = Probes(self.check, lambda: self.lag, lambda: self.failure, tmp_path, doubts)
        self.health = Health(probes, lambda: self.now)

    def check(self) -> None:
        self.checks += 1
        if self.is_full:
            raise StoreFull("no space left on the disk of the database")


@pytest.fixture
def sick(tmp_path: Path) -> Sick:
    return Sick(tmp_path)


def test_a_sound_server_has_no_problems(sick: Sick) -> None:
    assert sick.health.is_well and sick.health.store_answers()


def test_each_check_names_its_problem(sick: Sick, monkeypatch: pytest.MonkeyPatch) -> None:
    sick.is_full, sick.lag, sick.failure = True, 6.0, "expired"
    monkeypatch.setattr(health, "DISK_SHARE", 1.01)
    problems = sick.health.problems()
    assert set(problems) == {"store", "loop", "certificate", "disk"}
    assert "no space" in problems["store"] and not sick.health.store_answers()


def test_a_verdict_is_kept_for_a_moment_so_that_strangers_cannot_make_us_write(sick: Sick) -> None:
    for _ in range(100):
        assert sick.health.is_well
    assert sick.checks == 1
    sick.is_full = True
    sick.now += FRESH
    assert not sick.health.is_well
    sick.is_full = False
    sick.now += FRESH
    assert sick.health.is_well


def test_losing_and_regaining_health_is_logged_once(sick: Sick, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(health.log, "emit", lambda event, **fields: said.append(event))
    sick.is_full = True
    for _ in range(3):
        sick.now += FRESH
        sick.health.problems()
    sick.is_full = False
    for _ in range(3):
        sick.now += FRESH
        sick.health.problems()
    assert said == ["health_lost", "health_regained"]


def test_a_disk_that_is_gone_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    probes = Probes(lambda: None, lambda: 0.0, lambda: "", tmp_path / "unmounted")
    health = Health(probes, lambda: 100.0)
    assert list(health.problems()) == ["disk"]
    assert "unmounted does not answer" in health.problems()["disk"]


def test_a_doubt_warns_and_does_not_fail(sick: Sick, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, object]] = []
    monkeypatch.setattr(health.log, "emit", lambda event, **fields: said.append((event, fields["what"])))
    assert sick.health.status == "pass"
    for worry, failure in (("soon", ""), ("soon", "expired"), ("", "expired"), ("", "")):
        sick.worry, sick.failure = worry, failure
        sick.now += FRESH
        sick.health.problems()
        assert sick.health.status == ("fail" if failure else "warn" if worry else "pass")
    assert said == [
        ("health_doubtful", "certificate"),
        ("health_lost", "certificate"),
        ("health_regained", "certificate"),
    ]


def test_the_watchdog_bites_only_where_a_restart_helps(sick: Sick) -> None:
    sick.failure = "expired"
    assert not sick.health.is_well and not sick.health.restart_would_help
    sick.lag = 6.0
    sick.now += FRESH
    assert sick.health.restart_would_help
