from __future__ import annotations

import time
from dataclasses import replace

import pytest

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
        make_key(t, "ben")
        t.presence.enter(2)

    shell.stand.do(fill)
    return shell


def names(shell: Shell) -> list[str]:
    return shell.type("nodes", "list", "-o", "name").lines


def test_list(shell: Shell) -> None:
    assert shell.type("nodes", "list", "--columns", "id,name,owner,state,last seen,expires").lines == [
        "id\tname\towner\tstate\tlast-seen\texpires",
        "1\tlaptop\tana\toffline\t-\t-",
        "2\tphone\tana\tonline\t-\t-",
    ]


def test_list_filters(shell: Shell) -> None:
    assert shell.type("nodes", "list", "--user", "ben", "-o", "name").lines == []
    assert shell.type("nodes", "list", "--state", "online", "-o", "name").lines == ["phone"]
    shell.type("nodes", "tag", "laptop", "--tags", "web")
    assert shell.type("nodes", "list", "--tag", "web", "-o", "name").lines == ["laptop"]
    assert shell.type("nodes", "list", "--user", "zoe").code == 3


def test_table(shell: Shell) -> None:
    lines = shell.type("nodes", "list", "-o", "table").lines
    assert lines[0].split() == ["ID", "NAME", "OWNER", "IPV4", "STATE", "LAST", "SEEN", "EXPIRES", "OS"]
    assert lines[1].split()[:3] == ["1", "laptop", "ana"]
    assert lines[0].index("STATE") == lines[1].index("offline") == lines[2].index("online")
    assert "\x1b" not in "".join(lines)


def test_wide_and_show_have_the_rest(shell: Shell) -> None:
    for words in (("nodes", "list", "-o", "wide"), ("nodes", "show", "phone")):
        out = shell.type(*words).out
        assert "nodekey:" in out and f"phone.{DOMAIN}" in out and "1.102.5" in out


def test_json_and_yaml_are_the_api_objects(shell: Shell) -> None:
    import yaml

    nodes = shell.json("nodes", "list")
    assert [node["givenName"] for node in nodes] == ["laptop", "phone"]
    assert yaml.safe_load(shell.type("nodes", "list", "-o", "yaml").out) == nodes
    assert len(shell.type("nodes", "list", "-o", "json-line").lines) == 1
    assert shell.json("nodes", "show", "laptop") == nodes[0]


def test_rename(shell: Shell) -> None:
    outcome = shell.type("nodes", "rename", "laptop", "desk")
    assert (outcome.code, outcome.err) == (0, f"laptop is now desk.{DOMAIN}\n")
    assert names(shell) == ["desk", "phone"]


def test_delete_several_by_different_names(shell: Shell) -> None:
    outcome = shell.type("nodes", "delete", "laptop", "2", f"laptop.{DOMAIN}", "--yes")
    assert outcome.code == 0
    assert outcome.err.count("deleted node") == 2
    assert names(shell) == []


def test_delete_is_all_or_nothing_about_names(shell: Shell) -> None:
    outcome = shell.type("nodes", "delete", "laptop", "phnoe", "--yes")
    assert outcome.code == 3 and "did you mean phone?" in outcome.err
    assert names(shell) == ["laptop", "phone"]


def test_expire_and_disable(shell: Shell) -> None:
    assert "logged out node laptop (id 1, of ana, 100.64.0." in shell.type("nodes", "logout", "laptop").err
    assert shell.json("nodes", "show", "laptop")["expired"] is True
    assert shell.type("nodes", "expire", "laptop", "--disable").code == 0
    assert shell.json("nodes", "show", "laptop")["expiry"] is None


