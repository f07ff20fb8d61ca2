from __future__ import annotations

import pytest

from tests.cli.conftest import Shell
from tests.tailnet.build import join, make_key


def names(shell: Shell) -> list[str]:
    return shell.type("users", "list", "-o", "name").lines


def test_create_list_rename_delete(shell: Shell) -> None:
    made = shell.type("users", "create", "ana", "--display-name", "Ana A.")
    assert (made.code, made.out) == (0, "")
    assert made.err == "created user ana (id 1)\n"
    assert names(shell) == ["ana"]
    assert shell.type("users", "rename", "ana", "anna").err == "renamed ana to anna\n"
    gone = shell.type("users", "delete", "anna", "--yes")
    assert (gone.code, gone.err) == (0, "deleted user anna (id 1)\n")
    assert names(shell) == []


def test_list_is_tab_separated_when_piped(shell: Shell) -> None:
    shell.type("users", "create", "ana", "-e", "ana@example.org")
    assert shell.type("users", "list").lines == [
        "id\tname\tdisplay-name\temail\trole\tgroups\tcreated",
        "1\tana\t-\tana@example.org\tmember\t-\t2023-11-14T22:13:20Z",
    ]
    assert shell.type("users", "list", "--no-header", "--columns", "email,id").out == "ana@example.org\t1\n"


def test_json_is_the_api_object(shell: Shell) -> None:
    user = shell.json("users", "create", "ana")
    assert user["name"] == "ana" and user["id"] == "1"
    assert shell.json("users", "list") == [user]
    assert shell.json("users", "show", "ana") == user


def test_show_lists_every_fact(shell: Shell) -> None:
    shell.type("users", "create", "ana")
    shown = shell.type("users", "show", "1").out
    assert "Name          ana\n" in shown and "Created       2023-11-14T22:13:20Z  (" in shown


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("users", "create", "ana"), 5, "there is already a user 'ana'"),
        (("users", "create", "two words"), 2, "cannot be a user name"),
        (("users", "create", ""), 2, "name: is missing"),
        (("users", "create"), 2, "Missing argument 'NAME'"),
        (("users", "rename", "ana"), 2, "wants the user and the new name"),
        (("users", "rename", "zoe", "z"), 3, "there is no user 'zoe'"),
        (("users", "rename", "ana", "a/b"), 2, "cannot be a user name"),
        (("users", "rename", "ana", "tagged-devices"), 2, "choose another"),
        (("users", "delete", "anna", "-y"), 3, "did you mean ana?"),
        (("users", "delete", "", "-y"), 2, "wants the user"),
        (("users", "delete", "ana"), 4, "Delete user ana (id 1) and its pre-auth keys? Nobody is there"),
        (("users", "delete", "../user/ana", "-y"), 3, "there is no user"),
        (("users", "delete", "."), 3, "there is no user"),
        (("users", "show", "\x1b[2J"), 3, "there is no user"),
        (("users", "list", "--columns", "nme"), 2, "there is no column 'nme'; there are id, name"),
        (("users", "list", "-o", "xml"), 2, "'xml' is not one of"),
        (("users", "list", "--nme", "x"), 2, "No such option"),
        (("users", "lst"), 2, "there is no command 'lst'; did you mean list?"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(
    shell: Shell, words: tuple[str, ...], code: int, says: str
) -> None:
    shell.type("users", "create", "ana")
    outcome = shell.type(*words)
    assert (outcome.code, outcome.out) == (code, ""), outcome
    assert outcome.err.startswith("meshbox: ") and says in outcome.err, outcome.err
    assert "Traceback" not in outcome.err and "\x1b" not in outcome.err
    assert names(shell) == ["ana"]


def test_mistakes_are_objects_for_scripts(shell: Shell) -> None:
    outcome = shell.type("-o", "json", "users", "show", "zoe")
    assert outcome.code == 3 and outcome.out == ""
    assert outcome.err == '{"error": "there is no user \'zoe\'"}\n'


def test_user_with_nodes_stays(shell: Shell) -> None:
    shell.stand.do(lambda t: join(t, 1, make_key(t, "ana")))
    outcome = shell.type("users", "delete", "ana", "--yes")
    assert outcome.code == 5 and "still owns 1 node" in outcome.err
    assert names(shell) == ["ana"]


@pytest.mark.parametrize(
    "words",
    [
        ("user", "destroy", "-i", "1", "--force"),
        ("users", "destroy", "-n", "ana", "--force"),
        ("--force", "users", "rm", "ana"),
        ("users", "del", "ana", "-y"),
    ],
)
def test_spellings_people_know(shell: Shell, words: tuple[str, ...]) -> None:
    shell.type("user", "c", "ana")
    assert shell.type(*words).code == 0
    assert names(shell) == []


def test_rename_as_headscale_spells_it(shell: Shell) -> None:
    shell.type("users", "create", "ana")
    assert shell.type("users", "rename", "-i", "1", "-r", "anna").code == 0
    assert shell.type("users", "rename", "-n", "anna", "-r", "ann").code == 0
    assert names(shell) == ["ann"]


def test_role_and_groups_are_set_and_listed(shell: Shell) -> None:
    from typing import get_args

    from meshbox.cli.users import ROLES
    from meshbox.policy.world import Role

    assert get_args(Role) == ROLES
    shell.type("users", "create", "ana")
    assert "ana is admin now" in shell.type("users", "set-role", "ana", "admin").err
    outcome = shell.type("users", "set-groups", "ana", "group:ops", "group:dev")
    assert "ana is in group:dev group:ops now" in outcome.err
    (ana,) = shell.json("users", "list")
    assert (ana["role"], ana["groups"]) == ("admin", ["group:dev", "group:ops"])
    assert "admin\tgroup:dev,group:ops" in shell.type("users", "list").out
    assert "is in no group now" in shell.type("users", "set-groups", "ana").err
    assert shell.type("users", "set-role", "ana", "king").code == 2
    assert shell.type("users", "set-groups", "ana", "ops").code == 2


def test_who_signs_in_as_a_user(shell: Shell) -> None:
    for name in ("ana", "ben"):
        shell.type("users", "create", name)
    unknown = shell.type("users", "link", "ana", "id1")
    assert unknown.code == 2 and "no sign-in provider" in unknown.err
    issuer = ("--issuer", "https://id.example.com/")
    said = shell.type("users", "link", "ana", "id1", *issuer)
    assert said.err == "id1 at https://id.example.com/ signs in as ana now\n"
    assert "https://id.example.com/id1" in shell.type("users", "list", "-o", "wide").out
    taken = shell.type("users", "link", "ben", "id1", *issuer)
    assert taken.code == 5 and "signs in as ana; unlink" in taken.err
    assert shell.type("users", "unlink", "ana").err == "nobody signs in as ana any more\n"
    assert shell.json("users", "show", "ana")["providerId"] == ""
