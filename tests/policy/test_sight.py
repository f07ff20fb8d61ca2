from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.policy.sight import bit, members


@given(st.sets(st.integers(0, 2000)))
def test_a_view_is_a_set(ids: set[int]) -> None:
    view = sum(bit(node_id) for node_id in ids)
    assert list(members(view)) == sorted(ids)
