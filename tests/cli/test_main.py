"""The front door: finding the server, help, codes, and a real terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from meshbox import __version__
from meshbox.cli.group import Group, Lazy
from meshbox.cli.main import COMMANDS, meshbox
from meshbox.cli.text import clean, relative, width
from tests.cli.conftest import Shell
from tests.serve.api.stand import Stand
from tests.tailnet.build import join, make_key

PROGRAM = [sys.executable, "-m", "meshbox.cli"]


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, env={**os.environ, **env}, check=False
    )


def on_a_terminal(words: list[str], keys: str = "", **env: str) -> str:
    """What a person sees, who types `keys` once the program has asked something."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *words], stdin=child, stdout=child, stderr=child, env={**os.environ, **env}, close_fds=True
    )
    os.close(child)
    seen = b""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not select.select([parent], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(parent, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
        if keys and b"[y/N]" in seen:
            os.write(parent, keys.encode())
            keys = ""
    try:
        process.wait(10)
    finally:
        process.kill()
        os.close(parent)
    return seen.decode()


def test_lazy_commands_say_what_they_really_are() -> None:
    for name, place in COMMANDS.items():
        command = meshbox.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None and isinstance(place, Lazy)
        assert command.get_short_help_str(200).rstrip(".") == place.help.rstrip("."), name


def test_aliases_lead_somewhere() -> None:
    def walk(group: Group) -> None:
        for alias, name in group.aliases.items():
            assert group.get_command(None, alias) is group.get_command(None, name) is not None, alias  # type: ignore[arg-type]
        for name in group.list_commands(None):  # type: ignore[arg-type]
            command = group.get_command(None, name)  # type: ignore[arg-type]
            if isinstance(command, Group):
                walk(command)

    walk(meshbox)


def test_help_imports_nothing_of_the_server() -> None:
    script = (
        "import sys; from meshbox.cli.main import main; code = main({words}); "
        "bad = {names} & set(sys.modules); assert not bad, bad; sys.exit(code)"
    )
    server = {
        "aiohttp",
        "asyncio",
        "yaml",
        "http.client",
        "jinja2",
        "cryptography",
        "ssl",
        "meshbox.tailnet.tailnet",
    }
    for words in (["--help"], ["nodes", "--help"], ["version"]):
        done = subprocess.run(
            [sys.executable, "-c", script.format(words=words, names=server)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def test_client_commands_do_without_the_server_code(stand: Stand) -> None:
    script = (
        "import sys; from meshbox.cli.main import main; code = main(['users', 'list']); "
        "bad = {'aiohttp', 'asyncio', 'jinja2', 'peewee', 'cryptography'} & set(sys.modules); "
        "assert not bad, bad; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "MESHBOX_UNIX_SOCKET": str(stand.socket)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_bare_call_shows_help() -> None:
    done = run()
    assert done.returncode == 0 and "Your network:" in done.stdout
    assert run("nodes").returncode == 0


def test_version_and_completion() -> None:
    assert run("version").stdout == __version__ + "\n"
    for shell_name in ("bash", "zsh", "fish"):
        assert "_MESHBOX_COMPLETE" in run("completion", shell_name).stdout
    assert run("completion", "tcsh").returncode == 2


def test_generated_key_has_the_form_of_key_files(shell: Shell, tmp_path: Path) -> None:
    from meshbox.secrets import load_or_create_key

    file = tmp_path / "key"
    file.write_text(shell.type("generate", "private-key").out)
    file.chmod(0o600)
    assert len(load_or_create_key(file, os.urandom)) == 32


def test_no_server() -> None:
    done = run("nodes", "list", MESHBOX_UNIX_SOCKET="/nonexistent/api.sock")
    assert done.returncode == 6
    assert done.stderr.startswith("meshbox: no server answers at /nonexistent/api.sock: start it")


def test_a_dead_socket(tmp_path: Path) -> None:
    import socket

    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    assert run("nodes", "list", MESHBOX_UNIX_SOCKET=str(path)).returncode == 6


def test_another_kind_of_server(tmp_path: Path) -> None:
    import socket
    import threading

    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(tmp_path / "s"))
        stranger.listen()

        def answer() -> None:
            connection = stranger.accept()[0]
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n<html>")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        done = run("nodes", "list", MESHBOX_UNIX_SOCKET=str(tmp_path / "s"))
        thread.join(5)
    assert done.returncode == 6 and "does not answer like meshbox" in done.stderr


def test_a_missing_or_broken_configuration_file(tmp_path: Path) -> None:
    missing = run("-c", str(tmp_path / "none.yaml"), "nodes", "list")
    assert missing.returncode == 10 and "No such file" in missing.stderr
    (tmp_path / "bad.yaml").write_text("a: [")
    assert run("-c", str(tmp_path / "bad.yaml"), "nodes", "list").returncode == 10


def test_a_mistake_elsewhere_in_the_file_keeps_nobody_out(shell: Shell) -> None:
    shell.file.write_text("unix_socket: api.sock\nnonsense: 1\n")
    assert shell.type("users", "list").code == 0


def test_options_go_before_or_after(shell: Shell) -> None:
    assert (
        shell.type("-o", "json", "users", "list").out
        == shell.type("users", "list", "-o", "json").out
        == "[]\n"
    )


def test_health_and_status(shell: Shell) -> None:
    assert shell.type("health").code == 0
    assert shell.json("health") == {"databaseConnectivity": True, "problems": {}, "doubts": {}}
    shell.stand.doubts["backup"] = "the last one is from yesterday"
    doubtful = shell.type("health")
    assert doubtful.code == 0 and "warning: backup: the last one is from yesterday" in doubtful.err
    shell.stand.problems["certificate"] = "has expired"
    broken = shell.type("health")
    assert broken.code == 1 and "the server runs, but certificate: has expired" in broken.err
    shell.stand.problems.clear()
    shell.stand.doubts.clear()
    assert "Server       https://mesh.example.org" in shell.type("status").out
    shell.stand.is_fine = False
    sick = shell.type("health")
    assert sick.code == 1 and "database does not answer" in sick.err


def test_reader_that_has_read_enough(shell: Shell) -> None:
    def many(t: object) -> None:
        key = make_key(shell.stand.tailnet, "ana", reusable=True)
        for number in range(400):
            join(shell.stand.tailnet, number, key, f"host-{number}")

    shell.stand.do(many)
    command = f"'{sys.executable}' -m meshbox.cli -c '{shell.file}' nodes list -o json | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "[\n" and done.stderr == ""


def test_colours_and_relative_times_on_a_terminal_only(shell: Shell) -> None:
    shell.stand.do(lambda t: join(t, 1, make_key(t, "ana"), "laptop"))
    shell.stand.do(lambda t: t.presence.enter(1))
    words = ["-c", str(shell.file), "nodes", "list"]
    assert "\x1b[32monline\x1b[0m" in on_a_terminal(words)
    assert "\x1b[" not in on_a_terminal(words, NO_COLOR="1")
    users = on_a_terminal(["-c", str(shell.file), "users", "list"])
    assert "ago" in users and "NAME" in users and "\t" not in users


@pytest.mark.parametrize(("keys", "left"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_deleting_asks_by_name(shell: Shell, keys: str, left: int) -> None:
    shell.stand.do(lambda t: join(t, 1, make_key(t, "ana"), "laptop"))
    seen = on_a_terminal(["-c", str(shell.file), "nodes", "delete", "laptop"], keys)
    assert "Delete node laptop (id 1, of ana, 100.64.0." in seen
    assert ("nothing was changed" in seen) is bool(left)
    assert len(shell.json("nodes", "list")) == left


def test_ending_input_at_a_question_changes_nothing(shell: Shell) -> None:
    shell.stand.do(lambda t: join(t, 1, make_key(t, "ana"), "laptop"))
    seen = on_a_terminal(["-c", str(shell.file), "nodes", "delete", "laptop"], "\x04")
    assert "Traceback" not in seen and "nothing was changed" in seen
    assert len(shell.json("nodes", "list")) == 1


def test_completion_knows_node_names(shell: Shell) -> None:
    shell.stand.do(lambda t: join(t, 1, make_key(t, "ana"), "laptop"))
    words = f"meshbox -c {shell.file} nodes show la"
    done = run(_MESHBOX_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="5")
    assert done.stdout == "plain,laptop\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s ago"),
        (59, "59s ago"),
        (3600, "1h ago"),
        (-86_395, "in 24h"),
        (-90_000, "in 1d"),
        (40_000_000, "1y ago"),
    ],
)
def test_relative(seconds: int, words: str) -> None:
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 - seconds))
    assert relative(moment, 1_700_000_000) == words


def test_text_for_a_terminal() -> None:
    assert relative(None, 0) == "-"
    assert clean("a\x1b\u202e\n\u200bb") == "a\ufffd\ufffd\ufffd\ufffdb"
    assert clean("Zoë 日本") == "Zoë 日本"
    assert (width("ab"), width("日本"), width("e\u0301")) == (2, 4, 1)
