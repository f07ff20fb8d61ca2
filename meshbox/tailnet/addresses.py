"""Which addresses are free. One pool gives every node an IPv4 and an IPv6 address, each only once.

Sequential allocation starts at .1 and gives both families the same offset while it can (100.64.0.5
and fd7a:115c:a1e0::5). It goes on from the last address it gave and comes back to the start only at
the end: an address that was just released is still in caches, policies and people's heads. Random
allocation draws from the whole prefix.

What a client treats specially is never given out, whatever prefix is configured.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from meshbox.errors import Conflict, Exhausted
from meshbox.tailnet.ports import Entropy

Allocation = Literal["sequential", "random"]
Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network, ...]
Ranges = tuple[tuple[int, int], ...]
"""(start, end) as offsets from a prefix's first address."""

RESERVED = (
    # The client's own resolver and its neighbourhood, reserved by Tailscale's documentation.
    IPv4Network("100.100.0.0/24"),
    IPv4Network("100.100.100.0/24"),
    # ChromeOS puts its virtual machines here; clients do not count it as Tailscale's.
    IPv4Network("100.115.92.0/23"),
    # The client's own resolver.
    IPv6Network("fd7a:115c:a1e0::53/128"),
    # IPv4 tunnelled in IPv6 ("via"): clients take these addresses apart.
    IPv6Network("fd7a:115c:a1e0:b1a::/64"),
)

RANDOM_BYTES = 16

DRAWS = 16
"""Random draws before looking for the next free address; in a pool that is half full, one in 65,000
allocations gets that far."""


class AddressPool:
    """The free addresses of the tailnet. A family without a prefix gives None.

    `taken` are the addresses in use; those outside the prefixes (which may have changed since) are
    passed over. Nothing here is durable: build the pool from the saved nodes.
    """

    def __init__(
        self,
        v4: IPv4Network | None,
        v6: IPv6Network | None,
        allocation: Allocation = "sequential",
        taken: Iterable[Address] = (),
    ) -> None:
        self._is_random = allocation == "random"
        self._v4 = Block(v4) if v4 is not None else None
        # Where the families' offsets part, IPv6 goes on beyond all that IPv4 could mirror.
        beyond = v4.num_addresses if v4 is not None else 0
        self._v6 = Block(v6, beyond) if v6 is not None else None
        for address in taken:
            if (block := self._block(address)) is not None:
                block.occupy(int(address) - block.base)

    def allocate(
        self, entropy: Entropy, within: Networks = (), spared: Networks = ()
    ) -> tuple[IPv4Address | None, IPv6Address | None]:
        """Addresses for a new node, taken at once; with `within`, the IPv4 one is of these networks, else of
        none that is `spared` while there are others. Raises Exhausted and then takes none."""
        v4 = self._draw_within(within, entropy) if within else self._draw(self._v4, entropy, spared=spared)
        try:
            v6 = self._draw(self._v6, entropy, mirrored=None if self._is_random else v4)
        except Exhausted:
            if self._v4 is not None and v4 is not None:
                self._v4.free(v4)
            raise
        return (
            None if self._v4 is None or v4 is None else IPv4Address(self._v4.base + v4),
            None if self._v6 is None or v6 is None else IPv6Address(self._v6.base + v6),
        )

    def take(self, address: Address) -> None:
        """Take this very address. Raises Conflict when it is not ours to give or already given."""
        block = self._block(address)
        if block is None:
            raise Conflict(f"{address} is outside the tailnet's prefixes")
        offset = int(address) - block.base
        if block.is_reserved(offset):
            raise Conflict(f"{address} is reserved")
        if offset in block.used:
            raise Conflict(f"{address} is already taken")
        block.used.add(offset)

    def release(self, address: Address) -> None:
        """Give an address back. One that was not taken, or is not ours, is passed over."""
        block = self._block(address)
        if block is not None:
            block.free(int(address) - block.base)

    def _block(self, address: Address) -> Block | None:
        block = self._v4 if isinstance(address, IPv4Address) else self._v6
        return block if block is not None and 0 <= int(address) - block.base < block.size else None

    def _draw_within(self, networks: Networks, entropy: Entropy) -> int | None:
        block = self._v4
        if block is None:
            return None
        for network in networks:
            offset = block.free_within(network, entropy if self._is_random else None)
            if offset is not None:
                block.used.add(offset)
                return offset
        named = ", ".join(map(str, networks))
        raise Exhausted(f"no address is left in the ipPool {named}: remove nodes or widen it in the policy")

    def _draw(
        self, block: Block | None, entropy: Entropy, mirrored: int | None = None, spared: Networks = ()
    ) -> int | None:
        """The offset of a free address, now taken: the mirrored one where that is free."""
        if block is None:
            return None
        block.require_free()
        if mirrored is not None and block.is_free(mirrored):
            offset = mirrored
        else:
            offset = block.random_free(entropy, spared) if self._is_random else block.next_free(spared)
        block.used.add(offset)
        return offset


