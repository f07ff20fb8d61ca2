"""What the tailnet needs from outside, as protocols: a store and randomness.

The store answers for durability and for the one order of hard facts. With SQLite there is one
instance; with a shared database `since` is how the others catch up. Write nothing here that only
one of the two could honour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from meshbox.tailnet.model import (
    ApiKey,
    Audit,
    AuthKey,
    Node,
    Notice,
    PolicyEntry,
    PolicyVersion,
    Report,
    User,
)

Entropy = Callable[[int], bytes]
"""`entropy(n)` gives n unpredictable bytes (os.urandom outside tests)."""

Kind = Literal["user", "node", "auth_key", "api_key", "policy", "notice"]


@dataclass(frozen=True, slots=True)
class Put:
    """Insert the value, or replace the one with its id. A version of the policy is never replaced: the id of
    one that is there is a Conflict."""

    value: User | Node | AuthKey | ApiKey | PolicyVersion | Notice


@dataclass(frozen=True, slots=True)
class Delete:
    kind: Kind
    id: int


@dataclass(frozen=True, slots=True)
class Spend:
    """Use up a one-off auth key: succeeds only if nobody has (`UPDATE … WHERE used_at IS NULL`,
    the row count decides). Otherwise the whole batch is rolled back with Conflict."""

    auth_key_id: int
    at: float


Step = Put | Delete | Spend | Audit


@dataclass(frozen=True, slots=True)
class Saved:
    """Everything the store holds, as read once at start; of the policy the newest version."""

    generation: int = 0
    users: Sequence[User] = ()
    nodes: Sequence[Node] = ()
    reports: Mapping[int, Report] = field(default_factory=dict)
    auth_keys: Sequence[AuthKey] = ()
    api_keys: Sequence[ApiKey] = ()
    policy: PolicyVersion | None = None
    notices: Sequence[Notice] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """One committed batch, as another instance would read it back."""

    generation: int
    steps: Sequence[Step]


class Store(Protocol):
    def load(self) -> Saved:
        """Read everything. Raises StoreNewer or StoreBroken."""

    def new_id(self, kind: Kind) -> int:
        """An id that was never given out for this kind and never will be again."""

    def commit(self, steps: Sequence[Step]) -> int:
        """Write hard facts in one durable transaction and return the new generation.

        All or nothing. Raises Conflict (a spent key, a name or key already taken, deleting what is
        not there), StoreFull, StoreBroken (another program holds the database for long).
        """

    def flush(self, reports: Mapping[int, Report]) -> None:
        """Write soft facts (node id -> Report) in one transaction; unknown ids are skipped. Raises
        StoreFull, StoreBroken."""

    def since(self, generation: int) -> Sequence[Committed]:
        """Batches committed after `generation`, oldest first (by any instance). Raises StoreBroken
        when they are no longer kept: load again."""

    def policy_versions(self, limit: int) -> Sequence[PolicyEntry]:
        """The history of the policy, newest first, without the texts."""

    def policy_version(self, version_id: int) -> PolicyVersion | None:
        """One version with its text; None when it never was."""
