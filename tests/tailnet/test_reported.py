from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from meshbox.policy.postures import ATTRIBUTES
from meshbox.tailnet.model import Report
from meshbox.tailnet.reported import attributes_of, reported
from tests.tailnet.build import join, make_key, make_tailnet


def said(**fields: object) -> dict[str, object]:
    return dict(reported(orjson.dumps(fields)))


def test_what_a_client_reports() -> None:
    found = said(
        OS="macOS", OSVersion="15.1", IPNVersion="1.102.5-tabc", AllowsUpdate=True, StateEncrypted=False
    )
    assert found == {
        "node:os": "macos",
        "node:osVersion": "15.1",
        "node:tsVersion": "1.102.5",
        "node:tsReleaseTrack": "stable",
        "node:tsAutoUpdate": True,
        "node:tsStateEncrypted": False,
    }
    assert set(found) == ATTRIBUTES, "a policy may ask for exactly these"


def test_what_is_not_said_is_not_set() -> None:
    assert said() == {}
    assert said(OS=7, IPNVersion=[], StateEncrypted=None, AllowsUpdate="yes") == {"node:tsAutoUpdate": False}
    assert said(IPNVersion="1.103.12-t1")["node:tsReleaseTrack"] == "unstable"


@pytest.mark.parametrize("version", ["1", "x.y.z", "1..2", "-"])
def test_odd_versions_are_stable(version: str) -> None:
    assert said(IPNVersion=version).get("node:tsReleaseTrack") == "stable"


def test_the_policy_sees_both_kinds() -> None:
    t = make_tailnet()
    node = replace(join(t, 1, make_key(t)), attributes=(("custom:tier", "gold"),))
    found = dict(attributes_of(node, Report(hostinfo=b'{"OS":"linux"}')))
    assert found == {"node:os": "linux", "custom:tier": "gold"}
