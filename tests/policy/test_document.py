from __future__ import annotations

from tests.policy.build import document


def test_absent_is_not_empty() -> None:
    assert document().allows_everything
    assert document(acls=None).allows_everything
    assert not document(acls=[]).allows_everything
    assert not document(grants=[]).allows_everything
    assert document(ssh=[]).allows_everything
    assert document(ssh=[]).ssh == () and document().ssh is None
