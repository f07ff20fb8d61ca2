"""`make demo`: the main job in a minute, with official clients in network namespaces (needs root).

Two machines join one meshbox with the official client, ping each other directly, then through the relay
because their UDP is cut, then by name. One line of plain words per step; nothing outside the laboratory is
touched and nothing is left behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.world.clients import CACHE, NEWEST, ROOT
from tests.world.lab import Lab
from tests.world.process import LabError, eventually

STARTED = time.monotonic()


def say(text: str) -> None:
    """One line for the person watching."""
    print(f"{time.monotonic() - STARTED:5.1f} s  {text}", flush=True)


def build_clients() -> None:
    """The first demo on a machine builds the official client."""
    if (CACHE / NEWEST / "tailscaled").exists() and (CACHE / NEWEST / "tailscale").exists():
        return
    say(f"Building the official client {NEWEST} first (a few minutes, only this once).")
    subprocess.run([str(ROOT / "scripts/build-clients.sh"), NEWEST], check=True)


@contextmanager
def laboratory() -> Iterator[Lab]:
    """A laboratory that is gone afterwards, whatever happens."""
    lab = Lab.open()
    try:
        yield lab
    finally:
        lab.close()


def show(lab: Lab) -> None:
    """The steps."""
    say(f"meshbox runs at {lab.server.url} in a network of its own, relay included.")
    key = lab.server.create_key("lab", "--reusable")
    say("A user and a pre-auth key were made with the meshbox command line.")
    ana, ben = (lab.client(name, NEWEST) for name in ("ana", "ben"))
    for client in (ana, ben):
        client.up(key)
        say(f"{client.name} joined with the official client {NEWEST} and is {client.address}.")
    ana.sees("ben", online=True)
    say("ana's client lists ben as online.")
    say(f"Direct:  ana pings ben: {ana.ping('ben', via='direct')}")
    for name in ("ana", "ben"):
        lab.cables[name].block_udp()
    say("Now a firewall drops all UDP of both machines.")
    say(f"Relayed: ana pings ben: {ana.ping('ben', via='derp', within=40)}")
    ben.offer("hello, this is ben")
    eventually(lambda: ana.resolve("ben.mesh.lab"), 10, "ana resolves ben.mesh.lab")
    say(f"By name: ana opens http://ben.mesh.lab:8000/ and reads: {ana.fetch('http://ben.mesh.lab:8000/')}")
    for name in ("ana", "ben"):
        lab.cables[name].allow_udp()
    say(f"UDP is back, and so is the direct way: {ana.ping('ben', via='direct', within=60)}")
    ben.kill()
    ana.sees("ben", online=False, within=5)
    say("ben was switched off; ana's client shows it as offline.")


def main() -> int:
    """Exit code 0 when every step worked."""
    if os.geteuid() != 0:
        print("make demo needs root: it makes network namespaces. Try: sudo make demo", file=sys.stderr)
        return 2
    build_clients()
    try:
        with laboratory() as lab:
            show(lab)
    except LabError as error:
        print(f"The demo stopped here: {error}", file=sys.stderr)
        return 1
    say("Done; the laboratory is gone.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
