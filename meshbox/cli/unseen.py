"""What root sees and the service would not: it runs as a user of its own, in a sandbox.

Without this `config check` calls a configuration fine that the next start refuses, because the policy is a
checkout in somebody's home or the key belongs to root.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from meshbox.errors import Problem

UNIT = Path("/usr/lib/systemd/system/meshbox.service")
"""Where the package puts it. Without it nobody knows as whom the server will run."""

USER = "meshbox"

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""ProtectHome= and PrivateTmp= of the unit: there the service sees nothing, or another directory."""

PATIENCE = 10.0
"""Seconds. A file on a network disk that has gone answers nobody."""


def unseen(files: Iterable[tuple[str, Path]]) -> Iterator[Problem]:
    """`files` by the key that names them, and all visible to this process. Nothing is said where the unit is
    not installed, to somebody who is not root and may see less than the service does, and where nobody can
    become that user, as in some containers."""
    if os.geteuid() != 0 or not UNIT.exists() or not _may(Path("/"), "-x"):
        return
    for key, file in files:
        where = file.resolve()
        below = next((place for place in HIDDEN if where.is_relative_to(place)), "")
        if below:
            text = f"{file} is in {below}, where the service sees nothing; keep it in /etc/meshbox or /srv"
            yield Problem(key, text)
        elif (closed := _obstacle(where)) is not None:
            bit = "r" if closed == where else "x"
            mend = f"`chgrp {USER} {closed} && chmod g+{bit} {closed}`"
            yield Problem(key, f"{file} cannot be read by {USER}, as whom the service runs: {mend}")


def _obstacle(file: Path) -> Path | None:
    """The first of the directories, or the file, that keeps the user out."""
    for place in (*reversed(file.parents), file):
        if not _may(place, "-r" if place == file else "-x"):
            return place
    return None


def _may(place: Path, what: str) -> bool:
    words = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "test", what, str(place)]
    try:
        return subprocess.run(words, timeout=PATIENCE, capture_output=True).returncode == 0
    except subprocess.TimeoutExpired:
        return False
