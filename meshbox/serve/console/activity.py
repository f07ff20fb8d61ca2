"""`/console/activity`: who did what, and when?"""

from __future__ import annotations

from urllib.parse import urlencode

from meshbox.serve.console.sight import ROOT, Screen, Sight, screen

PER_PAGE = 100
FIELDS = ("actor", "action", "object")


@screen("/activity")
async def activity(sight: Sight) -> Screen:
    wanted = {name: sight.query.get(name, "").strip() for name in FIELDS}
    before = sight.query.get("before", "")
    query = {**wanted, "limit": str(PER_PAGE), "before": before if before.isdecimal() else ""}
    entries = (await sight.ask("GET", "/audit", query=query))["entries"]
    older = ""
    if len(entries) == PER_PAGE:
        fields = {name: value for name, value in wanted.items() if value}
        older = f"{ROOT}/activity?{urlencode({**fields, 'before': entries[-1]['id']})}"
    return Screen(
        "console-activity.html",
        "Activity",
        "activity",
        {"entries": entries, "wanted": wanted, "older": older},
    )
