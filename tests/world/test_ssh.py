"""Tailscale SSH between official clients: let in, turned away, and held until a person confirms."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.world.clients import Client
from tests.world.net import Guests, Net
from tests.world.process import DIES_WITH_US, Outcome, eventually

ANY_HOST = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
PATIENCE = 8.0
"""Seconds until a person presses Ctrl-C and tries again."""

OPTIONS = (*ANY_HOST, "-o", "BatchMode=yes", "-F", "none")


def ssh_words(source: Client, target: Client, *words: str) -> list[str]:
    return source.host.inside(["ssh", *OPTIONS, f"root@{target.address}", *words])


def ssh(source: Client, target: Client, *words: str) -> Outcome:
    return source.host.run("ssh", *OPTIONS, f"root@{target.address}", *words, timeout=20, check=False)


def turned_away(source: Client, target: Client) -> None:
    """A login is refused, and the other end has let go of it. 1.68.0 and 1.80.3 ask every connection
    whether a new policy still lets it in, and tailscaled falls (nil user, `isStillValid`) over one that was
    refused, is not closed yet, and would be let in now."""
    assert ssh(source, target, "echo", "in").code != 0
    towards = ("ss", "-Htn", "dst", f"{target.address}:22")
    eventually(
        lambda: all(line.startswith("TIME-WAIT") for line in source.host.run(*towards).out.splitlines()),
        10,
        f"{target.name} lets go of the refused login",
    )


def hold(net: Net, source: Client, target: Client) -> tuple[subprocess.Popen[str], Any]:
    """A login that waits, and the server's list of such. Who comes before the policy has is turned away,
    and tries again."""
    argv = [*DIES_WITH_US, *ssh_words(source, target, "echo", "in")]

    def knock() -> subprocess.Popen[str]:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    logins, started = [knock()], [time.monotonic()]

    def waiting() -> Any:
        is_stuck = time.monotonic() - started[-1] > PATIENCE
        if is_stuck:
            logins[-1].kill()
        if is_stuck or logins[-1].poll() is not None:
            logins.append(knock())
            started.append(time.monotonic())
        return net.server.ask("ssh", "list")

    listed = eventually(waiting, 30, "a login waits")
    return logins[-1], listed


@pytest.fixture
def server(net: Net, guests: Guests) -> Iterator[Client]:
    """A tagged node that runs Tailscale SSH."""
    name = f"sshd{len(net.lab.cables)}"
    yield guests.join(name, "--ssh", key=net.server.create_key("lab", "--tags", "tag:web"))
    net.put_policy()


def rule(action: str, **more: str) -> dict[str, Any]:
    return {"action": action, "src": ["autogroup:member"], "dst": ["tag:web"], "users": ["root"], **more}


def test_a_rule_lets_in_within_two_seconds_until_it_ends(net: Net, server: Client) -> None:
    net.ana.ping(server.name)
    turned_away(net.ana, server)
    net.put_policy(ssh=[rule("accept")])
    eventually(lambda: ssh(net.ana, server, "echo", "in").out.strip() == "in", 2, "ana is let in")
    net.put_policy(ssh=[])
    eventually(lambda: ssh(net.ana, server, "echo", "in").code != 0, 2, "ana is turned away")


def test_a_check_waits_for_a_person_and_is_remembered(net: Net, server: Client) -> None:
    net.ana.ping(server.name)
    net.put_policy(ssh=[rule("check", checkPeriod="1h")])
    login, waiting = hold(net, net.ana, server)
    assert [one["what"] for one in waiting] == [f"lab at ana as root on {server.name}"]
    net.server.admin("ssh", "approve", waiting[0]["url"])
    said, _ = login.communicate(timeout=10)
    assert login.returncode == 0 and said.rstrip().endswith("in")
    assert waiting[0]["url"] in said, "whoever logs in is shown where to confirm"
    assert ssh(net.ana, server, "echo", "again").out.strip().endswith("again"), "it holds for an hour"
    assert not net.server.ask("ssh", "list")


def test_a_rejected_check_turns_away(net: Net, server: Client) -> None:
    net.ben.ping(server.name)
    net.put_policy(ssh=[rule("check", checkPeriod="always")])
    login, waiting = hold(net, net.ben, server)
    net.server.admin("ssh", "reject", waiting[0]["id"])
    said, _ = login.communicate(timeout=10)
    assert login.returncode != 0 and "this login was rejected" in said
