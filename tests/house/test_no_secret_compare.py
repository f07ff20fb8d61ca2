"""Secrets are compared with hmac.compare_digest: `==` stops at the first different byte, and an
attacker with a clock can walk along."""

from __future__ import annotations

import ast
import re

from tests.house.tree import modules

SECRET = re.compile(
    r"(^|_)(secret|secrets|token|password|passphrase|digest|mac|cookie|csrf|hash|hashed)(_hash)?$"
)
ALLOWED: dict[str, str] = {
    "store/audit.py:row_hash != _seal(last_hash, tuple(row))": "checks a chain, lets nobody in",
}
"""`file:expression` -> why it is no secret."""


def name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return (
                "" if isinstance(function, ast.Name) and function.id in ("len", "type") else name_of(function)
            )
        case ast.Subscript(value=value):
            return name_of(value)
        case _:
            return ""


def test_no_secret_is_compared_with_an_operator() -> None:
    wrong = {}
    for module in modules():
        for node in ast.walk(module.syntax):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            equality = any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops)
            constant = any(isinstance(one, ast.Constant) for one in sides)
            if equality and not constant and any(SECRET.search(name_of(one)) for one in sides):
                wrong[f"{module.name}:{ast.unparse(node)}"] = node.lineno
    assert set(wrong) == set(ALLOWED), wrong
