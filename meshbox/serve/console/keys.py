"""`/console/keys`: what lets in? Pre-auth keys for machines, API keys for administrators."""

from __future__ import annotations

from meshbox.serve.api.moments import write_moment
from meshbox.serve.console.sight import Screen, Sight, screen

LIVES = {"1 hour": 3600.0, "1 day": 86_400.0, "7 days": 604_800.0, "30 days": 2_592_000.0}
LIVES |= {"90 days": 7_776_000.0, "1 year": 31_536_000.0}

AT_MOST = 300
"""Keys of a kind on the page: the newest."""

ACTS = ("api.create", "api.delete", "api.expire", "key.delete", "key.expire")


@screen("/keys", ACTS)
async def keys(sight: Sight) -> Screen:
    """Those that still let in come first."""
    machine_keys = (await sight.ask("GET", "/preauthkey"))["preAuthKeys"]
    admin_keys = (await sight.ask("GET", "/apikey"))["apiKeys"]
    now = write_moment(sight.now) or ""
    for key in (*machine_keys, *admin_keys):
        key["isOver"] = bool(key["expiration"] and key["expiration"] <= now)
    for key in machine_keys:
        key["isOver"] = key["isOver"] or (key["used"] and not key["reusable"])
    values = {
        "machine_keys": _in_order(machine_keys),
        "admin_keys": _in_order(admin_keys),
        "own": sight.actor.removeprefix("api:"),
        "lives": lives(sight.now, ("1 day", "7 days", "30 days", "90 days", "1 year")),
    }
    return Screen("console-keys.html", "Keys", "keys", values)


def lives(now: float, words: tuple[str, ...]) -> dict[str, str]:
    """How long a key may live, with the moment at which it then ends; "" never ends."""
    return {word: (write_moment(now + LIVES[word]) or "") if word else "" for word in words}


def _in_order(keys: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(keys, key=lambda key: (bool(key["isOver"]), -int(str(key["id"]))))[:AT_MOST]
