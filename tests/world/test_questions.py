"""What a client answers about itself, and what it says about its device; serving and sending files."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.world.clients import Build, Client
from tests.world.net import Guests, Net
from tests.world.process import eventually


@pytest.fixture
def settings(net: Net) -> Iterator[Net]:
    """The laboratory, whose settings are put back."""
    yield net
    net.server.reconfigure()


def test_a_node_shows_that_it_hears_the_server_and_reaches_a_peer(net: Net, guests: Guests) -> None:
    sign = net.server.ask("nodes", "ping", "ana")
    assert sign["to"] == "the server" and sign["seconds"] < 5
    reached = net.server.ask("nodes", "ping", "ana", "--to", "ben")
    assert reached["to"] == "ben" and reached["via"]
    for via in ("TSMP", "ICMP", "peerapi"):
        assert net.server.ask("nodes", "ping", "ana", "--to", "ben", "--via", via)["to"] == "ben"
    guest = guests.join("gone")
    guest.kill()
    net.ana.sees("gone", online=False)
    failed = net.server.admin("nodes", "ping", "gone", check=False)
    assert failed.code == 6 and failed.err.strip() == "meshbox: node gone is not connected"
    assert net.server.admin("nodes", "ping", "ana", "--to", "ben", "--via", "pigeon", check=False).code == 2


def test_questions_are_off_unless_switched_on_and_stand_in_the_audit(settings: Net) -> None:
    net = settings
    refused = net.server.admin("nodes", "ask", "ana", "prefs", check=False)
    assert refused.code == 4 and "set c2n.enabled to true" in refused.err
    net.server.reconfigure(c2n={"enabled": True})
    prefs = json.loads(net.server.admin("nodes", "ask", "ana", "prefs").out)
    assert prefs["ControlURL"] == net.server.url and prefs["WantRunning"] is True
    assert "tailscaled_" in net.server.admin("nodes", "ask", "ana", "metrics").out or "# TYPE" in (
        net.server.admin("nodes", "ask", "ana", "metrics").out
    )
    assert "goroutine" in net.server.admin("nodes", "ask", "ana", "goroutines").out
    assert "Supported" in net.server.admin("nodes", "ask", "ana", "update").out
    wrong = net.server.admin("nodes", "ask", "ana", "diary", check=False)
    assert wrong.code == 2
    needy = net.server.admin("nodes", "ask", "ana", "certificate", check=False)
    assert needy.code == 2 and "needs the domain" in needy.err


def test_the_netmap_a_node_works_with_is_what_it_was_told(settings: Net) -> None:
    net = settings
    net.server.reconfigure(c2n={"enabled": True})
    if net.version in ("1.68.0", "1.80.3"):
        old = net.server.admin("nodes", "ask", "ana", "netmap", check=False)
        assert old.code == 4 and "too old" in old.err
        return
    netmap: dict[str, Any] = json.loads(net.server.admin("nodes", "ask", "ana", "netmap").out)
    assert "ben" in json.dumps(netmap["current"])
    assert json.loads(net.server.admin("nodes", "ask", "ana", "health").out or "null") is not False


def test_attributes_are_reported_and_set(settings: Net) -> None:
    net = settings
    found = net.server.ask("nodes", "attributes", "ana")
    assert found["node:os"] == "linux" and found["node:tsReleaseTrack"] == "stable"
    assert found["node:tsVersion"] == net.version
    net.server.admin("nodes", "attributes", "ana", "--set", "custom:tier=gold", "--set", "custom:score=7")
    found = net.server.ask("nodes", "attributes", "ana")
    assert (found["custom:tier"], found["custom:score"]) == ("gold", 7)
    for wrong in ("node:os=plan9", "tier=gold", "custom:tier"):
        assert net.server.admin("nodes", "attributes", "ana", "--set", wrong, check=False).code == 2
    net.server.admin("nodes", "attributes", "ana", "--unset", "custom:tier", "--unset", "custom:score")
    assert not [name for name in net.server.ask("nodes", "attributes", "ana") if name.startswith("custom:")]


def test_a_device_sets_its_own_attribute_where_that_is_allowed(settings: Net) -> None:
    net = settings
    patch = ["curl", "-sS", "-o", "/dev/stdout", "-w", "%{http_code}", "--unix-socket", str(net.ana.socket)]
    patch += ["-X", "PATCH", "-d", '{"custom:tier":"gold"}']
    patch += ["http://local-tailscaled.sock/localapi/v0/alpha-set-device-attrs"]
    assert not net.ana.host.run(*patch, check=False).out.endswith("200")
    net.server.reconfigure(posture={"client_attributes": True})
    if net.version == "1.68.0":
        assert "404" in net.ana.host.run(*patch, check=False).out, "this client has no such request yet"
        return
    assert net.ana.host.run(*patch).out.endswith("200")
    assert net.server.ask("nodes", "attributes", "ana")["custom:tier"] == "gold"
    net.server.admin("nodes", "attributes", "ana", "--unset", "custom:tier")


def test_serve_says_how_it_works_without_certificates(net: Net) -> None:
    said = net.ana.cli("serve", "--bg", "--https=443", "text:hello", check=False).text
    assert "tailscale serve --http=80" in said
    net.ana.cli("serve", "--bg", "--http=80", "text:hello")
    assert net.ben.fetch("http://ana.mesh.lab/").strip() == "hello"
    net.ana.cli("serve", "reset")


def test_a_file_is_sent_to_another_node_of_the_same_person(net: Net, guests: Guests) -> None:
    note = net.ana.directory / "note.txt"
    note.write_text("from ana\n" * 1000)
    net.ana.sees("ben", online=True)
    eventually(
        lambda: net.ana.cli("file", "cp", str(note), "ben:", check=False).code == 0, 20, "ana sends a file"
    )
    inbox = net.ben.directory / f"inbox-{time.monotonic_ns()}"
    inbox.mkdir()
    net.ben.cli("file", "get", "--wait", str(inbox))
    assert (inbox / "note.txt").read_text() == note.read_text()
    net.server.admin("users", "create", "stranger", check=False)
    other = guests.join("other", key=net.server.create_key("stranger"))
    net.ana.sees("other", online=True)
    refused = other.cli("file", "cp", str(note), "ben:", check=False)
    assert refused.code != 0, "another person's node is no target"


def test_a_notice_is_shown_at_once_and_taken_away(net: Net) -> None:
    """Clients hold a health message back for some seconds, in case it goes by itself."""
    net.server.admin("notices", "set", "move", "We move to a new server", "--text", "On Friday.",
                     "--link", "https://wiki.example.net/move", "--for", "node:ana")  # fmt: skip
    seen = lambda client: "We move to a new server" in json.dumps(client.status().get("Health"))  # noqa: E731
    eventually(lambda: seen(net.ana), 15, f"ana shows the notice, not {net.ana.status().get('Health')}")
    assert not seen(net.ben), "it is for ana"
    assert net.server.ask("notices", "list")[0]["title"] == "We move to a new server"
    net.server.admin("notices", "delete", "move")
    eventually(lambda: not seen(net.ana), 15, "ana shows it no more")
    for wrong, code in (
        (("set", "Bad Name", "x"), 2),
        (("set", "x", "y", "--link", "ftp://z"), 2),
        (("delete", "x"), 3),
    ):
        assert net.server.admin("notices", *wrong, check=False).code == code


def test_a_newer_client_is_hinted_at(settings: Net) -> None:
    """1.102.5 takes the hint in and loses it: it hands on a value where it waits for a pointer."""
    net = settings
    net.server.reconfigure(auto_update={"enabled": True, "latest_version": "9.8.7"})
    if net.version == "1.102.5":
        time.sleep(3)
        assert "9.8.7" not in json.dumps(net.ana.status()), "the client was mended: expect it"
        return
    told = eventually(lambda: net.ana.status().get("ClientVersion"), 15, "ana knows of the update")
    assert told == {"LatestVersion": "9.8.7", "Notify": True}
    net.server.reconfigure(auto_update={"enabled": True})
    eventually(lambda: net.ana.status()["ClientVersion"] == {"RunningLatest": True}, 5, "the hint is gone")


@dataclass(frozen=True, slots=True)
class OutOfContainer(Build):
    """A client that does not find the mark of a container, on a test machine that may be one. `root` is the
    machine's root directory once more, by mounts, without the mark."""

    root: Path

    @property
    def daemon(self) -> Path:
        script = self.root.with_suffix(".sh")
        script.write_text(f'#!/bin/sh\nexec chroot {self.root} {Build(self.version).daemon} "$@"\n')
        script.chmod(0o755)
        return script