class Block:
    """One prefix, as offsets from its first address: those used, and where to look next."""

    def __init__(self, prefix: IPv4Network | IPv6Network, beyond: int = 0) -> None:
        self.prefix = prefix
        self.base = int(prefix.network_address)
        self.size = prefix.num_addresses
        self.used: set[int] = set()
        self._reserved = _reserved_ranges(prefix)
        self._usable = self.size - sum(end - start for start, end in self._reserved)
        self._next = beyond if beyond < self.size else 0
        self._has_given = False
        self._next_within: dict[IPv4Network, int] = {}
        self._full: set[IPv4Network] = set()

    def is_reserved(self, offset: int) -> bool:
        return any(start <= offset < end for start, end in self._reserved)

    def is_free(self, offset: int) -> bool:
        return 0 <= offset < self.size and offset not in self.used and not self.is_reserved(offset)

    def occupy(self, offset: int) -> None:
        """Note an address in use from before, and go on after the highest of them."""
        if self.is_reserved(offset):
            return
        self.used.add(offset)
        if offset >= self._next:
            self._next = offset + 1

    def free(self, offset: int) -> None:
        self.used.discard(offset)
        self._full.clear()

    def require_free(self) -> None:
        # Counted, not searched: with a full prefix every device that knocks would cost a search.
        if len(self.used) >= self._usable:
            raise Exhausted(f"no address is left in {self.prefix}: remove nodes or widen the prefix")

    def next_free(self, networks: Networks = ()) -> int:
        """The next free offset after the last one, outside these networks if there is one. Each step over a
        used one is paid once in a round of the whole prefix."""
        spared = self._offsets(networks)
        if spared and not self._has_given:
            # The highest of the addresses in use from before may be one of a pool.
            outside = (one for one in self.used if not any(start <= one < end for start, end in spared))
            self._next = max((one + 1 for one in outside), default=0)
        self._has_given = True
        offset = self._free_from(self._next, spared)
        self._next = offset + 1
        return offset

    def random_free(self, entropy: Entropy, networks: Networks = ()) -> int:
        spared = self._offsets(networks)
        width = self.size.bit_length() // 8 + 8
        offset = 0
        for _ in range(DRAWS):
            offset = int.from_bytes(entropy(width), "big") % self.size
            if self.is_free(offset) and not any(start <= offset < end for start, end in spared):
                return offset
        return self._free_from(offset, spared)

    def free_within(self, network: IPv4Network, entropy: Entropy | None) -> int | None:
        """A free offset in a part of the prefix: at random, or the next after the last one that was given;
        None when there is none. At most as many steps as addresses are used; while it is full, none."""
        if network in self._full:
            return None
        start = max(int(network.network_address) - self.base, 0)
        end = min(int(network.broadcast_address) + 1 - self.base, self.size)
        if start >= end:
            return None
        if entropy is None:
            first = self._next_within.get(network)
            if first is None:
                first = max((one + 1 for one in self.used if start <= one < end), default=start)
        else:
            first = start + int.from_bytes(entropy(RANDOM_BYTES), "big") % (end - start)
        offset = self._free_between(first, end)
        if offset is None:
            offset = self._free_between(start, min(first, end))
        if offset is None:
            self._full.add(network)
        else:
            self._next_within[network] = offset + 1
        return offset

    def _offsets(self, networks: Networks) -> Ranges:
        """Parts of the prefix as (start, end)."""
        return tuple(
            (int(one.network_address) - self.base, int(one.broadcast_address) + 1 - self.base)
            for one in networks
        )

    def _free_between(self, offset: int, end: int, spared: Ranges = ()) -> int | None:
        passed_over = (*self._reserved, *spared)
        while offset < end:
            passed = next((after for start, after in passed_over if start <= offset < after), None)
            if passed is not None:
                offset = passed
            elif offset in self.used:
                offset += 1
            else:
                return offset
        return None

    def _free_from(self, offset: int, spared: Ranges = ()) -> int:
        """The first free offset at or after this one, going round at the end. There must be one; when it is
        only among the spared ones, one of those."""
        found = self._free_between(offset, self.size, spared)
        if found is None:
            found = self._free_between(0, min(offset, self.size), spared)
        if found is None and spared:
            return self._free_from(offset)
        assert found is not None, "require_free was not asked"
        return found


def _reserved_ranges(prefix: IPv4Network | IPv6Network) -> tuple[tuple[int, int], ...]:
    """Offsets never given out, as disjoint (start, end) in order.

    Beside the special ranges that is the first address, and the last one of IPv4, where the prefix
    is wide enough to spare them.
    """
    base, size = int(prefix.network_address), prefix.num_addresses
    ranges = [
        (int(special.network_address) - base, int(special.broadcast_address) - base + 1)
        for special in RESERVED
        if special.version == prefix.version and special.overlaps(prefix)
    ]
    if size > 2:
        ranges.append((0, 1))
        if prefix.version == 4:
            ranges.append((size - 1, size))
    disjoint: list[tuple[int, int]] = []
    for start, end in sorted((max(start, 0), min(end, size)) for start, end in ranges):
        if disjoint and start <= disjoint[-1][1]:
            disjoint[-1] = (disjoint[-1][0], max(end, disjoint[-1][1]))
        else:
            disjoint.append((start, end))
    return tuple(disjoint)
