"""`/register/{id}`: the page a device's user is sent to when it asked to come in without a key.

With a sign-in provider it leads there. Otherwise, and with `?by=administrator`, it shows which device waits
and what an administrator types to let it in. It never lets anybody in itself: the link can be opened by
anybody it was sent to.
"""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.openid.desk import start_path
from meshbox.serve.pages.page import Page, View, page
from meshbox.tailnet.model import Pending
from meshbox.tailnet.pending import PENDING_LIFE

REFRESH = 5
"""Seconds between two looks at whether somebody has decided."""


@page("/register/{id}", Audience.ANYONE)
def register(view: View) -> Page:
    pending = view.context.tailnet.pending.get(view.path["id"])
    if pending is None:
        return Page("register-gone.html", "This link has expired", status=404)
    match pending.state:
        case "approved":
            return _approved(view, pending)
        case "rejected":
            return Page("register-rejected.html", "This device was rejected", device_facts(pending))
        case "waiting" if view.shall_sign_in:
            return Page("register.html", "", location=start_path("register", pending.id))
        case "waiting":
            return Page("register.html", "A device wants to join", device_facts(pending), refresh=REFRESH)


def _approved(view: View, pending: Pending) -> Page:
    t = view.context.tailnet
    node = t.nodes.get(t.by_node_key.get(pending.node_key, 0))
    name = "" if node is None else f"{node.name}.{t.settings.domain}"
    addresses = [] if node is None else [str(address) for address in node.addresses]
    return Page("register-approved.html", "This device is in", {"name": name, "addresses": addresses})


def device_facts(pending: Pending) -> dict[str, object]:
    hostinfo = pending.request.hostinfo
    return {
        "id": pending.id,
        "hostname": hostinfo.hostname if hostinfo else "",
        "os": hostinfo.os if hostinfo else "",
        "tags": hostinfo.request_tags if hostinfo else (),
        "node_key": pending.node_key.short,
        "machine_key": pending.machine_key.short,
        "source": pending.source,
        "created_at": pending.created_at,
        "expires_in": int(PENDING_LIFE // 60),
    }
