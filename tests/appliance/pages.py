"""The commands that the pages of docs/ tell an administrator to type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("install", "operate", "backup", "upgrade", "security", "tls")
PROGRAMS = (
    "ansible-playbook", "apt", "cat", "cd", "certbot", "curl", "install", "journalctl", "make", "meshbox",
    "mkdir", "mv", "printf", "restic", "rm", "runuser", "systemctl", "systemd-analyze",
    "tailscale", "$EDITOR",
)  # fmt: skip
COMMENT, REMARK = re.compile(r" +# .*$"), re.compile(r" {2,}.*$")
"""What stands beside a command: a comment, or words after two spaces (which no quoted text ends before)."""


def commands(page: str) -> Iterator[str]:
    """The commands of a page in their order, without remarks."""
    for line in (DOCS / f"{page}.md").read_text().splitlines():
        if line.startswith("    ") and line.split()[0] in PROGRAMS:
            command = COMMENT.sub("", line.strip())
            yield command if "'" in command else REMARK.sub("", command)


ELSEWHERE = {
    "make deb": "every test here begins with it; and tests/laptop, in a virtual machine",
    "curl -fsSo /etc/apt": "test_packages.py, from a repository of its own",
    "cat > /etc/apt": "test_packages.py",
    "apt ": "test_packages.py, test_install.py, the upgrade of test_site.py; there is no older release",
    "meshbox setup": "test_install.py, at a terminal",
    "tailscale up": "test_install.py, the line that setup prints",
    "cd ansible": "test_site.py runs the playbooks",
    "$EDITOR": "test_site.py gives the variables",
    "ansible-playbook": "test_site.py",
    "meshbox derp status": "test_site.py: here is no separate relay",
    "meshbox backup restore": "test_site.py, on a second machine; tests/serve/backup",
    "systemctl start meshbox-derp": "test_site.py, on the second machine",
    "meshbox backup copy": "test_install.py, with a repository",
    "install -m 0640 -g meshbox": "test_install.py, with a repository",
    "runuser -u meshbox -- ssh backup@": "there is no such machine",
    "restic": "tests/serve/backup/test_offsite.py",
    "install meshbox": "no command: what the server says, see test_install.py",
    "mv /var/lib/meshbox/db.sqlite": "the way back to a release that does not exist yet",
    "rm -f /var/lib/meshbox/db.sqlite": "the same",
    "install -o meshbox": "the same",
    "certbot": "test_certbot.py",
    "cd /etc/letsencrypt": "test_certbot.py, in the hook",
}
"""What cannot be typed on the machine of test_install.py, by its beginning, and where it is shown instead."""


def elsewhere(command: str) -> str | None:
    """The entry of ELSEWHERE that covers a command."""
    return next((start for start in ELSEWHERE if command.startswith(start)), None)
