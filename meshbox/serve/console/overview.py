"""`/console`: is it well, and what wants a person?"""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.serve.console.menu import waiting
from meshbox.serve.console.search import SOON, waiting_routes
from meshbox.serve.console.sight import ROOT, Screen, Sight, screen
from meshbox.tailnet.tailnet import Tailnet

LATEST = 8
"""Entries of the audit shown."""


@dataclass(frozen=True, slots=True)
class Attention:
    """`level` is `bad` when something does not work, `waiting` when somebody waits."""

    level: str
    text: str
    path: str = ""


@screen("")
async def overview(sight: Sight) -> Screen:
    status, health = await sight.ask("GET", "/status"), await sight.ask("GET", "/health")
    latest = await sight.ask("GET", "/audit", query={"limit": str(LATEST)})
    wants = [Attention("bad", f"{what}: {why}") for what, why in health["problems"].items()]
    wants += [Attention("waiting", f"{what}: {why}") for what, why in health["doubts"].items()]
    wants += attention(sight.tailnet, sight.now)
    values = {"status": status, "wants": wants, "entries": latest["entries"]}
    return Screen("console-overview.html", "Overview", "overview", values)


def attention(t: Tailnet, now: float) -> list[Attention]:
    """What waits for a person in the tailnet itself."""
    counts = (
        (
            waiting(t),
            "device or login waits for a decision",
            "devices or logins wait for a decision",
            "/waiting",
        ),
        (
            sum(bool(waiting_routes(t, node)) for node in t.nodes.values()),
            "machine offers routes that nobody approved",
            "machines offer routes that nobody approved",
            "/machines?state=routes",
        ),
        (
            sum(
                node.expires_at is not None and now < node.expires_at <= now + SOON
                for node in t.nodes.values()
            ),
            "machine has to log in again within two weeks",
            "machines have to log in again within two weeks",
            "/machines?state=expiring",
        ),
    )
    return [
        Attention("waiting", f"{count} {one if count == 1 else many}", ROOT + path)
        for count, one, many, path in counts
        if count
    ]
