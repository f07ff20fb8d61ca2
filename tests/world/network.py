"""The laboratory's network: hosts, the segments between them, cables and address translators.

A host is a network namespace with a mount and a UTS namespace, all anonymous and held by one sleeping
process: when that process dies so do the namespaces, their interfaces and their mounts, and there is no name
to sweep. A segment is a host with a bridge. The backbone segment plays the internet and has no way out. A
router is a segment whose bridge is a private network and whose uplink goes to the backbone through NAT.

Needs root, iproute2, nftables, util-linux.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from tests.world.process import DIES_WITH_US, LabError, Outcome, run

Translation = Literal["none", "easy", "hard"]

# What a client or a browser needs of /etc; all else (a real resolv.conf above all) stays out of its reach.
ETC_FILES = (
    "alternatives", "chromium", "chromium.d", "debian_version", "fonts", "group", "host.conf",
    "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "os-release", "passwd", "protocols",
    "services",
)  # fmt: skip
# /run is hidden from private hosts: a system D-Bus there would make tailscaled talk to the real resolver.
HOLD = """
set -e
mount -t sysfs lab /sys 2>/dev/null || true
echo "$2" > /proc/sys/kernel/hostname
if [ -n "$1" ]; then mount --bind "$1" /etc; mount -t tmpfs lab /run; fi
ip link set lo up
echo ready
exec sleep infinity
"""


class Host:
    """One machine; `private` gives it its own /etc and /run, as a client must not touch the real ones."""

    def __init__(self, name: str, directory: Path, *, private: bool = False, hostname: str = "") -> None:
        self.name = name
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.etc = self._private_etc() if private else None
        self._holder = subprocess.Popen(
            [*DIES_WITH_US, "unshare", "--net", "--uts", "--mount", "--propagation", "private",
             "sh", "-c", HOLD, name, str(self.etc or ""), hostname or name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        said = self._holder.stdout.readline().strip()
        if said != "ready":
            self.close()
            raise LabError(f"host {name} could not be made (root needed): {said}")

    def _private_etc(self) -> Path:
        etc = self.directory / "etc"
        etc.mkdir()
        for name in ETC_FILES:
            source = Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, etc / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, etc / name)
        (etc / "hostname").write_text(self.name + "\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\nservices: files\n")
        (etc / "resolv.conf").write_text("# no resolver in the laboratory\n")
        return etc

    @property
    def pid(self) -> int:
        """Process that holds the namespaces."""
        return self._holder.pid

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` on this host."""
        return ["nsenter", f"--target={self.pid}", "--net", "--uts", "--mount", "--", *argv]

    def run(self, *argv: str, timeout: float = 30.0, check: bool = True, stdin: str = "") -> Outcome:
        """Run a command on this host to its end."""
        return run(self.inside(argv), timeout=timeout, check=check, stdin=stdin)

    def links(self, *commands: str) -> None:
        """Run several `ip` commands in one process."""
        self.run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")

    def rules(self, text: str) -> None:
        """Load nftables rules."""
        self.run("nft", "-f", "-", stdin=text)

    def name_address(self, name: str, address: IPv4Address) -> None:
        """Add a line to the private hosts file."""
        assert self.etc is not None
        with (self.etc / "hosts").open("a") as hosts:
            hosts.write(f"{address} {name}\n")

    def close(self) -> None:
        """End what still runs here, and the namespaces with it. A client serves shared folders in processes
        of other users and sessions, which outlive it."""
        for process in self._residents():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._holder.kill()
        self._holder.wait()

    def _residents(self) -> list[int]:
        """The processes in our network, the holder among them; none when there is no network of our own."""
        try:
            ours = Path(f"/proc/{self.pid}/ns/net").stat().st_ino
        except OSError:
            return []
        if ours == Path("/proc/self/ns/net").stat().st_ino:
            return []
        found = []
        for entry in Path("/proc").glob("[0-9]*/ns/net"):
            with contextlib.suppress(OSError):  # It has ended meanwhile.
                if entry.stat().st_ino == ours:
                    found.append(int(entry.parts[2]))
        return found


