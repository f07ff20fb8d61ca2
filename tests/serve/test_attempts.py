"""Failed attempts: counted per source and minute, in bounded memory."""

from __future__ import annotations

from meshbox.serve.attempts import SOURCES, WINDOW, Attempts


def test_a_source_over_its_limit_waits_for_the_rest_of_its_minute() -> None:
    attempts = Attempts()
    for number in range(10):
        assert attempts.wait("a", 10, 100.0) == 0
        assert attempts.note("a", 100.0) == number + 1
    assert attempts.wait("a", 10, 130.0) == 31
    assert attempts.wait("b", 10, 130.0) == 0
    assert attempts.wait("a", 10, 100.0 + WINDOW) == 0
    assert attempts.note("a", 100.0 + WINDOW) == 1


def test_the_source_silent_longest_is_forgotten() -> None:
    attempts = Attempts()
    for number in range(SOURCES):
        attempts.note(number, 0.0)
    attempts.note(0, 1.0)
    attempts.note("new", 1.0)
    assert attempts.note(0, 2.0) == 3
    assert attempts.note(1, 2.0) == 1
