"""`/ssh/{id}`: the page whoever logs in by Tailscale SSH is sent to when a check rule holds the login.

Like the registration page it shows what waits and what an administrator types, and lets nobody in itself.
"""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.pages.page import Page, View, page
from meshbox.tailnet.checks import CHECK_LIFE, describe

REFRESH = 3
"""Seconds between two looks at whether somebody has decided."""


@page("/ssh/{id}", Audience.ANYONE)
def confirm(view: View) -> Page:
    t = view.context.tailnet
    check = t.checks.get(view.path["id"])
    if check is None:
        return Page("ssh-gone.html", "This link has expired", status=404)
    values = {
        "id": check.id,
        "what": describe(t, check),
        "state": check.state,
        "created_at": check.created_at,
        "expires_in": int(CHECK_LIFE // 60),
    }
    title = {"waiting": "A login wants a confirmation", "approved": "Confirmed", "rejected": "Rejected"}
    return Page("ssh.html", title[check.state], values, refresh=REFRESH if check.state == "waiting" else None)
