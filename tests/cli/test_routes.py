from __future__ import annotations

import json

import pytest

from meshbox.tailnet import report
from meshbox.tailnet.tailnet import Tailnet
from tests.cli.conftest import Shell
from tests.tailnet.build import NOW, join, machine, make_key, map_request


@pytest.fixture
def shell(shell: Shell) -> Shell:
    def fill(t: Tailnet) -> None:
        key = make_key(t, "ana", reusable=True)
        for number, name in ((1, "office"), (2, "spare")):
            node = join(t, number, key, name)
            offered = ["10.33.0.0/16"] if number == 2 else ["10.33.0.0/16", "0.0.0.0/0", "::/0"]
            report.take(t, machine(number), map_request(number, name, routes=offered), NOW)
            t.presence.enter(node.id)

    shell.stand.do(fill)
    return shell


def test_approve_list_withdraw(shell: Shell) -> None:
    assert shell.type("routes", "list", "--columns", "route,node,state").lines == [
        "route\tnode\tstate",
        "10.33.0.0/16\toffice\twaiting",
        "10.33.0.0/16\tspare\twaiting",
        "0.0.0.0/0\toffice\twaiting",
        "::/0\toffice\twaiting",
    ]
    said = shell.type("routes", "approve", "office")
    assert "may carry 10.33.0.0/16, 0.0.0.0/0, ::/0" in said.err + said.out
    shell.type("routes", "approve", "spare", "10.33.0.0/16")
    listed = json.loads(shell.type("routes", "list", "--node", "spare", "-o", "json").out)
    assert [(one["route"], one["state"]) for one in listed] == [("10.33.0.0/16", "standby")]
    shell.type("routes", "withdraw", "office", "exit")
    states = {line.split("\t")[2] for line in shell.type("routes", "list", "-n", "office", "--columns",
                                                          "route,node,state").lines[1:]}  # fmt: skip
    assert states == {"primary", "waiting"}
    shell.type("routes", "withdraw", "office")
    assert shell.stand.do(lambda t: t.nodes[1].approved_routes) == ()


def test_headscales_spelling_sets_exactly_these(shell: Shell) -> None:
    shell.type("nodes", "approve-routes", "-i", "1", "-r", "10.33.0.0/16,0.0.0.0/0")
    assert len(shell.stand.do(lambda t: t.nodes[1].approved_routes)) == 3
    shell.type("nodes", "approve-routes", "-i", "1", "-r", "")
    assert shell.stand.do(lambda t: t.nodes[1].approved_routes) == ()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("approve", "office", "10.33.0.1/16"), 2, "is not a route"),
        (("approve", "office", "100.64.0.0/16"), 2, "where the nodes themselves are"),
        (("withdraw", "office", "10.99.0.0/16"), 2, "is not approved for 10.99.0.0/16"),
        (("approve", "nowhere"), 3, "nowhere"),
    ],
)
def test_mistakes_change_nothing(shell: Shell, words: tuple[str, ...], code: int, sentence: str) -> None:
    said = shell.type("routes", *words)
    assert said.code == code and sentence in said.err
    assert shell.stand.do(lambda t: t.nodes[1].approved_routes) == ()
