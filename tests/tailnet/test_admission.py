from __future__ import annotations

from dataclasses import replace

from meshbox.tailnet.admission import Admission
from meshbox.wire.keys import NodeKey
from tests.tailnet.build import NOW, join, make_key, make_tailnet, node_key


def test_each_key_is_told_when_it_comes_goes_or_moves_its_date() -> None:
    t = make_tailnet()
    one = join(t, 1, make_key(t))
    told: list[tuple[NodeKey, bool]] = []
    admission = Admission()
    admission.listen(lambda key, admitted: told.append((key, admitted)))
    key, other = one.node_key, node_key(9)
    for old, new, said in (
        (None, one, [(key, True)]),
        (one, replace(one, name="other"), []),
        (one, replace(one, node_key=other), [(key, False), (other, True)]),
        (one, replace(one, expires_at=NOW + 9), [(key, True)]),
        (one, replace(one, expires_at=NOW - 1), [(key, False)]),
        (replace(one, expires_at=NOW - 1), one, [(key, True)]),
        (one, replace(one, is_approved=False), [(key, False)]),
    ):
        told.clear()
        admission.follow(old, new, NOW)
        assert told == said
