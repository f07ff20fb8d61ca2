from __future__ import annotations

import pytest

from meshbox.errors import Invalid, NotFound
from meshbox.tailnet import authkeys
from meshbox.tailnet.authkeys import AuthKeyWish, KeyRefused, check_auth_key
from meshbox.tailnet.model import AuthKey
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, make_key, make_tailnet
from tests.tailnet.memory import MemoryStore


def test_the_secret_is_nowhere_in_the_store() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    text = make_key(t)
    secret = text.rpartition("-")[2]
    assert secret not in repr(store.load()) and secret.encode() not in repr(store.log).encode()
    assert isinstance(check_auth_key(t, text, NOW), AuthKey)


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (AuthKeyWish(), Invalid),
        (AuthKeyWish(user_id=9), NotFound),
        (AuthKeyWish(tags=("tag:A",)), Invalid),
        (AuthKeyWish(tags=("tag:a",), expires_at=NOW), Invalid),
    ],
)
def test_wishes_that_cannot_be(wish: AuthKeyWish, error: type[Exception]) -> None:
    t = make_tailnet()
    with pytest.raises(error):
        authkeys.create(t, wish, "test", NOW)
    assert not t.auth_keys


def test_a_deleted_key_is_unknown_and_its_deletion_durable() -> None:
    store = MemoryStore()
    t: Tailnet = make_tailnet(store)
    text = make_key(t)
    authkeys.delete(t, next(iter(t.auth_keys)), "test", NOW)
    assert check_auth_key(t, text, NOW) == KeyRefused("invalid pre-auth key")
    assert not store.load().auth_keys
    with pytest.raises(NotFound):
        authkeys.revoke(t, 1, "test", NOW)


def test_a_key_works_after_a_restart() -> None:
    store = MemoryStore()
    text = make_key(make_tailnet(store), reusable=True)
    assert isinstance(check_auth_key(make_tailnet(store), text, NOW), AuthKey)
