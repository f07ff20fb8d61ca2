from __future__ import annotations

import pytest

from meshbox.errors import Invalid
from meshbox.tailnet import apikeys
from meshbox.tailnet.apikeys import LONGEST_LIFE
from tests.tailnet.build import NOW, make_tailnet


def test_a_key_opens_until_it_expires_or_is_revoked() -> None:
    t = make_tailnet()
    key, text = apikeys.create(t, NOW + 100, "ci", "test", NOW)
    assert apikeys.check(t, text, NOW + 99) == t.api_keys[key.id]
    assert apikeys.check(t, text, NOW + 100) is None
    assert apikeys.check(t, text[:-1] + ("A" if text[-1] != "A" else "B"), NOW) is None
    assert apikeys.check(t, "", NOW) is None
    apikeys.revoke(t, key.id, "test", NOW)
    assert apikeys.check(t, text, NOW) is None
    apikeys.delete(t, key.id, "test", NOW)
    assert not t.api_keys and not t.api_key_by_prefix


@pytest.mark.parametrize("expires_at", [NOW, NOW - 1, NOW + LONGEST_LIFE + 1])
def test_every_key_expires_within_a_year(expires_at: float) -> None:
    with pytest.raises(Invalid):
        apikeys.create(make_tailnet(), expires_at, "", "test", NOW)
