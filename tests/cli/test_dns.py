from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.tailnet.settings import DnsOverride
from meshbox.tailnet.tailnet import Tailnet
from tests.cli.conftest import Shell
from tests.serve.api.stand import DOMAIN
from tests.tailnet.build import join, make_key


@pytest.fixture
def shell(shell: Shell) -> Shell:
    def fill(t: Tailnet) -> None:
        key = make_key(t, "ana", reusable=True)
        join(t, 1, key, "laptop")
        join(t, 2, key, "phone")
        override = DnsOverride(("node:phone",), nameservers=("9.9.9.9",))
        dns = replace(t.settings.dns, split=(("corp.example", ("10.0.0.1",)),), overrides=(override,))
        t.configure(replace(t.settings, dns=dns))

    shell.stand.do(fill)
    return shell


def test_show_of_everybody_and_of_one(shell: Shell) -> None:
    everybody = shell.json("dns", "show")
    assert (everybody["node"], everybody["baseDomain"]) == ("", DOMAIN)
    assert "Resolvers" not in everybody["config"]
    phone = shell.json("dns", "show", "--as", "phone")
    assert phone["config"]["Resolvers"] == [{"Addr": "9.9.9.9"}]
    assert "corp.example -> 10.0.0.1" in shell.type("dns", "show", "--as", "phone", "-o", "table").out


def test_query_says_what_and_why(shell: Shell) -> None:
    found = shell.json("dns", "query", "phone", "--as", "laptop")
    assert (found["name"], found["values"], found["why"]) == (f"phone.{DOMAIN}", ["100.64.0.2"], "node phone")
    assert shell.json("dns", "query", "x.corp.example", "--as", "laptop")["resolvers"] == ["10.0.0.1"]
    assert shell.json("dns", "query", "100.64.0.1", "--as", "phone", "-t", "ptr")["values"] == [
        f"laptop.{DOMAIN}"
    ]
    assert shell.type("dns", "query", "phone", "--as", "laptop", "-o", "name").out == "100.64.0.2\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("query", "phone"), 2, "--as NODE"),
        (("query", "phone", "--as", "nobody"), 3, "there is no node 'nobody'"),
        (("query", "phone", "--as", "laptop", "--type", "MX"), 2, "clients answer A, AAAA and PTR"),
        (("query", "a b", "--as", "laptop"), 2, "wants a domain name"),
        (("show", "--as", "nobody"), 3, "there is no node 'nobody'"),
    ],
)
def test_what_cannot_be_asked(shell: Shell, words: tuple[str, ...], code: int, said: str) -> None:
    outcome = shell.type("dns", *words)
    assert outcome.code == code and said in outcome.err
