"""A bare Debian 13 that boots: systemd-nspawn on a throw-away copy of an image, in a host's namespace.

    vps = Machine(host, base)
    vps.boot()
    vps.run("systemctl", "is-system-running")
    vps.close()

The container has systemd as its first process, its own users, mounts, services and firewall. Its disk is an
overlay in memory that lives as long as the machine, over reboots too.
"""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

from tests.world.network import Host
from tests.world.process import DIES_WITH_US, Daemon, Outcome, eventually, run

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DISK = "1400m"
REBOOT = 133
"""What systemd-nspawn --keep-unit ends with when the machine wants to be started again."""

# $1 base image, $2 directory of the machine, $3 its network namespace, $4 its name
BOOT = f"""
set -e
mkdir -p "$2/disk"
mount -t tmpfs -o size={DISK} disk "$2/disk"
mkdir "$2/disk/upper" "$2/disk/work" "$2/disk/root"
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/disk/upper,workdir=$2/disk/work" "$2/disk/root"
cp -a "$2/seed/." "$2/disk/root/"
# nspawn wants a place of its own there for each container, and removes it when one of them ends.
mkdir -p /run/systemd && mount -t tmpfs nspawn /run/systemd
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network
while :; do
    status=0
    systemd-nspawn --quiet --directory="$2/disk/root" --machine="$4" --hostname="$4" --boot --register=no \\
        --keep-unit --console=pipe --resolv-conf=off --timezone=off --link-journal=no \\
        --network-namespace-path="$3" --capability=CAP_NET_ADMIN </dev/null || status=$?
    [ "$status" = {REBOOT} ] || exit "$status"
    echo "--- reboot"
done
"""


class Machine:
    """One machine. `seed` is a directory of files laid over the image before the first boot."""

    def __init__(self, host: Host, base: Path) -> None:
        self.host = host
        self.name = host.name
        self.directory = host.directory / "machine"
        self.seed = self.directory / "seed"
        self.seed.mkdir(parents=True)
        self.base = base
        self.daemon = Daemon(f"machine {self.name}", self.directory / "console")
        self._leader = 0

    def lay(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file on the disk before the first boot."""
        file = self.seed / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def boot(self, within: float = 30.0) -> None:
        """Switch it on and wait until it has finished starting."""
        namespace = f"/proc/{self.host.pid}/ns/net"
        self.daemon.start(
            ["unshare", "--mount", "--propagation", "private", *DIES_WITH_US,
             "sh", "-c", BOOT, "boot", str(self.base), str(self.directory), namespace, self.name],
        )  # fmt: skip
        self.settle(within)

    def settle(self, within: float = 30.0) -> None:
        """Wait until it is up."""
        self.daemon.ready(self._is_up, within, "is up")

    def _is_up(self) -> bool:
        self._leader = _first_process(self.daemon.pid)
        if not self._leader:
            return False
        return self.run("systemctl", "is-system-running", check=False).out.strip() in ("running", "degraded")

    def reboot(self, within: float = 40.0) -> None:
        """As an administrator does."""
        before = self._leader
        self.run("systemctl", "reboot", check=False)
        eventually(lambda: not Path(f"/proc/{before}").exists(), within, f"{self.name} goes down")
        self.settle(within)

    def inside(self, *argv: str) -> list[str]:
        """The command line that runs `argv` in the machine."""
        clean = [
            "env",
            "-i",
            f"PATH={PATH}",
            "HOME=/root",
            "LC_ALL=C.UTF-8",
            "DEBIAN_FRONTEND=noninteractive",
        ]
        enter = [
            "nsenter",
            f"--target={self._leader}",
            *["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"],
            "--",
        ]
        return [*enter, *clean, *argv]

    def run(self, *argv: str, timeout: float = 120.0, check: bool = True, stdin: str = "") -> Outcome:
        """Run a command as root of the machine."""
        return run(self.inside(*argv), timeout=timeout, check=check, stdin=stdin)

    def sh(self, script: str, timeout: float = 120.0, check: bool = True) -> str:
        """Run a shell script and return what it printed."""
        return self.run("sh", "-euc", script, timeout=timeout, check=check).out.strip()

    def put(self, source: Path, target: str) -> None:
        """Copy a file or directory into it."""
        script = f"tar -C {shlex.quote(str(source.parent))} -c {shlex.quote(source.name)}"
        into = shlex.join(self.inside("sh", "-euc", f"mkdir -p {target}; tar -x -C {target}"))
        run(["sh", "-euc", f"{script} | {into}"])

    def read(self, path: str) -> str:
        """A file's text."""
        return self.run("cat", path).out

    def failed_units(self) -> list[str]:
        """Units that failed; a healthy machine has none."""
        listed = self.run("systemctl", "--failed", "--plain", "--no-legend").out
        return [line.split()[0] for line in listed.splitlines()]

    def journal(self, unit: str, lines: int = 30) -> str:
        """The last lines of a unit."""
        return self.run("journalctl", "-u", unit, "-n", str(lines), "-o", "short-iso", check=False).out

    def listening(self) -> set[str]:
        """`tcp/443`, `udp/3478` ...: what is open beyond loopback."""
        found = set()
        for line in self.run("ss", "-Hltun").out.splitlines():
            kind, _, _, _, local, *_ = line.split()
            address, _, port = local.rpartition(":")
            if not address.startswith(("127.", "[::1]")) and "%lo" not in address:
                found.add(f"{kind}/{port}")
        return found

    def close(self) -> None:
        """Pull the plug."""
        if self._leader and Path(f"/proc/{self._leader}").exists():
            os.kill(self._leader, signal.SIGKILL)
        self.daemon.stop(signal.SIGKILL)


def _first_process(nspawn: int) -> int:
    """The container's systemd among the descendants of the process that was started; 0 before it is there."""
    todo = [nspawn]
    while todo:
        pid = todo.pop()
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += [int(child) for child in (task / "children").read_text().split()]
            is_first = (Path(f"/proc/{pid}/comm").read_text().strip() == "systemd") and pid != nspawn
            if is_first:
                return pid
        except (FileNotFoundError, ProcessLookupError):
            continue
    return 0
