from __future__ import annotations

from dataclasses import replace

from meshbox.policy.compiled import compile_policy
from meshbox.policy.index import Index
from meshbox.policy.resolve import Resolver
from meshbox.policy.rules import Table
from meshbox.policy.sight import ids
from meshbox.policy.sources import LISTED_SINGLY, addresses_of
from meshbox.policy.spans import SpanSet, parse_range, parse_span
from tests.policy.build import (
    ANA,
    ANAS_PHONE,
    BOB,
    DEVICES,
    ROUTER,
    SPARE,
    WEB,
    acl,
    compiled,
    device,
    document,
    world,
)


def table_of(src: str, **sections: object) -> Table:
    return Table(Resolver(document(acls=[acl(src, "*:*")], **sections), world()))


def test_strings_are_a_plain_set() -> None:
    assert table_of("10.0.0.0/8 10.33.0.0/16").rules[0].source.texts == ("10.0.0.0/8", "10.33.0.0/16")
    assert table_of("autogroup:danger-all tag:web").rules[0].source.texts == ("*",)
    texts = table_of("* bob@example.com").rules[0].source.texts
    assert "100.64.0.3" in texts and "10.33.0.0/16" in texts and "fd7a:115c:a1e0::/48" in texts
    assert list(texts) == sorted(set(texts))


def test_routers_reach_for_the_networks_behind_them() -> None:
    source = table_of("10.33.5.0/24").rules[0].source
    assert source.covered == 0 and ids(source.reach) == [ROUTER, SPARE]
    assert source.contains(4, 0x0A210505) and not source.contains(4, 0x0A210605)


def test_many_addresses_are_joined_and_mean_the_same() -> None:
    index = Index([device(one, user=1) for one in range(1, 100)])
    texts = addresses_of(index, index.everyone)
    assert len(texts) < LISTED_SINGLY
    spans = [parse_range(text) if "-" in text else parse_span(text) for text in texts]
    joined = SpanSet(span for span in spans if span)
    assert joined == SpanSet(span for one in index.devices for span in index.spans_of(one))


def test_only_devices_that_meet_a_posture_are_sources() -> None:
    devices = [
        replace(one, attributes=(("node:os", "linux"),)) if one.id in (ANA, WEB) else one for one in DEVICES
    ]
    policy = document(
        postures={"posture:linux": ["node:os == 'linux'"]},
        acls=[acl("* 10.33.0.0/16", "*:*", srcPosture=["posture:linux"])],
    )
    found = compile_policy(policy, world(*devices)).table.rules[0].source
    assert ids(found.covered) == [ANA, WEB]
    assert "10.33.0.0/16" in found.texts and "100.64.0.1" in found.texts and "100.64.0.2" not in found.texts


def test_sources_are_found_by_the_names_of_the_policy() -> None:
    found = compiled(acls=[acl("ana@example.com", "tag:web:22")]).table.rules[0].source
    assert ids(found.covered) == [ANA, ANAS_PHONE] and BOB not in ids(found.reach)
