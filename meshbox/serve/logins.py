"""/machine/ssh/...: what a node shall do with a login by Tailscale SSH that a `check` rule holds.

The destination asks, once for a login and then again at the check's own address, where the answer waits
until a person has decided. Nothing is polled: a held answer is a stream that stays open.

Source: tailcfg.SSHAction; ssh/tailssh fetches `holdAndDelegate` through the tunnel, takes any host for ours,
and asks again for 30 minutes when it gets anything but 200.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

from meshbox import fastjson, log
from meshbox.errors import Malformed, Unauthorised
from meshbox.policy.ssh import CHECK_ORIGIN
from meshbox.serve.core import Core
from meshbox.serve.tunnel import JSON, Tunnel
from meshbox.tailnet import checks
from meshbox.tailnet.model import Node
from meshbox.wire.h2 import Request

ACTION = "/machine/ssh/action/"
WAIT = "/machine/ssh/check/"
LOGIN_LIMIT = 64
"""Characters of a login name; Linux takes 32."""


@dataclass(frozen=True, slots=True)
class Held:
    tunnel: Tunnel
    stream_id: int
    check_id: str
    destination: int


class Logins:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._held: list[Held] = []

    @property
    def held_count(self) -> int:
        return len(self._held)

    def ask(self, tunnel: Tunnel, request: Request) -> None:
        """GET /machine/ssh/action/{source}/to/{destination}?local_user=NAME."""
        core = self._core
        path, _, query = request.path.partition("?")
        parts = path.removeprefix(ACTION).split("/")
        login = parse_qs(query, max_num_fields=8).get("local_user", [""])[0]
        is_named = len(parts) == 3 and parts[1] == "to" and _is_id(parts[0]) and _is_id(parts[2])
        if not is_named or not 0 < len(login) <= LOGIN_LIMIT or not login.isprintable():
            raise Malformed("wants /machine/ssh/action/SOURCE/to/DESTINATION?local_user=NAME")
        destination = self._own_node(tunnel, int(parts[2]))
        verdict = checks.ask(core.tailnet, int(parts[0]), destination, login, core.wall())
        self._answer(tunnel, request.stream_id, verdict)

    def wait(self, tunnel: Tunnel, request: Request) -> None:
        """GET /machine/ssh/check/{id}/{destination}: answered when somebody decided, or time is over."""
        check_id, _, node_id = request.path.partition("?")[0].removeprefix(WAIT).partition("/")
        if not _is_id(node_id):
            raise Malformed("wants /machine/ssh/check/ID/DESTINATION")
        destination = self._own_node(tunnel, int(node_id))
        self._held = [one for one in self._held if (one.tunnel, one.check_id) != (tunnel, check_id)]
        held = Held(tunnel, request.stream_id, check_id, destination.id)
        if not self._settle(held):
            self._held.append(held)

    def settle(self) -> None:
        """Answer those that were decided. Called in each round of news."""
        if self._held:
            self._held = [held for held in self._held if not self._settle(held)]

    def forget(self, tunnel: Tunnel, stream_id: int | None = None) -> None:
        """The client gave a stream up, or (None) has gone."""
        self._held = [
            one for one in self._held if one.tunnel is not tunnel or stream_id not in (None, one.stream_id)
        ]

    def _settle(self, held: Held) -> bool:
        verdict = checks.follow(self._core.tailnet, held.check_id, held.destination)
        if isinstance(verdict, checks.Hold):
            return False
        self._answer(held.tunnel, held.stream_id, verdict)
        return True

    def _answer(self, tunnel: Tunnel, stream_id: int, verdict: checks.Verdict) -> None:
        match verdict:
            case checks.LetIn(rule):
                action = self._core.tailnet.enforcement.compiled.ssh.accepted(rule)
            case checks.Turned(reason):
                action = {"reject": True, "message": f"meshbox: {reason}\r\n"}
            case checks.Hold(check):
                what = checks.describe(self._core.tailnet, check)
                log.emit_limited("ssh_check_waiting", what, what=what)
                link = self._core.server_url + check.path
                action = {
                    "message": f"# This login wants a confirmation. Open, or send to your administrator:\r\n"
                    f"#   {link}\r\n",
                    "holdAndDelegate": f"{CHECK_ORIGIN}{WAIT}{check.id}/{check.destination}",
                }
        tunnel.answer(stream_id, 200, fastjson.dumps(action), (JSON,))

    def _own_node(self, tunnel: Tunnel, node_id: int) -> Node:
        """The destination must be the caller itself. Raises Unauthorised."""
        node = self._core.tailnet.nodes.get(node_id)
        if node is None or node.machine_key != tunnel.machine_key:
            raise Unauthorised("only the destination of a login may ask about it")
        return node


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 15
