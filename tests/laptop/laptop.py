"""A laptop that has Vagrant and libvirt: a host of the laboratory with a libvirtd of its own.

Its bridges, its name server and what it lets through are in the host's namespace and go with it. Nothing has
a way out: the virtual machine sees the laptop with its archive of packages, and clients that a test plugs in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from tests.appliance.bed import MIRROR_PORT, ROOT, SERVE, Bed, images, packages
from tests.world.network import Host
from tests.world.process import Outcome, eventually, run

ADDRESS = IPv4Address("192.168.56.10")
"""Of the Vagrantfile."""

LAPTOP = IPv4Address("192.168.121.1")
"""The laptop, as the virtual machine sees it: what vagrant-libvirt calls its management network."""

QEMU = """
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""
CONNECTION = "qemu:///system"
UP_WITHIN = 1800.0
"""Seconds. With an emulated processor it takes a quarter of an hour."""


class Laptop:
    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.host: Host = bed.host("laptop")
        self.home = bed.directory / "home"
        self.project = bed.directory / "meshbox"
        self.log = bed.directory / "vagrant.log"
        self._prepare_libvirt()
        bed.start("libvirtd", self.host, "libvirtd")
        archive = [sys.executable, "-c", SERVE, str(MIRROR_PORT), str(images()[1].parent)]
        bed.start("archive", self.host, *archive)
        eventually(lambda: self.virsh("version", check=False).code == 0, 20, "libvirtd answers")
        self._check_out()

    def _prepare_libvirt(self) -> None:
        """A private /etc/libvirt and /var/lib, and the users that Debian makes with a package of services."""
        assert self.host.etc is not None
        (self.host.etc / "ssl").mkdir()
        shutil.copy("/etc/ssl/openssl.cnf", self.host.etc / "ssl")
        (self.host.etc / "libvirt").mkdir()
        (self.host.etc / "libvirt" / "qemu.conf").write_text(QEMU)
        for file, lines in (
            ("passwd", ["libvirt-qemu:x:64055:64055::/nonexistent:/bin/false"]),
            ("group", ["libvirt-qemu:x:64055:", "kvm:x:64056:"]),
        ):
            with (self.host.etc / file).open("a") as out:
                out.write("".join(f"{line}\n" for line in lines))
        state = self.bed.directory / "var"
        for name in ("images", "dnsmasq", "qemu"):
            (state / "libvirt" / name).mkdir(parents=True)
        self.host.run("mount", "--bind", str(state), "/var/lib")

    def _check_out(self) -> None:
        """What an administrator has after `make deb` in a checkout."""
        shutil.copytree(ROOT / "ansible", self.project / "ansible")
        shutil.copy(ROOT / "Vagrantfile", self.project)
        (self.project / "dist").mkdir()
        for file in packages():
            shutil.copy(file, self.project / "dist")
        mirror = f"http://{LAPTOP}:{MIRROR_PORT}/{images()[1].name}/"
        made = subprocess.run(
            ["sh", str(ROOT / "tests/laptop/box.sh"), mirror], stdout=subprocess.PIPE, text=True, check=True
        )
        self.vagrant("box", "add", "--name", "debian/trixie64", made.stdout.strip())

    def virsh(self, *words: str, check: bool = True) -> Outcome:
        return self.host.run("virsh", "-c", CONNECTION, *words, check=check)

    def vagrant(self, *words: str, within: float = 300.0) -> str:
        """Run `vagrant WORDS` in the project; returns what it printed."""
        environment = {
            **os.environ,
            "HOME": str(self.home),
            "VAGRANT_HOME": str(self.home / "vagrant.d"),
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }
        self.home.mkdir(exist_ok=True)
        inside = ["sh", "-euc", 'cd "$1"; shift; exec vagrant "$@"', "vagrant", str(self.project), *words]
        said = run(self.host.inside(inside), timeout=within, env=environment).text
        with self.log.open("a") as log:
            log.write(f"--- vagrant {' '.join(words)}\n{said}\n")
        return said

    def plug(self, name: str, address: IPv4Interface) -> Host:
        """Another computer on the network between laptop and virtual machine."""
        host: Host = self.bed.host(name)
        bridge = self.virsh("net-info", "meshbox0").out.split("Bridge:")[1].split()[0]
        self.host.links(
            f"link add to-{name} type veth peer name lan netns {host.pid}",
            f"link set to-{name} master {bridge}",
            f"link set to-{name} up",
        )
        host.links(f"addr add {address} dev lan", "link set lan up")
        return host

    def close(self) -> None:
        self.vagrant("destroy", "-f")