MOUNT_ROOT = """
for entry in /*; do
    if [ -L "$entry" ]; then
        cp -P "$entry" "$0/"
    else
        mkdir "$0$entry" && mount --rbind "$entry" "$0$entry"
    fi
done
"""


def test_automatic_updates_are_a_default_that_the_device_may_change(settings: Net) -> None:
    """A client that finds itself in a container leaves the default alone."""
    net = settings
    net.server.reconfigure(auto_update={"enabled": True})
    host = net.lab.host("updated")
    root = host.directory / "root"
    root.mkdir()
    host.run("sh", "-c", MOUNT_ROOT, str(root))
    guest = Client("updated", host, OutOfContainer(net.version, root), net.server.url)
    net.lab.clients["updated"] = guest.start()
    try:
        guest.up(net.key)
        eventually(lambda: applies(guest) is True, 10, "updated updates itself")
        guest.cli("set", "--auto-update=false")
        guest.restart()
        guest.wait_until("Running")
        time.sleep(1)
        assert applies(guest) is False, "a choice on the device stays"
    finally:
        net.lab.dismiss(guest)
        net.server.admin("nodes", "delete", "updated", "--yes")


def applies(client: Client) -> object:
    return json.loads(client.cli("debug", "prefs").out)["AutoUpdate"]["Apply"]
