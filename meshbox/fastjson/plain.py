"""What we use of orjson, in Python's own json: the same documents are read, the same refused.

What is refused matters most, since these documents come from strangers: NaN, lone surrogates, bad UTF-8,
control characters in texts, and nesting that would exhaust the stack of whoever walks the document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from json import JSONDecodeError
from math import isinf
from typing import Any, Never

READ_DEPTH = 1024
WRITE_DEPTH = 254
"""How deep documents may nest: orjson's limits."""

JSONEncodeError = TypeError

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Fragment:
    """JSON that is written already, for a place in a larger document."""

    contents: bytes | str


def loads(document: bytes | bytearray | memoryview | str) -> Any:
    """The value of a document. Raises JSONDecodeError."""
    try:
        raw = document.encode() if isinstance(document, str) else bytes(document)
        value = _DECODER.decode(raw.decode())
        _check_depth(value, raw, READ_DEPTH)
        if _SURROGATE_ESCAPE.search(raw) and any(map(_LONE_SURROGATE.search, _texts(value))):
            raise ValueError("half of a surrogate pair")
    except JSONDecodeError:
        raise
    except (ValueError, RecursionError) as problem:
        raise JSONDecodeError(str(problem), "", 0) from None
    return value


def dumps(value: Any) -> bytes:
    """The value as compact JSON. Raises JSONEncodeError."""
    try:
        written = _ENCODER.encode(value).encode()
        _check_depth(value, written, WRITE_DEPTH)
        return written
    except (ValueError, RecursionError) as problem:
        raise JSONEncodeError(str(problem)) from None


def _check_depth(value: Any, document: bytes, limit: int) -> None:
    """Level by level: recursion is what the limit is against. Few documents have that many brackets."""
    if document.count(b"[") + document.count(b"{") <= limit:
        return
    level = [value]
    for _ in range(limit):
        level = [inner for one in level for inner in _children(one) if isinstance(inner, dict | list | tuple)]
        if not level:
            return
    raise ValueError("nested too deeply")


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _texts(value: Any) -> Iterator[str]:
    """All texts of a value, names of fields too."""
    level = [value]
    while level:
        one = level.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            level += one
            level += one.values()
        elif isinstance(one, list):
            level += one


def _integer(digits: str) -> int | float:
    """Beyond 64 bits a number is no integer to Go either. int() of very many digits would be slow besides."""
    number = int(digits) if len(digits) <= 20 else 1 << 64
    return number if -(1 << 63) <= number < 1 << 64 else _fraction(digits)


def _fraction(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError("a number is too large")
    return number


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _unfold(value: Any) -> Any:
    if isinstance(value, Fragment):
        return loads(value.contents)
    raise TypeError(f"{type(value).__name__} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_fraction, parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False, default=_unfold
)
