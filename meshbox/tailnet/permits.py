"""What a node lets in: its packet filter and its SSH rules, as JSON.

Written for the session that asks and not kept: ten thousand filters would be ten thousand copies of the same
addresses. The long part, the list of sources, is encoded once for all who receive it.

The filter is told in chunks, one for each place in the policy, so that a node that joins changes the chunks
which name it and no others. Both filter and SSH rules are always written out: to a client an absent one means
"unchanged", an empty one "nobody".

Source: tailcfg.MapResponse.PacketFilters (capability version 81), tailcfg.FilterRule, tailcfg.SSHPolicy.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from meshbox import fastjson
from meshbox.policy.compiled import Compiled
from meshbox.tailnet.tailnet import Tailnet

NO_LOGIN = b'{"rules":[]}'

NOTHING_ELSE = b'"*":null,"base":[]'
"""In a full map: what was told before is gone, and a filter without chunks lets nobody in."""

_MARK = struct.Struct("<Iq")


@dataclass(frozen=True, slots=True)
class Permit:
    """One node's filter and SSH rules. `chunks`: place in the policy -> a list of rules as JSON."""

    chunks: Mapping[int, bytes]
    ssh: bytes

    @property
    def fields(self) -> bytes:
        """As members of a first MapResponse."""
        named = [_named(place, chunk) for place, chunk in self.chunks.items()]
        return b'"PacketFilters":{' + b",".join([NOTHING_ELSE, *named]) + b'},"SSHPolicy":' + self.ssh

    @property
    def marks(self) -> bytes:
        """What a session keeps of the filter it told: twelve bytes for a chunk."""
        return b"".join(_MARK.pack(place, hash(chunk)) for place, chunk in self.chunks.items())

    def news_since(self, marks: bytes) -> bytes:
        """PacketFilters with the chunks that are not what those marks stand for; b"" when all are."""
        told, now = dict(_MARK.iter_unpack(marks)), dict(_MARK.iter_unpack(self.marks))
        news = [_named(place, self.chunks[place]) for place, mark in now.items() if told.get(place) != mark]
        news += [_named(place, b"null") for place in sorted(told.keys() - now.keys())]
        return b'"PacketFilters":{' + b",".join(news) + b"}" if news else b""


class Permits:
    def __init__(self, t: Tailnet) -> None:
        self._t = t
        self._compiled: Compiled | None = None
        self._sources: dict[int, tuple[tuple[str, ...], fastjson.Fragment]] = {}

    def of(self, node_id: int) -> Permit:
        return Permit(self._chunks(node_id), self._ssh(node_id))

    def _chunks(self, node_id: int) -> Mapping[int, bytes]:
        compiled = self._catch_up()
        if node_id not in compiled.index.devices:
            return {}
        placed: dict[int, list[object]] = {}
        for place, rule in compiled.placed_rules(node_id):
            placed.setdefault(place, []).append({**rule, "SrcIPs": self._encoded(rule["SrcIPs"])})
        return {place: fastjson.dumps(rules) for place, rules in placed.items()}

    def _ssh(self, node_id: int) -> bytes:
        compiled = self._catch_up()
        if not compiled.document.ssh or node_id not in compiled.index.devices:
            return NO_LOGIN
        return fastjson.dumps(compiled.ssh.policy(node_id))

    def _catch_up(self) -> Compiled:
        compiled = self._t.enforcement.compiled
        if compiled is not self._compiled:
            self._compiled = compiled
            self._sources.clear()
        return compiled

    def _encoded(self, texts: object) -> fastjson.Fragment:
        assert isinstance(texts, tuple)
        # By identity: comparing thousands of addresses would cost what encoding them does. The tuple is kept
        # beside, so that its id stays its own.
        known = self._sources.get(id(texts))
        if known is None:
            known = self._sources[id(texts)] = texts, fastjson.Fragment(fastjson.dumps(texts))
        return known[1]


def _named(place: int, chunk: bytes) -> bytes:
    # Clients put chunks together in the order of their names.
    return b'"r%06d":' % place + chunk
