from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.tailnet.changes import GAP, Changes, Common, Dirty, Fact


def test_facts_of_one_node_add_up() -> None:
    changes = Changes()
    changes.append(7, Fact.ONLINE)
    changes.append(7, Fact.ENDPOINTS)
    changes.append_common(Common.DNS)
    assert changes.since(0) == Dirty({7: Fact.ONLINE | Fact.ENDPOINTS}, Common.DNS)
    assert changes.since(1) == Dirty({7: Fact.ENDPOINTS}, Common.DNS)
    assert changes.since(3) == Dirty({}, Common(0))


def test_an_answer_is_not_remembered_past_the_next_change() -> None:
    changes = Changes()
    changes.append(1, Fact.ONLINE)
    first = changes.since(0)
    changes.append(2, Fact.ONLINE)
    assert isinstance(first, Dirty)
    assert changes.since(0) == Dirty({1: Fact.ONLINE, 2: Fact.ONLINE}, Common(0))


def test_a_reader_that_fell_off_gets_a_gap() -> None:
    changes = Changes(length=3)
    for node_id in range(1, 5):
        changes.append(node_id, Fact.ONLINE)
    assert changes.since(0) is GAP
    assert changes.since(1) == Dirty({2: Fact.ONLINE, 3: Fact.ONLINE, 4: Fact.ONLINE}, Common(0))


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(list(Fact))), max_size=30), st.data())
def test_since_is_the_sum_of_what_came_after(entries: list[tuple[int, Fact]], data: st.DataObject) -> None:
    changes = Changes(length=10)
    for node_id, fact in entries:
        changes.append(node_id, fact)
    cursor = data.draw(st.integers(0, len(entries)))
    if len(entries) - cursor > 10:
        assert changes.since(cursor) is GAP
        return
    expected: dict[int, Fact] = {}
    for node_id, fact in entries[cursor:]:
        expected[node_id] = expected.get(node_id, Fact(0)) | fact
    assert changes.since(cursor) == Dirty(expected, Common(0))
