"""The fields of a form that a browser sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web

from meshbox.errors import Malformed, TooLarge
from meshbox.serve.api.body import receive

FIELD_LIMIT = 1100
"""Fields of a form: a thousand chosen machines and a few words."""


@dataclass(frozen=True, slots=True)
class Form:
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The first value, "" when the field is not there. Browsers send line ends as CR LF."""
        values = self.fields.get(name, ())
        return values[0].replace("\r\n", "\n") if values else ""

    def all(self, name: str) -> tuple[str, ...]:
        return self.fields.get(name, ())

    def __contains__(self, name: str) -> bool:
        return name in self.fields


NOTHING = Form()


async def read_form(request: web.Request, limit: int) -> Form:
    """Raises Malformed, TooLarge, TimeoutError."""
    received = await receive(request, limit)
    try:
        pairs = parse_qsl(
            received.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELD_LIMIT
        )
    except UnicodeError:
        raise Malformed("the form is not in UTF-8") from None
    except ValueError:
        raise TooLarge(f"a form has at most {FIELD_LIMIT} fields") from None
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return Form(found)
