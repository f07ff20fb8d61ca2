from __future__ import annotations

from meshbox.policy import problem
from meshbox.policy.problem import Failure, PolicyError, Spot


def test_the_message_stays_exact_and_the_place_stands_beside_it() -> None:
    error = PolicyError('tag not found: "tag:x"', Spot(3, 7))
    assert str(error) == 'tag not found: "tag:x"'
    assert error.placed == 'line 3, column 7: tag not found: "tag:x"'
    assert PolicyError("x").placed == "x"


def test_failed_tests_say_which() -> None:
    failure = Failure("ana@example.com", ("want: Accept",), Spot(2, 1))
    error = problem.tests_failed((failure,))
    assert str(error) == "test(s) failed" and error.failures == (failure,) and error.spot == Spot(2, 1)
