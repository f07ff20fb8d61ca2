"""What a node lets in: its packet filter and its SSH rules, as JSON.

Written for the session that asks and not kept: ten thousand filters would be ten thousand copies of the same
addresses. The long part, the list of sources, is encoded once for all who receive it.

Source: tailcfg.FilterRule and tailcfg.SSHPolicy, capability version 142. Both are always written out: to a
client an absent one means "unchanged", an empty one "nobody".
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from meshbox.policy.compiled import Compiled
from meshbox.policy.filter import filter_for
from meshbox.tailnet.tailnet import Tailnet

NOBODY = b"[]"
NO_LOGIN = b'{"rules":[]}'


@dataclass(frozen=True, slots=True)
class Permit:
    """One node's filter and SSH rules, as JSON values."""

    filter: bytes
    ssh: bytes

    @property
    def fields(self) -> bytes:
        """As members of a MapResponse."""
        return b'"PacketFilter":' + self.filter + b',"SSHPolicy":' + self.ssh


class Permits:
    def __init__(self, t: Tailnet) -> None:
        self._t = t
        self._compiled: Compiled | None = None
        self._sources: dict[int, tuple[tuple[str, ...], orjson.Fragment]] = {}

    def filter(self, node_id: int) -> bytes:
        """PacketFilter."""
        compiled = self._catch_up()
        if node_id not in compiled.index.devices:
            return NOBODY
        rules = filter_for(compiled.table, node_id)
        return orjson.dumps([{**rule, "SrcIPs": self._encoded(rule["SrcIPs"])} for rule in rules])

    def ssh(self, node_id: int) -> bytes:
        """SSHPolicy."""
        compiled = self._catch_up()
        if not compiled.document.ssh or node_id not in compiled.index.devices:
            return NO_LOGIN
        return orjson.dumps(compiled.ssh.policy(node_id))

    def _catch_up(self) -> Compiled:
        compiled = self._t.enforcement.compiled
        if compiled is not self._compiled:
            self._compiled = compiled
            self._sources.clear()
        return compiled

    def _encoded(self, texts: object) -> orjson.Fragment:
        assert isinstance(texts, tuple)
        # By identity: comparing thousands of addresses would cost what encoding them does. The tuple is kept
        # beside, so that its id stays its own.
        known = self._sources.get(id(texts))
        if known is None:
            known = self._sources[id(texts)] = texts, orjson.Fragment(orjson.dumps(texts))
        return known[1]
