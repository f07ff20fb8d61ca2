from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.serve.acme.challenges import ANSWER_LIMIT, KEPT, Challenges

TOKEN = "a" * 43


def test_our_own_answers_and_no_others() -> None:
    challenges = Challenges()
    challenges.publish(TOKEN, f"{TOKEN}.print")
    assert challenges.text(TOKEN) == f"{TOKEN}.print".encode()
    assert challenges.text("b" * 43) is None


def test_only_so_many_are_remembered() -> None:
    challenges = Challenges()
    for number in range(KEPT + 1):
        challenges.publish(f"{number:043}", "x")
    assert challenges.text(f"{0:043}") is None and challenges.text(f"{KEPT:043}") == b"x"


@pytest.fixture
def webroot(tmp_path: Path) -> Path:
    directory = tmp_path / "www/.well-known/acme-challenge"
    directory.mkdir(parents=True)
    (directory / TOKEN).write_text("from certbot")
    (tmp_path / "www/secret").write_text("secret")
    (directory / "secret-behind-a-link").symlink_to(directory / TOKEN)
    (directory / ("d" * 20)).mkdir()
    (directory / ("l" * 20)).write_bytes(b"x" * 100_000)
    return tmp_path / "www"


def test_what_certbot_put_into_its_webroot(webroot: Path) -> None:
    challenges = Challenges(webroot)
    assert challenges.text(TOKEN) == b"from certbot"
    assert len(challenges.text("l" * 20) or b"") == ANSWER_LIMIT


@pytest.mark.parametrize(
    "token", ["", "..", "../../secret", "..%2f..%2fsecret", "/etc/passwd", "d" * 20, "x" * 129, TOKEN + "\0"]
)
def test_no_name_leads_out(webroot: Path, token: str) -> None:
    assert Challenges(webroot).text(token) is None
