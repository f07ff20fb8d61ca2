"""Device postures: conditions on the attributes of the device that a connection comes from.

A posture is a list of expressions `key operator value` that must all hold: `node:os == 'linux'`,
`node:tsVersion >= '1.90'`, `custom:tier IN ['gold', 'silver']`, `custom:lost NOT SET`. A rule names several
postures and wants one of them. An attribute that is not set satisfies nothing but NOT SET.

Only attributes that this server can know are accepted: a rule that waits for a vendor's verdict which
never comes would be a rule nobody understands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from meshbox.policy.document import Text
from meshbox.policy.problem import PolicyError
from meshbox.policy.world import Attribute

Operator = Literal["==", "!=", "<", "<=", ">", ">=", "IN", "NOT IN", "IS SET", "NOT SET"]

VERSIONS = frozenset({"node:osVersion", "node:tsVersion"})
"""Attributes compared as versions: 1.9 comes before 1.10."""
ATTRIBUTES = VERSIONS | {"node:os", "node:tsAutoUpdate", "node:tsReleaseTrack", "node:tsStateEncrypted"}
MAX_EXPRESSION = 1024
"""Characters."""

_ORDERED = frozenset({"<", "<=", ">", ">="})
_EXPRESSION = re.compile(
    r"(?P<key>[A-Za-z][A-Za-z0-9_.-]*:[A-Za-z0-9_.-]+)\s*"
    r"(?:(?P<set>\b(?:IS|NOT)\s+SET)|(?P<in>\b(?:NOT\s+)?IN)\s*\[(?P<list>.*)\]|(?P<op>[=!]=|[<>]=?)\s*(?P<value>.*))",
    re.ASCII | re.DOTALL,
)
_VALUE = re.compile(
    r"\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<bool>true|false)\b|(?P<number>-?[0-9]{1,15}(?:\.[0-9]{1,15})?))\s*",
    re.ASCII,
)
_FIELD = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)


class BadExpression(ValueError):
    """The inner part of the message."""


@dataclass(frozen=True, slots=True)
class Expression:
    """`values` has one value, none for SET, any number for IN."""

    key: str
    operator: Operator
    values: tuple[Attribute, ...] = ()

    def holds(self, attributes: Mapping[str, Attribute]) -> bool:
        value = attributes.get(self.key)
        if value is None or self.operator in ("IS SET", "NOT SET"):
            return (value is None) == (self.operator == "NOT SET")
        if self.operator in ("==", "IN"):
            return any(self._compare(value, one) == 0 for one in self.values)
        if self.operator in ("!=", "NOT IN"):
            return all(self._compare(value, one) != 0 for one in self.values)
        order = self._compare(value, self.values[0])
        if order is None:
            return False
        return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[self.operator]

    def _compare(self, value: Attribute, wanted: Attribute) -> int | None:
        """Negative, 0 or positive; None for values of different kinds, which are neither equal nor in
        any order."""
        if isinstance(value, str) and isinstance(wanted, str):
            if self.key in VERSIONS:
                return compare_versions(value, wanted)
            return 0 if value == wanted else None
        if isinstance(value, bool) or isinstance(wanted, bool):
            return 0 if value is wanted else None
        if isinstance(value, str) or isinstance(wanted, str):
            return None
        return (value > wanted) - (value < wanted)


Posture = tuple[Expression, ...]
"""All of them must hold; a posture without any is met by everybody."""


def meets(posture: Iterable[Expression], attributes: Mapping[str, Attribute]) -> bool:
    return all(expression.holds(attributes) for expression in posture)


def parse(items: Iterable[Text]) -> Posture:
    """Raises PolicyError."""
    found = []
    for item in items:
        try:
            found.append(parse_expression(item.value))
        except BadExpression as error:
            raise PolicyError(
                f'posture expression "{item.value[:MAX_EXPRESSION]}": {error}', item.spot
            ) from None
    return tuple(found)


def parse_expression(text: str) -> Expression:
    """Raises BadExpression."""
    if len(text) > MAX_EXPRESSION:
        raise BadExpression(f"longer than {MAX_EXPRESSION} characters")
    match = _EXPRESSION.fullmatch(text.strip())
    if match is None:
        raise BadExpression("expected an attribute, an operator and a value, as in node:os == 'linux'")
    key = match["key"]
    _check_key(key)
    if match["set"]:
        return Expression(key, cast(Operator, " ".join(match["set"].split())))
    if match["in"]:
        return Expression(key, cast(Operator, " ".join(match["in"].split())), _values(match["list"]))
    operator = cast(Operator, match["op"])
    values = _values(match["value"], is_list=False)
    if operator in _ORDERED and key not in VERSIONS and isinstance(values[0], (str, bool)):
        raise BadExpression(f"{operator} compares numbers and versions only")
    if operator in _ORDERED and key in VERSIONS and not isinstance(values[0], str):
        raise BadExpression(f"a version is written in quotes: {key} {operator} '{match['value'].strip()}'")
    return Expression(key, operator, values)


def _check_key(key: str) -> None:
    namespace = key.partition(":")[0]
    if key in ATTRIBUTES or namespace == "custom":
        return
    if namespace == "node":
        raise BadExpression(f'attribute not found: "{key}"; there are {", ".join(sorted(ATTRIBUTES))}')
    raise BadExpression(f'this server learns no "{namespace}:" attributes; set a "custom:" one instead')


def _values(text: str, is_list: bool = True) -> tuple[Attribute, ...]:
    """Values with commas between them; exactly one unless it is a list."""
    found: list[Attribute] = []
    at = 0
    while at < len(text) or not is_list:
        match = _VALUE.match(text, at)
        if match is None:
            raise BadExpression("values are 'text' in quotes, numbers, true or false")
        found.append(_value(match))
        at = match.end()
        if at == len(text):
            break
        if not is_list or text[at] != ",":
            raise BadExpression(f"expected {'a comma' if is_list else 'the end'} after the value")
        at += 1
    return tuple(found)


def _value(match: re.Match[str]) -> Attribute:
    if match["number"]:
        return float(match["number"]) if "." in match["number"] else int(match["number"])
    if match["bool"]:
        return match["bool"] == "true"
    return match["single"] if match["single"] is not None else match["double"]


def compare_versions(left: str, right: str) -> int:
    """Negative, 0 or positive, as tailscale/util/cmpver orders them: the parts without digits by their
    letters, the numbers by their values, and 12 before 12.0."""
    for (left_text, left_number), (right_text, right_number) in zip(
        *_padded(_FIELD.findall(left), _FIELD.findall(right)), strict=True
    ):
        if left_text != right_text:
            return -1 if left_text < right_text else 1
        # By length first: a peer's version may have more digits than Python agrees to read.
        numbers = [number.lstrip("0") for number in (left_number, right_number)]
        if numbers[0] != numbers[1]:
            return -1 if (len(numbers[0]), numbers[0]) < (len(numbers[1]), numbers[1]) else 1
    return 0


def _padded(
    left: list[tuple[str, str]], right: list[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    length = max(len(left), len(right))
    return left + [("", "")] * (length - len(left)), right + [("", "")] * (length - len(right))
