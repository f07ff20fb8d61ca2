"""Putting a text in as the policy. Whether it is one was found out before (policy/questions.py)."""

from __future__ import annotations

from meshbox.errors import Invalid, NotFound, Outdated
from meshbox.tailnet.model import Audit, PolicyVersion
from meshbox.tailnet.ports import Put
from meshbox.tailnet.routes import approve_by_policy
from meshbox.tailnet.tailnet import Tailnet

NOTE_LIMIT = 200


def put(t: Tailnet, text: str, actor: str, note: str, now: float) -> PolicyVersion:
    """Keep the text as the newest version and let it serve, at once. Raises Conflict, StoreFull; then the
    policy is what it was."""
    if len(note) > NOTE_LIMIT or not note.isprintable():
        raise Invalid(f"note: one line of at most {NOTE_LIMIT} characters")
    version = PolicyVersion(t.store.new_id("policy"), text, actor, now, note)
    t.commit(now, Put(version), Audit(now, actor, "policy.set", str(version.id), note))
    approve_by_policy(t, t.nodes, now)
    return version


def newest_id(t: Tailnet) -> int:
    """0 before the first."""
    return 0 if t.policy is None else t.policy.id


def require_newest(t: Tailnet, expected: int) -> None:
    """`expected` is the version that somebody's change started from. Raises Outdated."""
    newest = newest_id(t)
    if newest != expected:
        raise Outdated(
            f"the policy was changed meanwhile: it is at version {newest}, and your change started from "
            f"{expected}. Look at what changed (meshbox policy history), then try again"
        )


def require(t: Tailnet, version_id: int) -> PolicyVersion:
    version = t.store.policy_version(version_id)
    if version is None:
        raise NotFound(f"there is no version {version_id} of the policy; `meshbox policy history` lists them")
    return version
