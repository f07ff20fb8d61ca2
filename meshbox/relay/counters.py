"""What the relay counts, under the names of the official relay so that its dashboards translate.

Plain integers, written where things happen and read when somebody asks. Bytes are those of packets,
without frame headers and keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

QUEUE_WEIGHT = 0.1
"""Of the newest value in the average of queueing times (derpserver.go)."""

DropReason = Literal[
    "unknown_dest",
    "unknown_dest_on_fwd",
    "gone_disconnected",
    "queue_head",
    "queue_tail",
    "write_error",
    "dup_client",
]
Kind = Literal["disco", "other"]


@dataclass(slots=True)
class Drops:
    packets: int = 0
    bytes: int = 0


def _every_drop() -> dict[tuple[DropReason, Kind], Drops]:
    reasons: tuple[DropReason, ...] = get_args(DropReason)
    kinds: tuple[Kind, ...] = ("disco", "other")
    return {(reason, kind): Drops() for reason in reasons for kind in kinds}


@dataclass(slots=True)
class Counters:
    accepts: int = 0
    packets_received: int = 0
    packets_received_disco: int = 0
    bytes_received: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_forwarded_in: int = 0
    packets_forwarded_out: int = 0
    got_ping: int = 0
    sent_pong: int = 0
    unknown_frames: int = 0
    home_moves_in: int = 0
    home_moves_out: int = 0
    peer_gone_disconnected_frames: int = 0
    peer_gone_not_here_frames: int = 0
    total_dup_client_conns: int = 0
    # From here on the official relay has no names.
    clone_warnings: int = 0
    rate_limited: int = 0
    queued_seconds: float = 0.0
    dropped: dict[tuple[DropReason, Kind], Drops] = field(default_factory=_every_drop)

    def note_queued(self, seconds: float) -> None:
        """The oldest packet of a write waited for so long."""
        self.queued_seconds += QUEUE_WEIGHT * (seconds - self.queued_seconds)

    def drop(self, reason: DropReason, is_disco: bool, packets: int, size: int) -> None:
        drops = self.dropped[reason, "disco" if is_disco else "other"]
        drops.packets += packets
        drops.bytes += size

    @property
    def packets_dropped(self) -> int:
        return sum(drops.packets for drops in self.dropped.values())
