"""The migration steps in order. Append-only: a step that was released is never changed or removed.

A step runs inside one transaction together with all the others that are due; it must not commit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from meshbox.store.steps import m0001_initial, m0002_policies, m0003_life


@dataclass(frozen=True, slots=True)
class Migration:
    """Leads from schema `version` - 1 to `version`."""

    version: int
    name: str
    apply: Callable[[sqlite3.Connection], None]


MIGRATIONS = (
    Migration(1, "initial", m0001_initial.apply),
    Migration(2, "policies", m0002_policies.apply),
    Migration(3, "life", m0003_life.apply),
)
