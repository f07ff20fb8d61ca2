"""Official clients: one `tailscaled` with its `tailscale` command line on one host.

`Client.up` joins, the rest asks what a person would ask: status, ping, resolve, fetch. Answers that take time
are waited for with a deadline in seconds; what was seen instead and the client's log are in the error.
Clients never phone home: TS_NO_LOGS_NO_SUPPORT is set and the laboratory has no way out.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.world.network import Host
from tests.world.process import DIES_WITH_US, Daemon, LabError, Outcome, eventually, run

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("MESHBOX_CLIENT_CACHE", ROOT / ".cache/clients"))
VERSIONS = ("1.68.0", "1.80.3", "1.102.5")
NEWEST = VERSIONS[-1]
Route = Literal["direct", "derp", "any"]

FETCH = "import sys,urllib.request as u;print(u.urlopen(sys.argv[1],timeout=5).read().decode(),end='')"
SERVE = """
import sys, http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = open(sys.argv[2], "rb").read()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Answer).serve_forever()
"""


@dataclass(frozen=True, slots=True)
class Build:
    """Where the binaries of one official version are."""

    version: str

    @property
    def daemon(self) -> Path:
        """The tailscaled binary."""
        return self._binary("tailscaled")

    @property
    def command(self) -> Path:
        """The tailscale binary."""
        return self._binary("tailscale")

    def _binary(self, name: str) -> Path:
        path = CACHE / self.version / name
        if not path.exists():
            raise LabError(f"{path} is missing: run scripts/build-clients.sh")
        return path


@dataclass(frozen=True, slots=True)
class Wish:
    """How a client is to run. `tun` False means userspace networking: lighter, no interface, no resolver."""

    tun: bool = True
    port: int = 41641
    environment: Mapping[str, str] = field(default_factory=dict)


class Client:
    """One official client on one host."""

    def __init__(
        self, name: str, host: Host, build: Build, login_server: str, wish: Wish | None = None
    ) -> None:
        self.name = name
        self.host = host
        self.build = build
        self.login_server = login_server
        self.wish = wish or Wish()
        self.directory = host.directory / f"ts-{name}"
        self.directory.mkdir()
        self.socket = self.directory / "sock"
        self.daemon = Daemon(f"tailscaled of {name}", self.directory / "log")
        self._helpers: list[Daemon] = []

    # --- the daemon

    def start(self) -> Client:
        """Start tailscaled without waiting for it."""
        tun = "ts0" if self.wish.tun else "userspace-networking"
        argv = [str(self.build.daemon), f"--tun={tun}", f"--port={self.wish.port}",
                f"--statedir={self.directory}", f"--state={self.directory}/state",
                f"--socket={self.socket}"]  # fmt: skip
        self.daemon.start(self.host.inside(argv), self._environment())
        return self

    def kill(self) -> None:
        """End tailscaled like a power cut: it says goodbye to nobody."""
        self.daemon.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Kill and start again with the same state."""
        self.kill()
        self.start()

    def close(self) -> None:
        """End everything of this client."""
        for one in (*self._helpers, self.daemon):
            one.stop(signal.SIGKILL)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.directory),
            "TS_NO_LOGS_NO_SUPPORT": "true",
            "TS_LOGS_DIR": str(self.directory),
            **self.wish.environment,
        }

    # --- the command line

    def cli(self, *words: str, timeout: float = 30.0, check: bool = True) -> Outcome:
        """Run `tailscale WORDS` against this client's daemon."""
        self._wait_for_socket()
        return run(self._command(*words), timeout=timeout, check=check, env=self._environment())

    def _command(self, *words: str) -> list[str]:
        return self.host.inside([str(self.build.command), f"--socket={self.socket}", *words])

    def _wait_for_socket(self) -> None:
        if not self.socket.exists():
            self.daemon.ready(self.socket.exists, 10, "opens its socket")

    def up_words(self, key: str | None, *more: str) -> list[str]:
        """The words of the `tailscale up` that joins this laboratory's server."""
        with_key = [f"--auth-key={key}"] if key else []
        return ["up", f"--login-server={self.login_server}", f"--hostname={self.name}", *with_key, *more]

    def up(self, key: str | None, *more: str, timeout: float = 30.0) -> Client:
        """Join and wait until the client itself says it is running."""
        outcome = self.cli(*self.up_words(key, *more), timeout=timeout, check=False)
        if outcome.code != 0:
            raise LabError(f"{self.name} could not join: {outcome.text}\n{self.daemon.tail()}")
        self.wait_until("Running")
        return self

    def up_in_background(self, key: str | None, *more: str) -> subprocess.Popen[bytes]:
        """Start `tailscale up` and leave it waiting; the caller waits for or kills it."""
        self._wait_for_socket()
        argv = [*DIES_WITH_US, *self._command(*self.up_words(key, *more))]
        silence = subprocess.DEVNULL
        return subprocess.Popen(argv, stdin=silence, stdout=silence, stderr=silence, env=self._environment())

    def login_page(self, within: float = 15.0) -> str:
        """The page a person is sent to, once the client knows it."""
        return str(
            eventually(lambda: self.status().get("AuthURL"), within, f"{self.name} is given a login page")
        )

    # --- what it knows

    def status(self) -> dict[str, Any]:
        """`tailscale status --json`; an error with the end of its log when the daemon answers nothing."""
        outcome = self.cli("status", "--json", check=False)
        if not outcome.out:
            raise LabError(f"{self.name} gives no status: {outcome.text}\n{self.daemon.tail()}")
        answer: dict[str, Any] = json.loads(outcome.out)
        return answer

    def wait_until(self, state: str, within: float = 20.0) -> None:
        """Wait for a backend state: Running, NeedsLogin, Stopped ..."""
        eventually(lambda: self.status().get("BackendState") == state, within,
                   f"{self.name} is {state}\n{self.daemon.tail()}")  # fmt: skip

    @property
    def addresses(self) -> list[str]:
        """Its addresses in the tailnet, IPv4 first."""
        found: list[str] = self.status()["Self"]["TailscaleIPs"]
        return found

    @property
    def address(self) -> str:
        """Its IPv4 address in the tailnet."""
        return self.addresses[0]

    def peers(self) -> dict[str, dict[str, Any]]:
        """Peers by the first label of their MagicDNS name."""
        listed = (self.status().get("Peer") or {}).values()
        return {peer["DNSName"].split(".")[0]: peer for peer in listed}

    def sees(self, name: str, *, online: bool | None = None, within: float = 10.0) -> dict[str, Any]:
        """Wait until a peer is listed (and online or offline, when asked) and return its entry."""

        def look() -> dict[str, Any] | None:
            peer = self.peers().get(name)
            return peer if peer and (online is None or peer["Online"] is online) else None

        state = {None: "listed", True: "online", False: "offline"}[online]
        return eventually(look, within, f"{self.name} sees {name} {state}")

    def misses(self, name: str, within: float = 10.0) -> None:
        """Wait until a peer is no longer listed."""
        eventually(lambda: name not in self.peers(), within, f"{self.name} no longer lists {name}")

    def relay_faults(self, region: int) -> list[str]:
        """What `tailscale debug derp` holds against a relay. The laboratory has no IPv6, and the tool takes
        the map's "none" for a name: that is left out."""
        report = json.loads(self.cli("debug", "derp", str(region), timeout=60).out)
        if not any("Successfully established a DERP connection" in line for line in report["Info"]):
            raise LabError(f"no connection: {report}")
        return [fault for fault in report["Errors"] or [] if "over IPv6" not in fault]

    # --- what it can reach

    def ping(self, target: str, via: Route = "any", within: float = 20.0) -> str:
        """Ping with `tailscale ping` until an answer comes the wanted way; returns the pong line."""

        def look() -> str | None:
            said = self.cli("ping", "--c=1", "--timeout=2s", target, check=False).text
            pong = re.search(r"^pong from .*$", said, re.MULTILINE)
            if pong is None:
                raise LabError(said)
            return pong[0] if via == "any" or (" via DERP(" in pong[0]) == (via == "derp") else None

        return eventually(
            look, within, f"{self.name} pings {target} ({via})\n{self.daemon.tail(15)}", every=0.2
        )

    def resolve(self, name: str) -> list[str]:
        """Addresses the machine's resolver gives for a name; empty when there are none."""
        said = self.host.run("getent", "ahosts", name, check=False).out
        return list(dict.fromkeys(line.split()[0] for line in said.splitlines()))

    def fetch(self, url: str, within: float = 10.0) -> str:
        """Fetch a URL from this machine, through the kernel like any program."""

        def look() -> str:
            return self.host.run(sys.executable, "-c", FETCH, url, timeout=8).out

        return eventually(look, within, f"{self.name} fetches {url}", every=0.3)

    def offer(self, text: str, port: int = 8000) -> None:
        """Serve `text` over HTTP on this machine."""
        page = self.directory / f"page-{port}"
        page.write_text(text)
        daemon = Daemon(f"web server of {self.name}", self.directory / "web.log")
        daemon.start(self.host.inside([sys.executable, "-c", SERVE, str(port), str(page)]))
        self._helpers.append(daemon)
