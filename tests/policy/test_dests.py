from __future__ import annotations

from meshbox.policy.dests import Dest, place_of
from meshbox.policy.resolve import Resolver
from meshbox.policy.selectors import Names
from meshbox.policy.sight import ids
from tests.policy.build import ANA, EXIT, ROUTER, SPARE, WEB, document, world

POLICY = document()
NAMES = Names(set(), POLICY.tag_owners, {}, set())
RESOLVER = Resolver(POLICY, world())


def dest(text: str) -> Dest:
    return Dest(RESOLVER, NAMES.parse(text))


def test_an_entry_is_sent_as_written_to_those_it_concerns() -> None:
    wide = dest("100.64.0.0/12")
    assert wide.texts(place_of(RESOLVER.index, ANA)) == ["100.64.0.0/12"]
    part = dest("10.33.1.0/24")
    assert ids(part.receivers) == [ROUTER, SPARE]
    assert part.texts(place_of(RESOLVER.index, ROUTER)) == ["10.33.1.0/24"]
    assert part.texts(place_of(RESOLVER.index, ANA)) == []
    assert ids(dest("8.8.8.8").receivers) == [EXIT]
    assert ids(dest("tag:web").receivers) == [WEB, SPARE]


def test_capabilities_are_narrowed_to_the_receiver() -> None:
    own = ["100.64.0.1/32", "fd7a:115c:a1e0::1/128"]
    assert dest("*").prefixes(place_of(RESOLVER.index, ANA)) == own
    assert dest("100.64.0.0/10").prefixes(place_of(RESOLVER.index, ANA)) == own[:1]
    assert dest("10.0.0.0/8").prefixes(place_of(RESOLVER.index, ROUTER)) == ["10.0.0.0/8"]


def test_only_what_is_routed_goes_through_a_via() -> None:
    assert ids(dest("10.33.0.0/16").routers) == [ROUTER, SPARE]
    assert dest("tag:web").routers == 0 and dest("100.64.0.5").routers == 0
    assert dest("autogroup:internet").routed_texts(place_of(RESOLVER.index, EXIT))
    assert dest("10.33.0.0/16").routed_texts(place_of(RESOLVER.index, EXIT)) == []


def test_all_of_the_internet_or_a_part() -> None:
    assert dest("*").covers_internet() and dest("autogroup:internet").covers_internet()
    assert dest("0.0.0.0/0").covers_internet()
    assert not dest("8.8.8.8").covers_internet() and not dest("tag:web").covers_internet()
