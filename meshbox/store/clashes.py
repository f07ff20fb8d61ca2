"""What clashed, when the database refused a step: one sentence for each rule of the schema.

The sentences do not say who holds what was claimed: a stranger with a copied key must not learn
whose it is.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from meshbox.errors import Conflict
from meshbox.tailnet.model import AuthKey, Node, PolicyVersion, User
from meshbox.tailnet.ports import Delete, Put, Spend, Step

UNIQUE = "UNIQUE constraint failed: "


def clash(step: Step, error: sqlite3.IntegrityError) -> Conflict:
    """`error` as SQLite raised it for `step`."""
    text = str(error)
    if text.startswith("FOREIGN KEY"):
        return Conflict(_missing_or_needed(step))
    if isinstance(step, Put) and isinstance(step.value, PolicyVersion):
        return Conflict(
            f"there is already a version {step.value.id} of the policy, put in at the same moment"
        )
    if isinstance(step, Put) and text.startswith(UNIQUE):
        columns = text.removeprefix(UNIQUE).split(", ")
        return Conflict(_taken(step.value, columns[0].split(".")[-1]))
    return Conflict(f"the database refused {_name(step)}: {text}")


def not_there(step: Delete | Spend) -> Conflict:
    """The row a step was about is not as it should be."""
    if isinstance(step, Spend):
        return Conflict("this one-off pre-auth key was already used")
    return Conflict(f"there is no {step.kind.replace('_', ' ')} {step.id} any more")


def _missing_or_needed(step: Step) -> str:
    if isinstance(step, Delete):
        return f"{step.kind.replace('_', ' ')} {step.id} still owns nodes or pre-auth keys"
    owner = step.value.user_id if isinstance(step, Put) and isinstance(step.value, Node | AuthKey) else None
    return f"there is no user with id {owner}"


def _taken(value: Any, column: str) -> str:
    match value, column:
        case User(), "name":
            return f"there is already a user named {value.name!r}"
        case User(), "provider":
            return f"this identity at {value.provider} already belongs to another user"
        case Node(), "name":
            return f"there is already a node named {value.name!r}"
        case Node(), "node_key":
            return "this node key is already in use"
        case Node(), "machine_key":
            return "this machine already has a node of this owner"
        case Node(), "ipv4" | "ipv6":
            return f"the address {getattr(value, column)} is already taken"
    return f"there is already a row with this {column.replace('_', ' ')}"


def _name(step: Step) -> str:
    if isinstance(step, Put):
        return f"{type(step.value).__name__.lower()} {step.value.id}"
    return f"a step of kind {type(step).__name__.lower()}"
