"""Sessions of the console: they end by themselves, and there is an end to how many."""

from __future__ import annotations

from meshbox.serve.console import sessions
from meshbox.serve.console.rights import Right
from meshbox.serve.console.sessions import IDLE, LIFE, Notice, Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_idle_and_old_sessions_end() -> None:
    clock = Clock()
    shelf = Sessions(clock, lambda: 0.0)
    used, idle = shelf.begin("api:a", lambda now: Right.ALL), shelf.begin("api:b", lambda now: Right.ALL)
    steps = int(LIFE / (IDLE - 60))
    for _ in range(steps):
        clock.now += IDLE - 60
        assert shelf.find(used)
    assert shelf.find(idle) is None
    clock.now = 1000.0 + LIFE
    assert shelf.find(used) is None and len(shelf) == 0


def test_a_right_that_ended_ends_the_session_for_good() -> None:
    rights: dict[str, Right | None] = {"a": Right.ALL}
    shelf = Sessions(lambda: 0.0, lambda: 0.0)
    cookie = shelf.begin("api:a", lambda now: rights["a"])
    session = shelf.find(cookie)
    assert session is not None and session.form_token != cookie
    assert session.right is Right.ALL
    rights["a"] = Right.LOOK
    assert shelf.find(cookie) is session and session.right is Right.LOOK
    rights["a"] = None
    assert shelf.find(cookie) is None
    rights["a"] = Right.LOOK
    assert shelf.find(cookie) is None


def test_the_oldest_ends_when_there_are_too_many() -> None:
    shelf = Sessions(lambda: 0.0, lambda: 0.0)
    cookies = [shelf.begin(f"api:{number}", lambda now: Right.ALL) for number in range(sessions.AT_MOST + 1)]
    assert len(shelf) == sessions.AT_MOST
    assert shelf.find(cookies[0]) is None and shelf.find(cookies[-1])


def test_who_signs_in_again_and_again_ends_only_their_own() -> None:
    shelf = Sessions(lambda: 0.0, lambda: 0.0)
    other = shelf.begin("oidc:boss", lambda now: Right.ALL)
    cookies = [shelf.begin("oidc:mallory", lambda now: Right.OWN) for _ in range(sessions.PER_ACTOR + 3)]
    assert len(shelf) == sessions.PER_ACTOR + 1 and shelf.find(other)
    assert [shelf.find(cookie) is not None for cookie in cookies] == [False] * 3 + [True] * sessions.PER_ACTOR


def test_a_notice_is_shown_once() -> None:
    shelf = Sessions(lambda: 0.0, lambda: 0.0)
    session = shelf.find(shelf.begin("api:a", lambda now: Right.ALL))
    assert session is not None
    session.notice = Notice("a key", secret="mb-auth-x")
    assert session.take_notice() == Notice("a key", secret="mb-auth-x") and session.take_notice() is None
