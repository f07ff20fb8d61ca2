from __future__ import annotations

import pytest

from meshbox.policy.selectors import BadSelector, Names, fold_tag
from meshbox.policy.spans import parse_span

SPAN = parse_span("10.0.0.1")
assert SPAN is not None
NAMES = Names({"group:dev", "group:sec@example.com"}, {"tag:web"}, {"box": SPAN}, {"ipset:x"})


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("*", "any", ""),
        ("ana@example.com", "user", "ana@example.com"),
        ("ana@", "user", "ana@"),
        ("user:*@example.com", "domain", "example.com"),
        ("group:sec@example.com", "group", "group:sec@example.com"),
        ("tag:WEB", "tag", "tag:web"),
        ("box", "host", "box"),
        ("host:box", "host", "box"),
        ("10.0.0.0/8", "prefix", ""),
        ("fd7a::1", "prefix", ""),
        ("ipset:x", "ipset", "ipset:x"),
        ("svc:web", "service", "svc:web"),
        ("autogroup:members", "member", "members"),
        ("autogroup:it-admin", "role", "it-admin"),
    ],
)
def test_words(text: str, kind: str, name: str) -> None:
    selector = NAMES.parse(text)
    assert (selector.kind, selector.name, selector.text) == (kind, name, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tag:no", 'tag not found: "tag:no"'),
        ("group:no", 'group not found: "group:no"'),
        ("ipset:no", 'ipset not found: "ipset:no"'),
        ("host:no", 'host not found: "no"'),
        ("autogroup:no", 'autogroup not found: "autogroup:no"'),
        ("%bogus%", '"%bogus%": invalid address'),
        ("", '"": invalid address'),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(BadSelector) as error:
        NAMES.parse(text)
    assert str(error.value) == message


def test_tags_are_folded() -> None:
    assert fold_tag("tag:Web") == "tag:web"
