"""Packet filters in wire form (tailcfg.FilterRule), compiled for the node that receives them."""

from __future__ import annotations

JsonRule = dict[str, object]

ALLOW_ALL: list[JsonRule] = [
    {"SrcIPs": ["*"], "DstPorts": [{"IP": "*", "Ports": {"First": 0, "Last": 65535}}]}
]
"""Everybody may reach everybody. Written out, because a client takes an absent filter for
"unchanged" and an empty one for "deny"; leaving it out would mean neither."""
