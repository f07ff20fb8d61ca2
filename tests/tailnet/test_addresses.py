"""Addresses: each once, never outside, never one that clients use themselves."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from meshbox.errors import Conflict, Exhausted
from meshbox.tailnet.addresses import RESERVED, Address, AddressPool, Allocation

V4 = IPv4Network("100.64.0.0/10")
V6 = IPv6Network("fd7a:115c:a1e0::/48")

Pair = tuple[IPv4Address | None, IPv6Address | None]


class Dice:
    """Entropy that can be repeated."""

    def __init__(self, seed: int = 0) -> None:
        self.drawn = seed

    def __call__(self, length: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_128(str(self.drawn).encode()).digest(length)


def allocate(pool: AddressPool, count: int) -> list[Pair]:
    dice = Dice()
    return [pool.allocate(dice) for _ in range(count)]


def texts(pairs: list[Pair]) -> list[tuple[str, str]]:
    return [(str(v4), str(v6)) for v4, v6 in pairs]


def is_reserved(address: Address) -> bool:
    return any(address.version == special.version and address in special for special in RESERVED)


def test_sequential_starts_at_one_and_both_families_agree() -> None:
    assert texts(allocate(AddressPool(V4, V6), 3)) == [
        ("100.64.0.1", "fd7a:115c:a1e0::1"),
        ("100.64.0.2", "fd7a:115c:a1e0::2"),
        ("100.64.0.3", "fd7a:115c:a1e0::3"),
    ]


def test_the_clients_own_resolver_is_passed_over_and_the_families_agree_again() -> None:
    pairs = allocate(AddressPool(V4, V6), 0x54)
    assert str(pairs[0x52][0]) == "100.64.0.83"
    # Its mirror ::53 is reserved; what it gets instead is nobody's mirror.
    assert str(pairs[0x52][1]) == "fd7a:115c:a1e0::40:0"
    assert texts(pairs[0x53:]) == [("100.64.0.84", "fd7a:115c:a1e0::54")]


def test_a_taken_mirror_is_left_to_its_node() -> None:
    pool = AddressPool(V4, V6, taken=[IPv6Address("fd7a:115c:a1e0::1")])
    assert texts(allocate(pool, 2)) == [
        ("100.64.0.1", "fd7a:115c:a1e0::40:0"),
        ("100.64.0.2", "fd7a:115c:a1e0::2"),
    ]


@pytest.mark.parametrize(
    ("prefix", "last", "following"),
    [
        ("100.100.0.0/16", "100.100.0.0", "100.100.1.0"),
        ("100.100.100.0/22", "100.100.100.0", "100.100.101.0"),
        ("100.115.92.0/22", "100.115.91.255", "100.115.94.0"),
        ("100.115.90.0/23", "100.115.91.253", "100.115.91.254"),
    ],
)
def test_ranges_that_clients_treat_specially_are_stepped_over(prefix: str, last: str, following: str) -> None:
    pool = AddressPool(IPv4Network(prefix, strict=False), None, taken=[IPv4Address(last)])
    assert str(allocate(pool, 1)[0][0]) == following


def test_a_prefix_that_is_all_reserved_has_no_address() -> None:
    with pytest.raises(Exhausted, match=r"100\.100\.100\.0/24"):
        allocate(AddressPool(IPv4Network("100.100.100.0/24"), None), 1)


@pytest.mark.parametrize("allocation", ["sequential", "random"])
@pytest.mark.parametrize(
    ("prefix", "usable"),
    [
        ("100.64.0.8/32", ["100.64.0.8"]),
        ("100.64.0.8/31", ["100.64.0.8", "100.64.0.9"]),
        ("100.64.0.8/30", ["100.64.0.9", "100.64.0.10"]),
        ("fd00::8/128", ["fd00::8"]),
        ("fd00::8/127", ["fd00::8", "fd00::9"]),
        ("fd00::8/126", ["fd00::9", "fd00::a", "fd00::b"]),
    ],
)
def test_tiny_prefixes_are_used_up_and_then_say_so(
    prefix: str, usable: list[str], allocation: Allocation
) -> None:
    v4 = IPv4Network(prefix) if "." in prefix else None
    v6 = IPv6Network(prefix) if ":" in prefix else None
    pool = AddressPool(v4, v6, allocation)
    given_out = [v4 or v6 for v4, v6 in allocate(pool, len(usable))]
    assert sorted(map(str, given_out)) == sorted(usable)
    with pytest.raises(Exhausted, match=prefix) as caught:
        allocate(pool, 1)
    assert (caught.value.exit_code, caught.value.status) == (7, 507)
    pool.release(ip_address(usable[0]))
    assert [str(v4 or v6) for v4, v6 in allocate(pool, 1)] == [usable[0]]


@pytest.mark.parametrize("allocation", ["sequential", "random"])
def test_when_one_family_is_used_up_the_other_keeps_its_address(allocation: Allocation) -> None:
    pool = AddressPool(IPv4Network("100.64.0.0/28"), IPv6Network("fd00::8/128"), allocation)
    allocate(pool, 1)
    for _ in range(50):
        with pytest.raises(Exhausted, match="fd00::8/128"):
            allocate(pool, 1)
    pool.release(IPv6Address("fd00::8"))
    assert [str(v6) for _, v6 in allocate(pool, 1)] == ["fd00::8"]


def test_a_family_without_a_prefix_gives_none() -> None:
    assert texts(allocate(AddressPool(V4, None), 1)) == [("100.64.0.1", "None")]
    assert texts(allocate(AddressPool(None, V6), 1)) == [("None", "fd7a:115c:a1e0::1")]
    assert allocate(AddressPool(None, None), 1) == [(None, None)]


def test_a_released_address_rests_until_all_others_were_given() -> None:
    pool = AddressPool(IPv4Network("100.64.0.0/29"), None)
    first = allocate(pool, 2)
    pool.release(IPv4Address("100.64.0.1"))
    following = allocate(pool, 5)
    assert str(first[0][0]) == "100.64.0.1"
    assert [str(v4) for v4, _ in following] == [f"100.64.0.{number}" for number in (3, 4, 5, 6, 1)]


def test_after_a_restart_it_goes_on_after_the_highest() -> None:
    taken: list[Address] = [
        IPv4Address("100.64.0.7"),
        IPv6Address("fd7a:115c:a1e0::7"),
        IPv4Address("100.64.0.2"),
    ]
    assert texts(allocate(AddressPool(V4, V6, taken=taken), 1)) == [("100.64.0.8", "fd7a:115c:a1e0::8")]


def test_addresses_of_an_earlier_prefix_are_passed_over() -> None:
    foreign: list[Address] = [IPv4Address("10.0.0.1"), IPv6Address("fd00::1"), IPv4Address("100.100.100.100")]
    pool = AddressPool(V4, V6, taken=foreign)
    assert texts(allocate(pool, 1)) == [("100.64.0.1", "fd7a:115c:a1e0::1")]
    for address in foreign:
        pool.release(address)


def test_an_address_can_be_chosen_while_it_is_free() -> None:
    pool = AddressPool(V4, V6)
    pool.take(IPv4Address("100.64.0.1"))
    assert texts(allocate(pool, 1)) == [("100.64.0.2", "fd7a:115c:a1e0::2")]
    for address, reason in (
        ("100.64.0.1", "already taken"),
        ("10.0.0.1", "outside"),
        ("fd00::1", "outside"),
        ("100.100.100.100", "reserved"),
        ("fd7a:115c:a1e0::53", "reserved"),
        ("fd7a:115c:a1e0:b1a::1", "reserved"),
        ("100.64.0.0", "reserved"),
        ("100.127.255.255", "reserved"),
    ):
        with pytest.raises(Conflict, match=reason):
            pool.take(ip_address(address))


def test_random_spreads_and_repeats_nothing() -> None:
    pairs = allocate(AddressPool(V4, V6, "random"), 2000)
    v4 = [v4 for v4, _ in pairs]
    assert len(set(v4)) == len({v6 for _, v6 in pairs}) == 2000
    assert len({int(address) >> 16 for address in v4 if address}) > 50
    assert not any(is_reserved(address) for pair in pairs for address in pair if address)


def test_random_with_stuck_dice_still_finds_a_free_address() -> None:
    pool = AddressPool(IPv4Network("100.64.0.0/29"), None, "random")
    found = [str(pool.allocate(lambda length: bytes(length))[0]) for _ in range(6)]
    assert found == [f"100.64.0.{number}" for number in range(1, 7)]


POOL = (IPv4Network("100.70.0.0/30"), IPv4Network("100.71.0.0/31"))


@pytest.mark.parametrize("allocation", ["sequential", "random"])
def test_a_pool_gives_all_of_its_addresses_and_then_says_so(allocation: Allocation) -> None:
    pool, dice = AddressPool(V4, V6, allocation), Dice()
    given_out = [pool.allocate(dice, POOL) for _ in range(6)]
    assert {v4 for v4, _ in given_out} == {address for network in POOL for address in network}
    with pytest.raises(Exhausted, match=r"ipPool 100\.70\.0\.0/30, 100\.71\.0\.0/31.*widen it in the policy"):
        pool.allocate(dice, POOL)
    assert pool.allocate(dice)[0] is not None, "for others there is room"
    assert given_out[3][0] is not None
    pool.release(given_out[3][0])
    assert pool.allocate(dice, POOL)[0] == given_out[3][0]


def test_in_a_pool_the_other_family_has_the_same_offset_and_a_restart_goes_on_after_the_last() -> None:
    pool = AddressPool(V4, V6)
    network = (IPv4Network("100.70.0.0/16"),)
    assert texts([pool.allocate(Dice(), network) for _ in range(2)]) == [
        ("100.70.0.0", "fd7a:115c:a1e0::6:0"),
        ("100.70.0.1", "fd7a:115c:a1e0::6:1"),
    ]
    again = AddressPool(V4, V6, taken=[IPv4Address("100.70.0.1"), IPv6Address("fd7a:115c:a1e0::6:2")])
    v4, v6 = again.allocate(Dice(), network)
    assert str(v4) == "100.70.0.2" and v6 is not None and v6 != IPv6Address("fd7a:115c:a1e0::6:2")


@pytest.mark.parametrize("allocation", ["sequential", "random"])
def test_others_leave_a_pool_alone_while_there_is_room(allocation: Allocation) -> None:
    v4, spared = IPv4Network("100.64.0.0/28"), (IPv4Network("100.64.0.2/31"), IPv4Network("100.64.0.8/30"))
    pool, dice = AddressPool(v4, None, allocation), Dice()
    first = [pool.allocate(dice, (), spared)[0] for _ in range(8)]
    assert not any(address in network for address in first if address for network in spared)
    rest = [pool.allocate(dice, (), spared)[0] for _ in range(6)]
    assert {*first, *rest} == set(v4.hosts()), "better one of the pool than none"
    with pytest.raises(Exhausted):
        pool.allocate(dice, (), spared)


def test_after_a_restart_others_do_not_go_on_behind_a_pool() -> None:
    taken = [IPv4Address("100.64.0.1"), IPv4Address("100.64.0.2"), IPv4Address("100.81.7.0")]
    spared = (IPv4Network("100.81.7.0/31"),)
    pool = AddressPool(V4, None, taken=taken)
    assert [str(pool.allocate(Dice(), (), spared)[0]) for _ in range(2)] == ["100.64.0.3", "100.64.0.4"]


def test_a_pool_outside_the_prefix_or_all_reserved_has_no_address() -> None:
    for prefix, network in (("10.0.0.0/8", "100.70.0.0/16"), ("100.64.0.0/10", "100.115.92.0/23")):
        with pytest.raises(Exhausted, match="ipPool"):
            AddressPool(IPv4Network(prefix), None).allocate(Dice(), (IPv4Network(network),))
    assert AddressPool(None, V6).allocate(Dice(), POOL)[0] is None


@given(st.integers(0, 2**32 - 1), st.integers(24, 32), st.sampled_from(["sequential", "random"]))
@settings(max_examples=40)
def test_any_prefix_gives_each_usable_address_once(base: int, bits: int, allocation: Allocation) -> None:
    prefix = IPv4Network((base, bits), strict=False)
    pool = AddressPool(prefix, None, allocation)
    given_out: list[IPv4Address] = []
    dice = Dice(base)
    while True:
        try:
            address, _ = pool.allocate(dice)
        except Exhausted:
            break
        assert address is not None
        given_out.append(address)
    hosts = {address for address in prefix.hosts() if not is_reserved(address)}
    assert len(given_out) == len(hosts)
    assert set(given_out) == hosts


class PoolLife(RuleBasedStateMachine):
    """Nodes come and go, some with an address of their choice, and the server restarts."""

    held = Bundle("held")

    @initialize(
        v4=st.sampled_from([None, "100.64.0.0/28", "100.100.99.240/27", "100.64.0.0/10"]),
        v6=st.sampled_from([None, "fd00::/125", "fd7a:115c:a1e0::/121", "fd7a:115c:a1e0::/48"]),
        allocation=st.sampled_from(["sequential", "random"]),
        seed=st.integers(0, 1000),
    )
    def begin(self, v4: str | None, v6: str | None, allocation: Allocation, seed: int) -> None:
        self.v4 = IPv4Network(v4, strict=False) if v4 else None
        self.v6 = IPv6Network(v6) if v6 else None
        self.allocation = allocation
        self.dice = Dice(seed)
        self.taken: set[Address] = set()
        self.pool = AddressPool(self.v4, self.v6, allocation)

    @rule(target=held, spared=st.sampled_from(["100.64.0.4/30", "100.100.99.248/29", "100.64.0.0/10"]))
    def join(self, spared: str) -> object:
        try:
            pair = self.pool.allocate(self.dice, (), (IPv4Network(spared),))
        except Exhausted:
            assert any(self.is_full(prefix) for prefix in (self.v4, self.v6))
            return multiple()
        assert (pair[0] is None, pair[1] is None) == (self.v4 is None, self.v6 is None)
        for address in pair:
            if address is not None:
                self.check_given(address)
        return pair

    @rule(target=held, network=st.sampled_from(["100.64.0.4/30", "100.100.99.248/29", "100.64.7.0/24"]))
    def join_in_a_pool(self, network: str) -> object:
        within = IPv4Network(network)
        try:
            pair = self.pool.allocate(self.dice, (within,))
        except Exhausted:
            v4 = self.v4
            room = [] if v4 is None else [one for one in within if one in v4 and self.is_usable(one, v4)]
            assert all(one in self.taken for one in room) or self.is_full(self.v6)
            return multiple()
        assert pair[0] is None or pair[0] in within
        for address in pair:
            if address is not None:
                self.check_given(address)
        return pair

    @rule(target=held, offset=st.integers(0, 40))
    def choose(self, offset: int) -> object:
        if self.v4 is None or offset >= self.v4.num_addresses:
            return multiple()
        address = self.v4[offset]
        try:
            self.pool.take(address)
        except Conflict:
            assert address in self.taken or not self.is_usable(address, self.v4)
            return multiple()
        self.check_given(address)
        return (address, None)

    @rule(pair=consumes(held))
    def leave(self, pair: Pair) -> None:
        for address in pair:
            if address is not None:
                self.pool.release(address)
                self.taken.remove(address)

    @rule()
    def restart(self) -> None:
        self.pool = AddressPool(self.v4, self.v6, self.allocation, self.taken)

    @invariant()
    def nothing_taken_is_reserved(self) -> None:
        assert not any(is_reserved(address) for address in getattr(self, "taken", ()))

    def check_given(self, address: Address) -> None:
        prefix = self.v4 if isinstance(address, IPv4Address) else self.v6
        assert prefix is not None and address in prefix
        assert address != prefix.network_address
        assert not is_reserved(address)
        assert address not in self.taken
        self.taken.add(address)

    def is_usable(self, address: Address, prefix: IPv4Network | IPv6Network) -> bool:
        ends = [prefix.network_address]
        if isinstance(prefix, IPv4Network):
            ends.append(prefix.broadcast_address)
        return address not in ends and not is_reserved(address)

    def is_full(self, prefix: IPv4Network | IPv6Network | None) -> bool:
        if prefix is None or prefix.num_addresses > 256:
            return False
        return all(address in self.taken for address in prefix if self.is_usable(address, prefix))


TestPoolLife = PoolLife.TestCase
TestPoolLife.settings = settings(max_examples=60, stateful_step_count=40)
