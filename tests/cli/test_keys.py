"""`preauthkeys` and `apikeys`: the secret alone on stdout, once."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from meshbox.tailnet.authkeys import KeyRefused, check_auth_key
from tests.cli.conftest import Shell
from tests.tailnet.build import NOW


@pytest.fixture
def shell(shell: Shell) -> Shell:
    shell.type("users", "create", "ana")
    return shell


def test_the_key_is_alone_on_stdout(shell: Shell) -> None:
    outcome = shell.type("preauthkeys", "create", "--user", "ana", "--reusable", "--expiration", "24h")
    assert outcome.code == 0
    assert re.fullmatch(r"mb-auth-\w{12}-\w{43}\n", outcome.out)
    assert "for any number of devices of ana, until " in outcome.err
    secret = outcome.out.strip().rpartition("-")[2]
    assert secret not in outcome.err
    assert secret not in shell.type("preauthkeys", "list", "-o", "json").out
    found = shell.stand.do(lambda t: check_auth_key(t, outcome.out.strip(), NOW))
    assert not isinstance(found, KeyRefused)
    assert found.reusable and not found.ephemeral


def test_json_has_the_secret_as_key(shell: Shell) -> None:
    made = shell.json("preauthkeys", "create", "-u", "1", "--ephemeral", "--tags", "tag:a,b", "-e", "never")
    assert re.fullmatch(r"mb-auth-\w{12}-\w{43}", made["key"])
    assert made["ephemeral"] and made["aclTags"] == ["tag:a", "tag:b"] and made["expiration"] is None


def test_quiet_says_nothing_but_the_key(shell: Shell) -> None:
    outcome = shell.type("preauthkeys", "create", "-u", "ana", "-q")
    assert outcome.err == "" and outcome.out.startswith("mb-auth-")


@pytest.mark.parametrize("how", ["id", "prefix", "masked", "whole", "headscale"])
def test_expire(shell: Shell, how: str) -> None:
    made = shell.json("preauthkeys", "create", "-u", "ana")
    [listed] = shell.json("preauthkeys", "list")
    words = {
        "id": ("expire", "1"),
        "prefix": ("expire", made["prefix"]),
        "masked": ("expire", listed["key"]),
        "whole": ("revoke", made["key"]),
        "headscale": ("expire", "-i", "1"),
    }[how]
    outcome = shell.type("preauthkeys", *words)
    assert outcome.code == 0
    assert made["key"].rpartition("-")[2] not in outcome.err
    assert isinstance(shell.stand.do(lambda t: check_auth_key(t, made["key"], NOW)), KeyRefused)


def test_delete_asks(shell: Shell) -> None:
    shell.type("preauthkeys", "create", "-u", "ana")
    assert shell.type("preauthkeys", "delete", "1").code == 4
    assert len(shell.json("preauthkeys", "list")) == 1
    assert shell.type("preauthkeys", "delete", "1", "--yes").code == 0
    assert shell.json("preauthkeys", "list") == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("create",), 2, "say whose the devices will be"),
        (("create", "-u", "zoe"), 3, "there is no user 'zoe'"),
        (("create", "-u", "ana", "-e", "1 day"), 2, "write it like 90d, 24h, 30m or never"),
        (("create", "-u", "ana", "-e", "-1h"), 2, "is not a duration"),
        (("create", "-u", "ana", "--tags", "A"), 2, "is not a tag"),
        (("expire",), 2, "wants a key"),
        (("expire", "77"), 3, "no pre-auth key with id 77"),
        (("delete", "nonsense", "-y"), 3, "no pre-auth key with the prefix 'nonsense'"),
    ],
)
def test_mistakes_make_no_key(shell: Shell, words: tuple[str, ...], code: int, says: str) -> None:
    outcome = shell.type("preauthkeys", *words)
    assert (outcome.code, outcome.out, says in outcome.err) == (code, "", True), outcome
    assert shell.json("preauthkeys", "list") == []


def test_api_key_life(shell: Shell) -> None:
    shell.stand.now = time.time()
    outcome = shell.type("apikeys", "create", "--expiration", "30d", "--description", "for the phone")
    assert re.fullmatch(r"mb-api-\w{12}-\w{43}\n", outcome.out)
    [listed] = shell.json("apikeys", "list")
    assert listed["description"] == "for the phone"
    assert outcome.out.strip().rpartition("-")[2] not in str(listed)
    assert shell.type("apikeys", "expire", "-p", listed["prefix"]).code == 0
    assert shell.type("apikeys", "delete", listed["prefix"], "-y").code == 0
    assert shell.json("apikeys", "list") == []


@pytest.mark.parametrize("expiration", ["never", "800d", "x"])
def test_api_keys_expire(shell: Shell, expiration: str) -> None:
    assert shell.type("apikeys", "create", "-e", expiration).code == 2
    assert shell.json("apikeys", "list") == []


def test_administering_from_elsewhere(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.stand.now = time.time()
    key = shell.type("apikeys", "create").out.strip()
    address = f"http://127.0.0.1:{shell.stand.public}"
    file = tmp_path / "key"
    file.write_text(key + "\n")
    assert (
        shell.type("--server", address, "--token-file", str(file), "users", "list", "-o", "name").out
        == "ana\n"
    )
    monkeypatch.setenv("MESHBOX_CLI_ADDRESS", address)
    monkeypatch.setenv("MESHBOX_CLI_API_KEY", key)
    assert shell.type("users", "create", "ben").code == 0
    monkeypatch.setenv("MESHBOX_CLI_API_KEY", key[:-1] + "_")
    refused = shell.type("users", "create", "zoe")
    assert refused.code == 4 and "unknown, expired or revoked" in refused.err
    monkeypatch.delenv("MESHBOX_CLI_API_KEY")
    missing = shell.type("users", "list")
    assert missing.code == 2 and "needs an API key" in missing.err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--server", "ftp://x", "users", "list"), 2, "is not the address of a server"),
        (("--server", "https://", "users", "list"), 2, "is not the address of a server"),
        (("--server", "http://127.0.0.1:99999", "users", "list"), 2, "is not the address of a server"),
        (("--server", "http://127.0.0.1:1", "users", "list"), 6, "no server answers at http://127.0.0.1:1"),
        (("--server", "x", "--token-file", "/nonexistent", "users", "list"), 2, "the API key cannot be read"),
        (("--server", "x", "--token-file", "/etc/passwd", "users", "list"), 2, "more than one API key"),
    ],
)
def test_wrong_addresses(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, says: str
) -> None:
    monkeypatch.setenv("MESHBOX_CLI_API_KEY", "mb-api-x")
    outcome = shell.type(*words)
    assert (outcome.code, says in outcome.err) == (code, True), outcome
