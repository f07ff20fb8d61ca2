"""How long something lives, as people type it, and as the API wants it."""

from __future__ import annotations

import time

from meshbox.errors import Invalid

NEVER = ("never", "0")


def expiry(text: str, option: str = "--expiration") -> str | None:
    """`24h` or `90d` from now as RFC 3339; None for never."""
    if text.lower() in NEVER:
        return None
    # With it comes the whole configuration, which `--help` must not wait for.
    from meshbox.config.durations import parse_duration

    try:
        seconds = parse_duration(text)
        return rfc3339(time.time() + seconds)
    except (ValueError, OverflowError):
        raise Invalid(f"{option}: {text!r} is not a duration; write it like 90d, 24h, 30m or never") from None


def rfc3339(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
