"""A copy elsewhere: the archive goes into a restic repository, which is thinned out by the same rule.

restic is a program of its own (Debian's package `restic`); it encrypts, checks what it stores and knows
many places. Only archives go there, so the newest is one file to fetch on a new machine.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from meshbox.config import Config
from meshbox.errors import OffsiteError

TAG = "meshbox"
TIMEOUT = 3600.0
"""Seconds for one command. A slow line takes an hour for a gigabyte; a dead one must not hang for ever."""

NO_REPOSITORY = 10
"""restic's exit code since 0.17; older ones end with 1 and say it in words."""

OUTPUT_LIMIT = 400


class Restic:
    """Raises OffsiteError when it is not configured or not installed."""

    def __init__(self, config: Config) -> None:
        offsite = config.backup.offsite
        if not offsite.repository:
            raise OffsiteError("backup.offsite.repository names no repository: set it, and its password_path")
        program = shutil.which("restic")
        if program is None:
            raise OffsiteError(
                "backup.offsite.repository wants restic, which is not here: apt install restic"
            )
        self._keep = config.backup
        self._command = [program, "--repo", offsite.repository, "--password-file", str(offsite.password_path)]
        self._environment = {**os.environ, **_variables(offsite.environment_path)}
        # Without a home directory, as under systemd, it would do without its cache and say so each time.
        self._environment.setdefault("RESTIC_CACHE_DIR", str(config.backup.directory / ".restic-cache"))
        self.repository = without_password(offsite.repository)

    def copy(self, archive: Path, host: str) -> None:
        """Store the archive, making the repository first when there is none. Raises OffsiteError."""
        self._need_repository()
        self._run("backup", "--tag", TAG, "--host", host, "--quiet", str(archive))

    def thin(self, host: str) -> None:
        """Forget what the rule does not keep. Raises OffsiteError."""
        keep = self._keep
        counts = {"last": keep.keep_last, "daily": keep.keep_daily, "weekly": keep.keep_weekly}
        counts["monthly"] = keep.keep_monthly
        wanted = [word for name, count in counts.items() if count for word in (f"--keep-{name}", str(count))]
        # Each archive has its own path; grouped by it, every one would be the newest of its group.
        self._run("forget", "--tag", TAG, "--host", host, "--group-by", "host", *wanted, "--prune", "--quiet")

    def _need_repository(self) -> None:
        code, said = self._try("cat", "config")
        if code == 0:
            return
        if code != NO_REPOSITORY and "unable to open config file" not in said:
            raise OffsiteError(self._sentence(said))
        self._run("init", "--quiet")

    def _run(self, *words: str) -> None:
        code, said = self._try(*words)
        if code != 0:
            raise OffsiteError(self._sentence(said))

    def _try(self, *words: str) -> tuple[int, str]:
        try:
            done = subprocess.run(
                [*self._command, *words],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OffsiteError(self._sentence(f"no end after {TIMEOUT / 60:.0f} minutes")) from None
        except OSError as error:
            raise OffsiteError(self._sentence(error.strerror or str(error))) from None
        return done.returncode, done.stderr.strip() or done.stdout.strip()

    def _sentence(self, said: str) -> str:
        return f"the copy to {self.repository} failed: {' '.join(said.split())[:OUTPUT_LIMIT]}"


def without_password(repository: str) -> str:
    """As it may stand in a journal: `rest:https://name:password@host/` has a secret in it."""
    return re.sub(r"//[^/@]*@", "//", repository)


def _variables(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise OffsiteError(f"backup.offsite.environment_path {path} cannot be read: {error}") from None
    pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
