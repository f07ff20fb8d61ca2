"""`/console/access`: who may reach what? The policy's text, what a change would do, and its history."""

from __future__ import annotations

from meshbox.serve.console.sight import Screen, Sight, screen

HISTORY = 20
FORM_LIMIT = 4 << 20
"""Bytes: a policy of a megabyte, spelled as browsers spell forms."""

ACTS = ("policy.check", "policy.diff", "policy.explain", "policy.put", "policy.restore")


@screen("/access", ACTS, FORM_LIMIT)
async def access(sight: Sight) -> Screen:
    policy = await sight.ask("GET", "/policy")
    history = await sight.ask("GET", "/policy/history", query={"limit": str(HISTORY)})
    # Whoever was refused goes on with their own text, and with the version that they had read.
    is_draft = "policy" in sight.given
    values = {
        "policy": policy,
        "text": sight.given.text("policy") if is_draft else policy["policy"],
        "expected": sight.given.text("expected") if is_draft else policy["newest"],
        "history": history["versions"],
        "src": sight.given.text("src") or sight.query.get("src", ""),
        "dst": sight.given.text("dst") or sight.query.get("dst", ""),
    }
    return Screen("console-access.html", "Access", "access", values)