def test_expire_later(shell: Shell) -> None:
    assert shell.type("nodes", "expire", "phone", "--in", "30d").code == 0
    expiry = shell.json("nodes", "show", "phone")["expiry"]
    left = time.mktime(time.strptime(expiry, "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(time.gmtime())
    assert abs(left - 30 * 86_400) < 3700
    assert shell.type("nodes", "expire", "phone", "-e", "2040-01-01T00:00:00Z").code == 0
    assert shell.json("nodes", "show", "phone")["expiry"] == "2040-01-01T00:00:00Z"


def test_tag_and_move(shell: Shell) -> None:
    assert shell.type("nodes", "tag", "laptop", "-t", "tag:web,db", "-t", "tag:ci").code == 0
    assert shell.json("nodes", "show", "laptop")["tags"] == ["tag:ci", "tag:db", "tag:web"]
    assert (
        shell.type("nodes", "list", "--columns", "owner", "--no-header").lines[0] == "tag:ci,tag:db,tag:web"
    )
    assert shell.type("nodes", "move", "laptop", "--user", "ben").code == 0
    assert shell.json("nodes", "show", "laptop")["user"]["name"] == "ben"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("nodes", "delete"), 2, "wants a node"),
        (("nodes", "delete", "laptop"), 4, "Delete node laptop (id 1, of ana, 100.64.0."),
        (("nodes", "delete", "99", "-y"), 3, "there is no node with id 99"),
        (("nodes", "delete", "x" * 5000, "-y"), 3, "there is no node"),
        (("nodes", "rename", "laptop", "phone"), 5, "already a node named 'phone'"),
        (("nodes", "rename", "laptop", "../x"), 2, "cannot be a node name"),
        (("nodes", "rename", "laptop", ""), 2, "an empty name names nothing"),
        (("nodes", "rename", "laptop"), 2, "wants the node and the new name"),
        (("nodes", "rename", "a", "b", "c"), 2, "wants the node and the new name"),
        (("nodes", "expire", "laptop", "--in", "soon"), 2, "--in: 'soon' is not a duration"),
        (("nodes", "expire", "laptop", "--in", "99999999999999999y"), 2, "is not a duration"),
        (("nodes", "expire", "laptop", "-e", "soon"), 2, "is not a time"),
        (("nodes", "expire", "laptop", "--in", "1h", "--disable"), 2, "exclude each other"),
        (("nodes", "tag", "laptop"), 2, "cannot lose all its tags"),
        (("nodes", "tag", "laptop", "-t", "Web!"), 2, "is not a tag"),
        (("nodes", "move", "laptop", "-u", "zoe"), 3, "there is no user 'zoe'"),
        (("nodes", "move", "laptop"), 2, "Missing option"),
        (("nodes", "show"), 2, "wants one node"),
        (("nodes", "list", "--state", "sleepy"), 2, "'sleepy' is not one of"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(
    shell: Shell, words: tuple[str, ...], code: int, says: str
) -> None:
    before = shell.json("nodes", "list")
    outcome = shell.type(*words)
    assert (outcome.code, outcome.out) == (code, ""), outcome
    assert outcome.err.startswith("meshbox: ") and says in outcome.err, outcome.err
    assert shell.json("nodes", "list") == before


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("node", "delete", "-i", "1", "--force"), ["phone"]),
        (("nodes", "rename", "desk", "-i", "1"), ["desk", "phone"]),
        (("nodes", "rename", "-i", "1", "desk"), ["desk", "phone"]),
        (("nodes", "logout", "-i", "1"), ["laptop", "phone"]),
        (("nodes", "e", "-i", "1"), ["laptop", "phone"]),
        (("nodes", "tags", "-i", "1", "-t", "tag:a"), ["laptop", "phone"]),
        (("nodes", "ls", "-u", "ana"), ["laptop", "phone"]),
    ],
)
def test_spellings_people_know(shell: Shell, words: tuple[str, ...], left: list[str]) -> None:
    assert shell.type(*words).code == 0
    assert names(shell) == left


def test_host_names_cannot_steer_the_terminal(shell: Shell) -> None:
    evil = "a\x1b[2J\x07\r\nfake\trow\u202e"
    shell.stand.do(lambda t: join(t, 9, make_key(t, "ana"), evil))
    for form in ("table", "wide", "tsv", "name"):
        out = shell.type("nodes", "list", "-o", form, "--columns", "hostname,name").out
        assert not set(out) & set("\x1b\x07\r\u202e"), form
    for words in (("nodes", "show", "3"), ("nodes", "rename", "3", "x")):
        outcome = shell.type(*words)
        assert outcome.code == 0 and not set(outcome.out + outcome.err) & set("\x1b\x07\r\u202e")


def test_approve_lets_a_waiting_node_in(shell: Shell) -> None:
    def wait(t: Tailnet) -> None:
        t.configure(replace(t.settings, needs_approval=True))
        join(t, 3, make_key(t, "ben"), "newcomer")

    shell.stand.do(wait)
    assert shell.type("nodes", "list", "--state", "waiting", "-o", "name").lines == ["newcomer"]
    assert shell.json("status")["nodesUnapproved"] == 1
    assert "is approved" in shell.type("nodes", "approve", "newcomer").err
    assert shell.json("status")["nodesUnapproved"] == 0
    assert "was already approved" in shell.type("nodes", "approve", "newcomer").err
    assert shell.type("nodes", "list", "--state", "waiting", "-o", "name").lines == []


def test_renew_brings_a_node_back(shell: Shell) -> None:
    shell.type("nodes", "expire", "laptop")
    assert shell.json("nodes", "show", "laptop")["expired"] is True
    assert "expires: never" in shell.type("nodes", "renew", "laptop").err
    assert shell.json("nodes", "show", "laptop")["expired"] is False
    assert shell.type("nodes", "renew", "laptop", "--for", "soon").code == 2
    assert shell.type("nodes", "renew").code == 2


def test_set_ip_chooses_an_address(shell: Shell) -> None:
    said = shell.type("nodes", "set-ip", "laptop", "100.64.0.77").err
    assert said == "node laptop now has 100.64.0.77 and fd7a:115c:a1e0::1\n"
    for wrong, code in (("100.64.0.2", 5), ("10.0.0.1", 5), ("seven", 2)):
        outcome = shell.type("nodes", "set-ip", "laptop", wrong)
        assert outcome.code == code and len(outcome.err.splitlines()) == 1
    assert shell.json("nodes", "show", "laptop")["ipAddresses"][0] == "100.64.0.77"
    assert shell.type("nodes", "set-ip", "laptop").code == 2
