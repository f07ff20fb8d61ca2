"""`/ssh/{id}`: the page whoever logs in by Tailscale SSH is sent to when a check rule holds the login.

With a sign-in provider it leads there. Otherwise, and with `?by=administrator`, it shows what waits and what
an administrator types; one who brings an API key may decide here.
"""

from __future__ import annotations

from meshbox.errors import Invalid
from meshbox.serve.api.audience import Audience
from meshbox.serve.openid.desk import start_path
from meshbox.serve.pages.page import Page, View, has_form, page
from meshbox.tailnet.checks import CHECK_LIFE, approve, describe, reject

REFRESH = 3
"""Seconds between two looks at whether somebody has decided."""


def decide(view: View, wish: str, actor: str) -> None:
    t, check_id = view.context.tailnet, view.path["id"]
    if wish == "approve":
        approve(t, check_id, actor, view.now)
    elif wish == "reject":
        reject(t, check_id, actor, view.now)
    else:
        raise Invalid("press one of the two buttons")


@page("/ssh/{id}", Audience.ANYONE, decide)
def confirm(view: View) -> Page:
    t = view.context.tailnet
    check = t.checks.get(view.path["id"])
    if check is None:
        return Page("ssh-gone.html", "This link has expired", status=404)
    if check.state == "waiting" and view.shall_sign_in:
        return Page("ssh.html", "", location=start_path("ssh", check.id))
    values = {
        "id": check.id,
        "what": describe(t, check),
        "state": check.state,
        "created_at": check.created_at,
        "expires_in": int(CHECK_LIFE // 60),
    }
    title = {"waiting": "A login wants a confirmation", "approved": "Confirmed", "rejected": "Rejected"}
    # A page that loads itself again would take away the key that somebody is typing.
    is_looked_at = check.state == "waiting" and not has_form(view)
    return Page("ssh.html", title[check.state], values, refresh=REFRESH if is_looked_at else None)
