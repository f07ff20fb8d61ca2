"""The small requests of clients: set an attribute, note an act of their user, ask for a feature, prove a name
to a certificate authority, tell of an SSH session that was not recorded.

Each names a node key, which must be the tunnel's own; those that write are rationed.

Source: tailcfg.SetDeviceAttributesRequest, AuditLogRequest, QueryFeatureRequest, SSHEventNotifyRequest
(capability version 142).
"""

from __future__ import annotations

from meshbox import fastjson, log
from meshbox.errors import Busy, Invalid
from meshbox.serve.attempts import Attempts
from meshbox.serve.core import Core
from meshbox.serve.tunnel import JSON, Tunnel
from meshbox.tailnet.attributes import change
from meshbox.tailnet.model import Audit
from meshbox.tailnet.proofs import Proofs, prove
from meshbox.tailnet.report import bind
from meshbox.wire.clientcalls import parse_attributes, parse_audit, parse_dns, parse_feature, parse_recording
from meshbox.wire.h2 import Request
from meshbox.wire.keys import MachineKey

WRITES_PER_MINUTE = 10
"""Of one machine. Each is a durable write; a client that is told to wait keeps its audit entry."""

NO_CERTIFICATES = b"this tailnet has no certificates for its devices"

ANSWERS = {
    "serve": "This tailnet has no HTTPS certificates for its nodes.\n"
    "Serve without them: tailscale serve --http=80 TARGET. The connection is encrypted all the same.",
    "funnel": "Funnel needs servers on the internet that lead visitors to this tailnet, and it has none.",
}
UNKNOWN = "This server does not know the feature."


class ClientCalls:
    """`proofs` is what the name server shows certificate authorities."""

    def __init__(self, core: Core, proofs: Proofs) -> None:
        self._core = core
        self._proofs = proofs
        self._writes = Attempts()

    def set_attributes(self, tunnel: Tunnel, request: Request) -> None:
        """PATCH /machine/set-device-attr. Raises Malformed, Unauthorised, UnknownNode, Busy."""
        call = parse_attributes(request.body)
        t = self._core.tailnet
        node = bind(t, tunnel.machine_key, call.node_key)
        if not t.settings.client_attributes:
            tunnel.answer(request.stream_id, 403, b"devices may not set their own attributes here")
            return
        self._ration(tunnel.machine_key)
        try:
            change(t, node, call.update, f"node:{node.name}", self._core.wall())
        except Invalid as error:
            tunnel.answer(request.stream_id, 400, str(error).encode())
            return
        tunnel.answer(request.stream_id, 200, b"{}", (JSON,))

    def note(self, tunnel: Tunnel, request: Request) -> None:
        """POST /machine/audit-log: what a user did on the device goes into our audit."""
        call = parse_audit(request.body)
        t, now = self._core.tailnet, self._core.wall()
        node = bind(t, tunnel.machine_key, call.node_key)
        self._ration(tunnel.machine_key)
        t.commit(
            now, Audit(now, f"node:{node.name}", f"client.{call.action.lower()}", node.name, call.details)
        )
        tunnel.answer(request.stream_id, 200, b"{}", (JSON,))

    def query_feature(self, tunnel: Tunnel, request: Request) -> None:
        """POST /machine/feature/query: `tailscale serve` and `funnel` ask whether they may."""
        call = parse_feature(request.body)
        t = self._core.tailnet
        bind(t, tunnel.machine_key, call.node_key)
        if call.feature == "serve" and t.settings.dns.has_certificates:
            answer: dict[str, object] = {"Complete": True}
        else:
            answer = {"Text": ANSWERS.get(call.feature, UNKNOWN)}
        tunnel.answer(request.stream_id, 200, fastjson.dumps(answer), (JSON,))

    def set_dns(self, tunnel: Tunnel, request: Request) -> None:
        """POST /machine/set-dns: a record that a certificate authority shall find. The client sends it there
        as soon as it has our answer; our name server shows it from now on."""
        call = parse_dns(request.body)
        t, now = self._core.tailnet, self._core.wall()
        node = bind(t, tunnel.machine_key, call.node_key)
        if not t.settings.dns.has_certificates:
            tunnel.answer(request.stream_id, 501, NO_CERTIFICATES)
            return
        self._ration(tunnel.machine_key)
        name = prove(t, self._proofs, node, call, now)
        log.emit("name_proven", node=node.name, names=name)
        tunnel.answer(request.stream_id, 200, b"{}", (JSON,))

    def note_recording(self, tunnel: Tunnel, request: Request) -> None:
        """POST /machine/ssh/recording: a node could not record a login to it. The client wants 201."""
        call = parse_recording(request.body)
        t, now = self._core.tailnet, self._core.wall()
        node = bind(t, tunnel.machine_key, call.node_key)
        self._ration(tunnel.machine_key)
        source = t.nodes.get(call.source)
        what = f"{call.login or 'somebody'} from {source.name if source else 'a node that is gone'}"
        log.emit("ssh_not_recorded", node=node.name, what=what, why=call.outcome, reason=call.reason)
        detail = f"{what} {call.outcome}: {call.reason}"
        t.commit(now, Audit(now, f"node:{node.name}", "ssh.not_recorded", node.name, detail))
        tunnel.answer(request.stream_id, 201, b"{}", (JSON,))

    def _ration(self, machine_key: MachineKey) -> None:
        steady = self._core.steady()
        wait = self._writes.wait(machine_key, WRITES_PER_MINUTE, steady)
        if wait:
            raise Busy(f"too many writes from this device; try again in {wait} seconds", wait)
        self._writes.note(machine_key, steady)