class Cable:
    """The link of one host to a segment, handled at the segment's side where the host cannot see it."""

    def __init__(self, segment: Segment, port: str, host: Host, address: IPv4Address) -> None:
        self.segment = segment
        self.port = port
        self.host = host
        self.address = address

    def pull(self) -> None:
        """Pull the plug: the carrier is gone, nobody is told."""
        self.segment.links(f"link set {self.port} down")

    def plug_in(self) -> None:
        """Put the plug back."""
        self.segment.links(f"link set {self.port} up")

    def block_udp(self) -> None:
        """Drop UDP in both directions, as strict firewalls do."""
        self.segment.run("nft", "add", "element", "bridge", "lab", "mute", f"{{ {self.port} }}")

    def allow_udp(self) -> None:
        """Let UDP pass again."""
        self.segment.run(
            "nft", "delete", "element", "bridge", "lab", "mute", f"{{ {self.port} }}", check=False
        )


SEGMENT_RULES = """
table bridge lab {
    set mute { type ifname
    }
    chain forward {
        type filter hook forward priority 0
        iifname @mute ip protocol udp drop
        oifname @mute ip protocol udp drop
    }
    chain input {
        type filter hook input priority 0
        iifname @mute ip protocol udp drop
    }
    chain output {
        type filter hook output priority 0
        oifname @mute ip protocol udp drop
    }
}
"""


class Segment(Host):
    """A bridge with hosts on it; its own address is the first of the network and the hosts' gateway."""

    def __init__(self, name: str, directory: Path, network: IPv4Network) -> None:
        super().__init__(name, directory)
        self.network = network
        self.gateway = network[1]
        self._ports = 0
        self.links(
            "link add br0 type bridge",
            "link set br0 up",
            f"addr add {self.gateway}/{network.prefixlen} dev br0",
        )
        self.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0", check=False)
        self.rules(SEGMENT_RULES)

    def plug(self, host: Host, address: IPv4Address, *, device: str = "eth0", gateway: bool = True) -> Cable:
        """Connect a host with an address of this network."""
        self._ports += 1
        port = f"p{self._ports}"
        self.links(
            f"link add {port} type veth peer name {device} netns {host.pid}",
            f"link set {port} master br0",
            f"link set {port} up",
        )
        host.links(
            f"addr add {address}/{self.network.prefixlen} dev {device}",
            f"link set {device} up",
            *([f"route add default via {self.gateway}"] if gateway else []),
        )
        return Cable(self, port, host, address)


# Unasked packets from outside are dropped before conntrack remembers them: otherwise the first packet of a
# peer would occupy the port pair and push our own outgoing mapping to another port.
ROUTER_RULES = """
table ip lab {{
    chain outgoing {{
        type nat hook postrouting priority 100
        oifname "wan" masquerade {mapping}
    }}
    chain unasked {{
        type filter hook input priority 0
        iifname "wan" ct state new drop
    }}
    chain through {{
        type filter hook forward priority 0
        iifname "wan" ct state new drop
    }}
}}
"""


class Router(Segment):
    """A home router: a private network behind one address of the backbone.

    "easy" keeps one outer port per inner socket (hole punching works), "hard" takes a random port per
    destination (only a relay, or a peer with an open port, helps).
    """

    def __init__(self, name: str, directory: Path, inside: IPv4Network, uplink: tuple[Segment, IPv4Address],
                 translation: Translation) -> None:  # fmt: skip
        super().__init__(name, directory, inside)
        backbone, address = uplink
        self.cable = backbone.plug(self, address, device="wan")
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        if translation != "none":
            self.rules(ROUTER_RULES.format(mapping="random,fully-random" if translation == "hard" else ""))
