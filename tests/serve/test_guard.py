"""The guard: caps per place and in all, deadlines, and who is spared."""

from __future__ import annotations

from ipaddress import ip_network

from meshbox.serve.guard import HEAD_DEADLINE, HELD_LIMIT, IDLE_GRACE, Caps, Guard


class Socket:
    def __init__(self) -> None:
        self.is_open = True

    def abort(self) -> None:
        self.is_open = False

    def is_closing(self) -> bool:
        return not self.is_open


class Refusals(list[tuple[str, str]]):
    def __call__(self, why: str, address: str) -> None:
        self.append((why, address))

    @property
    def reasons(self) -> set[str]:
        return {why for why, _ in self}


def make(caps: Caps | None = None, trusted: str = "") -> tuple[Guard, Refusals]:
    refusals = Refusals()
    return Guard(refusals, caps, [ip_network(trusted)] if trusted else []), refusals


def test_five_thousand_silent_connections_from_one_address_end_as_sixty_four() -> None:
    guard, refusals = make()
    sockets = [Socket() for _ in range(5000)]
    for number, socket in enumerate(sockets):
        if guard.admit(socket, "192.0.2.1", number / 5000) is None:
            socket.abort()
    assert len(guard) == 512
    guard.sweep(1 + IDLE_GRACE + 0.1)
    assert len(guard) == sum(socket.is_open for socket in sockets) == 64
    assert refusals.reasons == {"address_cap", "address_idle"}


def test_a_site_that_reconnects_at_once_loses_nobody_who_talks() -> None:
    guard, refusals = make()
    seats = [guard.admit(Socket(), "192.0.2.1", 0.0) for _ in range(200)]
    for seat in seats:
        assert seat is not None
        seat.heard_at = 5.0
    guard.sweep(6.0)
    assert len(guard) == 200
    for seat in seats[:150]:
        assert seat is not None
        guard.release(seat.transport)
    guard.sweep(9.0)
    assert len(guard) == 50
    assert not refusals


def test_the_oldest_idle_ones_go_first() -> None:
    guard, _ = make(Caps(per_address=2, per_address_hard=10))
    old, talking, new = Socket(), Socket(), Socket()
    guard.admit(old, "192.0.2.1", 0.0)
    seat = guard.admit(talking, "192.0.2.1", 0.0)
    assert seat is not None
    seat.heard_at = later = 1.0 + IDLE_GRACE
    guard.admit(new, "192.0.2.1", later)
    assert (old.is_open, talking.is_open, new.is_open) == (False, True, True)


def test_ipv6_counts_by_its_64_and_ipv4_by_its_address() -> None:
    guard, refusals = make(Caps(per_address=4, per_address_hard=2))
    for host in range(3):
        guard.admit(Socket(), f"2001:db8::{host}", 0.0)
        guard.admit(Socket(), f"192.0.2.{host}", 0.0)
    guard.admit(Socket(), "2001:db8:0:1::1", 0.0)
    guard.admit(Socket(), "::ffff:192.0.2.1", 0.0)
    assert refusals == [("address_cap", "2001:db8::2")]
    guard.admit(Socket(), "192.0.2.1", 0.0)
    assert refusals[-1] == ("address_cap", "192.0.2.1")


def test_when_all_seats_are_taken_an_idle_one_goes_or_the_new_one_does() -> None:
    guard, refusals = make(Caps(total=2))
    first = Socket()
    guard.admit(first, "192.0.2.1", 0.0)
    guard.admit(Socket(), "192.0.2.2", 0.0)
    assert guard.admit(Socket(), "192.0.2.3", 1.0) is None
    assert guard.admit(Socket(), "192.0.2.3", 1.0 + IDLE_GRACE) is not None
    assert not first.is_open
    assert [why for why, _ in refusals] == ["total_cap", "total_idle"]


def test_deadlines_close_and_can_be_moved() -> None:
    guard, refusals = make()
    silent, tunnel = Socket(), Socket()
    guard.admit(silent, "192.0.2.1", 0.0)
    guard.admit(tunnel, "192.0.2.2", 0.0)
    guard.allow(tunnel, 30.0, "tunnel_unauthorised", 1.0)
    guard.sweep(HEAD_DEADLINE - 0.1)
    assert silent.is_open
    guard.sweep(HEAD_DEADLINE)
    assert (silent.is_open, tunnel.is_open) == (False, True)
    guard.sweep(31.0)
    assert not tunnel.is_open
    assert [why for why, _ in refusals] == ["head_timeout", "tunnel_unauthorised"]
    assert len(guard) == 0


def test_a_released_connection_is_left_alone_and_a_closed_one_forgotten() -> None:
    guard, refusals = make()
    authorised, closed = Socket(), Socket()
    guard.admit(authorised, "192.0.2.1", 0.0)
    guard.admit(closed, "192.0.2.1", 0.0)
    guard.release(authorised)
    guard.release(authorised)
    closed.abort()
    guard.sweep(1000.0)
    assert authorised.is_open and len(guard) == 0 and not refusals


def test_behind_a_trusted_proxy_clients_count_by_their_own_address() -> None:
    guard, refusals = make(Caps(per_address=1, per_address_hard=1), trusted="10.0.0.0/8")
    seats = [guard.admit(Socket(), "10.0.0.1", 0.0) for _ in range(3)]
    assert all(seat is not None for seat in seats)
    first, second, third = (seat for seat in seats if seat is not None)
    assert guard.move(first, "203.0.113.1", 0.0)
    assert guard.move(second, "203.0.113.2", 0.0)
    assert not guard.move(third, "203.0.113.2", 0.0)
    assert refusals == [("address_cap", "203.0.113.2")]
    assert len(guard) == 2


def test_who_makes_us_hold_most_goes_when_all_hold_too_much() -> None:
    guard, refusals = make()
    small, large, late = Socket(), Socket(), Socket()
    seats = [guard.admit(one, f"192.0.2.{number}", 0.0) for number, one in enumerate((small, large, late))]
    for seat, size in zip(seats, (HELD_LIMIT // 4, HELD_LIMIT // 2, HELD_LIMIT // 4), strict=True):
        assert seat is not None
        guard.hold(seat, size)
    assert not refusals
    assert seats[0] is not None and seats[1] is not None
    guard.hold(seats[0], HELD_LIMIT // 4 + 1)
    assert (small.is_open, large.is_open, late.is_open) == (True, False, True)
    assert refusals.reasons == {"bodies"}
    guard.hold(seats[1], HELD_LIMIT)
    guard.release(small)
    assert late.is_open, "what has gone holds nothing"
    guard.hold(seats[2], HELD_LIMIT)  # type: ignore[arg-type]
    assert late.is_open
