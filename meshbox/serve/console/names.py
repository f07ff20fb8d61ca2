"""`/console/names`: how are names resolved? What a client is told, and what it answers to a name."""

from __future__ import annotations

from meshbox.errors import MeshboxError
from meshbox.serve.console.sight import Screen, Sight, screen


@screen("/names")
async def names(sight: Sight) -> Screen:
    viewer, name = sight.query.get("as", "").strip(), sight.query.get("name", "").strip()
    kind = sight.query.get("type", "A")
    refusal, answer = "", None
    shown = await sight.ask("GET", "/dns")
    try:
        if viewer:
            shown = await sight.ask("GET", "/dns", query={"as": viewer})
        if viewer and name:
            query = {"as": viewer, "name": name, "type": kind}
            answer = await sight.ask("GET", "/dns/query", query=query)
    except MeshboxError as error:
        refusal = str(error)
    values = {
        "dns": shown,
        "viewer": viewer,
        "name": name,
        "type": kind,
        "trouble": refusal,
        "answer": answer,
    }
    return Screen("console-names.html", "DNS", "names", values)
