from __future__ import annotations

from meshbox.policy.filter import ALLOW_ALL


def test_allow_all_is_a_rule_and_not_an_absence() -> None:
    (rule,) = ALLOW_ALL
    assert rule["SrcIPs"] == ["*"]
    # No IPProto means TCP, UDP and ICMP to a client; the deprecated Bits fields would empty the filter.
    assert set(rule) == {"SrcIPs", "DstPorts"}
    assert rule["DstPorts"] == [{"IP": "*", "Ports": {"First": 0, "Last": 65535}}]
