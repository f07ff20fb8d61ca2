"""Times for people: "3 minutes ago", with the exact moment beside it for machines."""

from __future__ import annotations

from meshbox.serve.api.moments import write_moment

_STEPS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def ago(moment: float, now: float) -> str:
    seconds = max(0, int(now - moment))
    for length, word in _STEPS:
        count = seconds // length
        if count:
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return "just now"


def machine_time(moment: float) -> str:
    return write_moment(moment) or ""
