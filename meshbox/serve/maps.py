"""POST /machine/map: a node reports itself, and asks for its map once, for good, or not at all.

What the request reports is noted before the node counts as online, so that its routes are known when
its peers hear of it. An error is answered before the first byte of the map: an empty 200 makes
clients try again every 10 ms.

Source: tailcfg.MapRequest; control-protocol map requests and stream framing.
"""

from __future__ import annotations

from meshbox import log
from meshbox.errors import Busy
from meshbox.serve.core import Core
from meshbox.serve.sessions import Sessions
from meshbox.serve.tunnel import JSON, Tunnel
from meshbox.tailnet import report
from meshbox.tailnet.model import Node
from meshbox.tailnet.poll import Poll
from meshbox.wire.capver import too_old
from meshbox.wire.tailcfg import MapRequest, parse_map


class Maps:
    def __init__(self, core: Core, sessions: Sessions) -> None:
        self._core = core
        self._sessions = sessions

    def answer(self, tunnel: Tunnel, stream_id: int, body: bytes) -> None:
        """Raises Malformed, Unauthorised, UnknownNode, Busy."""
        core = self._core
        request = parse_map(body)
        refusal = too_old(request.version)
        if refusal is not None:
            core.metrics.count("meshbox_refused_total", "too_old")
            tunnel.answer(stream_id, 400, refusal.encode())
            return
        node = report.take(core.tailnet, tunnel.machine_key, request, core.wall())
        tunnel.authorise()
        if request.clipped:
            fields = ", ".join(request.clipped)
            log.emit_limited("report_clipped", node.name, node=node.name, fields=fields)
        if request.stream and not request.read_only:
            self._sessions.open(tunnel, stream_id, node, request.compress)
        elif request.omit_peers:
            tunnel.answer(stream_id, 200, headers=(JSON,))
        else:
            self._answer_once(tunnel, stream_id, node, request)

    def _answer_once(self, tunnel: Tunnel, stream_id: int, node: Node, request: MapRequest) -> None:
        core = self._core
        if self._sessions.asks_too_often(node, tunnel.peer):
            raise Busy("too many maps in a minute; hold a stream open instead", 60)
        poll = Poll(core.mapper, node, request.compress)
        tunnel.h2.respond(stream_id, 200, (JSON,), end=False)
        tunnel.h2.queue(stream_id, poll.first(core.wall()), end=True)
        core.metrics.count("meshbox_map_responses_total", "once")
        tunnel.pump()
