from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from meshbox.errors import Exhausted
from tests.cli.conftest import Shell
from tests.serve.api.stand import URL, Stand
from tests.serve.api.test_auth import knock
from tests.tailnet.build import join, make_key


def test_list_approve(shell: Shell) -> None:
    pending = shell.stand.do(lambda t: knock(t, hostname="visitor"))
    assert (
        shell.type("auth", "list", "--columns", "id,hostname,from").lines[1]
        == f"{pending}\tvisitor\t192.0.2.9"
    )
    outcome = shell.type("auth", "approve", pending, "--user", "ana")
    assert outcome.code == 0 and outcome.err.startswith("let in node visitor (id 1, of ana, 100.64.0.")
    assert shell.type("auth", "list", "--no-header").out == ""


@pytest.mark.parametrize(
    "words",
    [
        ("auth", "approve", f"{URL}/register/PENDING", "-u", "1"),
        ("auth", "register", "--auth-id", "PENDING", "--user", "ana"),
        ("nodes", "register", "--user", "ana", "--key", "PENDING"),
    ],
)
def test_spellings_people_know(shell: Shell, words: tuple[str, ...]) -> None:
    pending = shell.stand.do(knock)
    assert shell.type(*(word.replace("PENDING", pending) for word in words)).code == 0
    assert shell.type("nodes", "list", "-o", "name").out == "visitor\n"


def test_reject(shell: Shell) -> None:
    pending = shell.stand.do(knock)
    assert shell.type("auth", "reject", pending).code == 0
    assert shell.type("auth", "approve", pending, "-u", "ana").code == 3
    assert shell.json("nodes", "list") == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("approve", "PENDING"), 2, "say whose device it will be"),
        (("approve", "-u", "ana"), 2, "wants a registration"),
        (("approve", "PENDING", "-u", "zoe"), 3, "there is no user 'zoe'"),
        (("approve", "nonsense", "-u", "ana"), 3, "run `tailscale up` again"),
        (("reject",), 2, "wants a registration"),
        (("reject", "nonsense"), 3, "no registration 'nonsense' is waiting"),
    ],
)
def test_mistakes_let_nobody_in(shell: Shell, words: tuple[str, ...], code: int, says: str) -> None:
    pending = shell.stand.do(knock)
    outcome = shell.type("auth", *(word.replace("PENDING", pending) for word in words))
    assert (outcome.code, says in outcome.err) == (code, True), outcome
    assert shell.json("nodes", "list") == []
    assert len(shell.json("auth", "list")) == 1


def test_no_address_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Stand(tmp_path, prefix=IPv4Network("100.64.0.0/29")) as stand:
        (tmp_path / "config.yaml").write_text("unix_socket: api.sock\n")
        shell = Shell(stand, tmp_path / "config.yaml", capsys)
        pending = stand.do(lambda t: knock(t, 100))
        with pytest.raises(Exhausted):
            stand.do(lambda t: [join(t, number, make_key(t, "ana")) for number in range(8)])
        outcome = shell.type("auth", "approve", pending, "-u", "ana")
        assert outcome.code == 7 and "no address is left in 100.64.0.0/29" in outcome.err
        assert len(shell.json("auth", "list")) == 1
