"""Our events out of systemd's journal, by journalctl.

The journal is the better source where it is: it has all runs of the server, and survives them. The command
that is run is shown, so that whoever wants more can go on with it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from meshbox.cli.lives import rfc3339

Json = dict[str, Any]

LEVELS = {"7": "debug", "6": "info", "5": "info", "4": "warning", "3": "error"}
PATIENCE = 10.0
"""Seconds for a journal to say whether it has anything of ours."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which events. `since` is unix seconds; `count` is of the newest, 0 for all."""

    node: str = ""
    user: str = ""
    events: tuple[str, ...] = ()
    since: float | None = None
    count: int = 0
    follow: bool = False


def command(wish: Wish) -> list[str]:
    """For journalctl, as a person would type it. Matches of one field are alternatives, of different ones
    conditions."""
    words = ["journalctl", "-t", "meshbox"]
    words += [f"MESHBOX_EVENT={name}" for name in wish.events]
    words += [f"MESHBOX_NODE={wish.node}"] if wish.node else []
    words += [f"MESHBOX_USER={wish.user}"] if wish.user else []
    words += [f"--since=@{wish.since:.0f}"] if wish.since is not None else []
    words += [f"--lines={wish.count}"] if wish.count else []
    return [*words, "--follow"] if wish.follow else words


def has_any() -> bool:
    """Whether there is a journal here that shows us events of ours."""
    if shutil.which("journalctl") is None:
        return False
    words = [*command(Wish(count=1)), "--quiet", "--output=cat"]
    try:
        done = subprocess.run(
            words, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


def read(wish: Wish) -> Iterator[Json]:
    """Events as the API has them, oldest first; with `follow` without end."""
    words = [*command(wish), "--quiet", "--no-pager", "--output=json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as journalctl:
        assert journalctl.stdout is not None
        try:
            for line in journalctl.stdout:
                event = from_entry(line)
                if event is not None:
                    yield event
        finally:
            journalctl.terminate()


def from_entry(line: str) -> Json | None:
    """An entry of `journalctl -o json`. Values may be lists (a field given twice) or null (too long to
    show); an entry without our field is none of our events."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("MESHBOX_EVENT"), str):
        return None
    fields = {
        name.removeprefix("MESHBOX_").lower(): value
        for name, value in entry.items()
        if name.startswith("MESHBOX_") and name != "MESHBOX_EVENT" and isinstance(value, str)
    }
    moment = str(entry.get("__REALTIME_TIMESTAMP", "0"))
    return {
        "time": rfc3339(int(moment) / 1_000_000) if moment.isdecimal() else None,
        "level": LEVELS.get(str(entry.get("PRIORITY")), "info"),
        "event": entry["MESHBOX_EVENT"],
        "message": str(entry.get("MESSAGE") or ""),
        "fields": dict(sorted(fields.items())),
    }
