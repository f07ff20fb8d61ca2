"""What a client is told for its user's eyes: notices, and whether a newer client is there.

Source: tailcfg.DisplayMessage (clients from capability version 117; older ones show plain Health texts),
tailcfg.ClientVersion (from 73).
"""

from __future__ import annotations

from meshbox import fastjson
from meshbox.policy.postures import compare_versions
from meshbox.tailnet.model import Node, Notice
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.targets import names_of
from meshbox.wire.gojson import Json

DISPLAYS_SINCE = 117


class Hints:
    def __init__(self, t: Tailnet) -> None:
        self._t = t
        self._has_hinted = False

    def fields(self, node: Node) -> bytes:
        """Members of a MapResponse, with a comma before each. They replace all that was said before."""
        json: Json = {}
        version = self._version(node)
        if version is not None:
            json["ClientVersion"] = version
        notices = self._notices(node)
        if self._t.report(node.id).capver >= DISPLAYS_SINCE:
            # The star takes away what is no longer among them.
            json["DisplayMessages"] = {"*": None, **{notice.name: _display(notice) for notice in notices}}
        else:
            json["Health"] = [_plain(notice) for notice in notices]
        return b"," + fastjson.dumps(json)[1:-1]

    def _version(self, node: Node) -> Json | None:
        """None says nothing. What was said cannot be unsaid in a session, only replaced: so once there were
        hints, clients are told that they need none."""
        latest = self._t.settings.latest_client
        running = self._t.report(node.id).client_version.partition("-")[0]
        if not running or not (latest or self._has_hinted):
            return None
        if not latest or compare_versions(running, latest) >= 0:
            return {"RunningLatest": True}
        self._has_hinted = True
        return {"LatestVersion": latest, "Notify": True}

    def _notices(self, node: Node) -> list[Notice]:
        if not self._t.notices:
            return []
        names = names_of(self._t, node)
        found = (one for one in self._t.notices.values() if not one.targets or names & set(one.targets))
        return sorted(found, key=lambda notice: notice.id)


def _display(notice: Notice) -> Json:
    json: Json = {"Title": notice.title, "Text": notice.text or notice.title, "Severity": notice.severity}
    if notice.link:
        json["PrimaryAction"] = {"URL": notice.link, "Label": notice.label}
    return json


def _plain(notice: Notice) -> str:
    parts = (f"{notice.title}: {notice.text}" if notice.text else notice.title, notice.link)
    return " ".join(part for part in parts if part)
