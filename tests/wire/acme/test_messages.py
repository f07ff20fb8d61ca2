from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire.acme import messages
from meshbox.wire.acme.messages import DETAIL_LIMIT, Problem, Reply, Window

READERS = (
    messages.read_directory,
    messages.read_order,
    messages.read_authorization,
    messages.read_window,
)


def reply(value: object, **headers: str) -> Reply:
    return Reply(200, headers, json.dumps(value).encode())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        (
            {"retry-after": "Wed, 25 Nov 2026 12:01:00 GMT", "date": "Wed, 25 Nov 2026 12:00:00 GMT"},
            60.0,
        ),
        ({"retry-after": "Wed, 25 Nov 2026 11:00:00 GMT", "date": "Wed, 25 Nov 2026 12:00:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 25 Nov 2026 12:01:00 GMT"}, None),
        ({"retry-after": "soon", "date": "Wed, 25 Nov 2026 12:00:00 GMT"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert Reply(503, headers, b"").retry_after == seconds


def test_a_directory_with_all_and_with_little() -> None:
    urls = {"newNonce": "https://ca/n", "newAccount": "https://ca/a", "newOrder": "https://ca/o"}
    small = messages.read_directory(reply(urls))
    assert (small.renewal_info, small.profiles, small.needs_binding) == ("", frozenset(), False)
    meta = {"profiles": {"shortlived": "..."}, "externalAccountRequired": True}
    full = messages.read_directory(reply({**urls, "renewalInfo": "https://ca/r", "meta": meta}))
    assert full.renewal_info == "https://ca/r" and full.profiles == {"shortlived"} and full.needs_binding
    with pytest.raises(Malformed, match="a newOrder that is no text"):
        messages.read_directory(reply({**urls, "newOrder": 1}))
    del urls["newOrder"]
    with pytest.raises(Malformed, match="no newOrder"):
        messages.read_directory(reply(urls))


def test_problems_say_what_is_wrong_with_which_name() -> None:
    value = {
        "type": "urn:ietf:params:acme:error:malformed",
        "detail": "some names",
        "subproblems": [{"identifier": {"type": "dns", "value": "a.test"}, "detail": "bad"}, 7],
    }
    assert messages.problem_of(value) == Problem("malformed", "some names; a.test: bad")
    assert messages.problem_of(None) is None
    long = messages.problem_of({"detail": "x" * 10_000})
    assert long is not None and len(long.detail) == DETAIL_LIMIT


def test_an_authorization_without_http_is_one_without_a_challenge() -> None:
    value = {"identifier": {"type": "dns", "value": "a.test"}, "status": "pending", "challenges": [
        {"type": "dns-01", "url": "https://ca/1", "token": "t"}]}  # fmt: skip
    found = messages.read_authorization(reply(value))
    assert (found.name, found.challenge, found.token) == ("a.test", "", "")


def test_windows() -> None:
    window = {"start": "2026-11-25T12:00:00Z", "end": "2026-11-27T12:00:00.123456789Z"}
    assert messages.read_window(reply({"suggestedWindow": window})) == Window(1795608000.0, 1795780800.123456)
    for wrong in ({}, {"start": "x", "end": "y"}, {"start": window["end"], "end": window["start"]}):
        with pytest.raises(Malformed):
            messages.read_window(reply({"suggestedWindow": wrong}))


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["status", "identifier", "challenges", "authorizations", "finalize", "error", "suggestedWindow",
     "start", "end", "meta", "newNonce", "newAccount", "newOrder", "type", "token", "url", "detail"]
)  # fmt: skip


@given(st.dictionaries(NAMES, json_values | st.dictionaries(NAMES, json_values), max_size=8))
def test_nothing_an_authority_sends_is_a_crash(value: dict[str, Any]) -> None:
    for read in READERS:
        with contextlib.suppress(Malformed):
            read(reply(value))


@given(st.binary(max_size=50))
def test_no_bytes_are_a_crash(body: bytes) -> None:
    for read in READERS:
        with pytest.raises(Malformed):
            read(Reply(200, {}, body))
