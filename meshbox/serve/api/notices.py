"""/api/v1/notice: what clients show their users."""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.moments import write_moment
from meshbox.tailnet import notices
from meshbox.tailnet.model import Notice
from meshbox.tailnet.notices import NoticeWish


@endpoint("GET", "/notice", Audience.ADMINISTRATOR)
def list_notices(call: Call) -> Listing:
    return Listing("notices", list(call.tailnet.notices.values()), _shape)


@endpoint("POST", "/notice", Audience.ADMINISTRATOR)
def put_notice(call: Call) -> Json:
    """In place of the one with this `name`."""
    wish = NoticeWish(
        name=call.wants("name"),
        title=call.wants("title"),
        text=call.text("text"),
        severity=call.text("severity") or "medium",
        link=call.text("link"),
        label=call.text("label"),
        targets=call.texts("targets"),
    )
    return {"notice": _shape(notices.put(call.tailnet, wish, call.actor, call.now))}


@endpoint("DELETE", "/notice/{name}", Audience.ADMINISTRATOR)
def delete_notice(call: Call) -> Json:
    notices.delete(call.tailnet, call.path["name"], call.actor, call.now)
    return {}


def _shape(notice: Notice) -> Json:
    return {
        "id": str(notice.id),
        "name": notice.name,
        "createdAt": write_moment(notice.created_at),
        "title": notice.title,
        "text": notice.text,
        "severity": notice.severity,
        "link": notice.link,
        "label": notice.label,
        "targets": list(notice.targets),
    }
