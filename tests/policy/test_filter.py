from __future__ import annotations

from meshbox.policy.compiled import compile_policy
from tests.policy.build import ANA, compiled, world


def test_without_a_policy_everything_is_allowed_and_that_is_written_out() -> None:
    (rule,) = compile_policy(None, world()).filter(ANA)
    # No IPProto means TCP, UDP and ICMP to a client; the deprecated Bits fields would empty the filter.
    assert set(rule) == {"SrcIPs", "DstPorts"}
    assert "10.33.0.0/16" in rule["SrcIPs"]  # type: ignore[operator]
    assert rule["DstPorts"] == [{"IP": "*", "Ports": {"First": 0, "Last": 65535}}]


def test_an_empty_list_of_rules_lets_nobody_in() -> None:
    assert compiled(acls=[]).filter(ANA) == [] == compiled(grants=[]).filter(ANA)
