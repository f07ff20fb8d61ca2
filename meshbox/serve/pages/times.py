"""Times for people: "3 minutes ago", with the exact moment beside it for machines."""

from __future__ import annotations

from meshbox.serve.api.moments import read_moment, write_moment

_STEPS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def ago(moment: float, now: float) -> str:
    seconds = max(0, int(now - moment))
    for length, word in _STEPS:
        count = seconds // length
        if count:
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return "just now"


def relative(text: str, now: float) -> str:
    """A moment as the API writes it: "3 days ago", "in 5 hours"."""
    moment = read_moment(text, "time")
    if moment is None:
        return "never"
    if moment <= now:
        return ago(moment, now)
    ahead = ago(now, moment)
    return "in a moment" if ahead == "just now" else f"in {ahead.removesuffix(' ago')}"


def machine_time(moment: float) -> str:
    return write_moment(moment) or ""
