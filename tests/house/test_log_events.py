"""The list of log events is closed: every name is in it, is used, and gets the fields it wants."""

from __future__ import annotations

import ast
import string
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from meshbox.vocabulary import EVENTS, FIELDS
from tests.house.tree import Module, dotted, modules

CALLS = {"log.emit": 1, "log.emit_limited": 2, "emit": 1, "emit_limited": 2}
"""The door's functions -> how many positional arguments they take."""
RESERVED = {"ts", "level", "event", "msg", "similar"}
"""Field names the log itself writes."""


@dataclass(frozen=True)
class Call:
    """One call of the door. `fields` is None when they are passed as a mapping."""

    where: str
    events: tuple[str, ...]
    fields: frozenset[str] | None
    positional: int


def names_in(node: ast.expr) -> tuple[str, ...]:
    """The event names an argument can be: a literal, or a choice between literals."""
    match node:
        case ast.Constant(value=str(name)):
            return (name,)
        case ast.IfExp(body=body, orelse=other):
            return names_in(body) + names_in(other)
        case _:
            return ()


def calls() -> Iterator[Call]:
    for module in modules():
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.Call) and is_door(module, node):
                given = [keyword.arg for keyword in node.keywords]
                fields = None if None in given else frozenset(name for name in given if name)
                yield Call(f"{module.name}:{node.lineno}", names_in(node.args[0]), fields, len(node.args))


def is_door(module: Module, node: ast.Call) -> bool:
    name = dotted(node.func)
    if name not in CALLS or not node.args:
        return False
    imports_it = any(
        one.module in (f"meshbox.log.{name}", f"meshbox.log.door.{name}") for one in module.imports
    )
    return name.startswith("log.") or module.name == "log/door.py" or imports_it


def wanted(event: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(EVENTS[event].text) if name is not None}


def test_every_name_is_written_out_and_known() -> None:
    wrong = [call.where for call in calls() if not call.events]
    assert not wrong, f"the event of these calls cannot be read: {wrong}"
    unknown = [(call.where, event) for call in calls() for event in call.events if event not in EVENTS]
    assert not unknown, unknown


def test_every_event_is_emitted_somewhere() -> None:
    emitted = {event for call in calls() for event in call.events}
    assert not set(EVENTS) - emitted


def test_every_call_passes_what_the_text_wants() -> None:
    wrong = [
        f"{call.where} {event} lacks {sorted(wanted(event) - call.fields)}"
        for call in calls()
        for event in call.events
        if call.fields is not None and event in EVENTS and wanted(event) - call.fields
    ]
    assert not wrong, "\n".join(wrong)


def test_calls_have_the_right_shape() -> None:
    wrong = []
    for module in modules():
        for node in ast.walk(module.syntax):
            if (
                isinstance(node, ast.Call)
                and is_door(module, node)
                and len(node.args) != CALLS[dotted(node.func)]
            ):
                wrong.append(f"{module.name}:{node.lineno}")
    assert not wrong, wrong


def test_one_event_has_the_same_fields_everywhere() -> None:
    fields: dict[str, set[frozenset[str]]] = defaultdict(set)
    for call in calls():
        for event in call.events:
            if call.fields is not None:
                fields[event].add(call.fields)
    uneven = {event: sorted(map(sorted, ways)) for event, ways in fields.items() if len(ways) > 1}
    assert not uneven, uneven


def test_field_names_are_a_closed_list() -> None:
    passed = {name for call in calls() if call.fields for name in call.fields} | {"similar"}
    assert passed == set(FIELDS), f"not in FIELDS: {passed - set(FIELDS)}; not passed: {set(FIELDS) - passed}"
    assert list(FIELDS) == sorted(FIELDS)


def test_no_field_takes_a_name_of_the_log_itself() -> None:
    wrong = [call.where for call in calls() if call.fields and call.fields & RESERVED]
    assert not wrong, wrong


def test_names_and_texts() -> None:
    assert list(EVENTS) == sorted(EVENTS)
    for name, event in EVENTS.items():
        assert name.isascii() and name == name.lower() and name.isidentifier(), name
        assert event.text and not event.text.endswith("."), name
        assert len(event.help) > 15 and event.help.endswith((".", "`")), name


def test_no_event_goes_past_the_door() -> None:
    """Loose text (print, logging, warnings) has no name, no fields and no limit."""
    wrong = [
        f"{module.name}:{one.line} imports {one.module}"
        for module in modules()
        for one in module.imports
        if one.module in ("logging", "warnings") and module.room not in ("ground", "cli")
    ]
    wrong += [
        f"{module.name}:{node.lineno} prints"
        for module in modules()
        for node in ast.walk(module.syntax)
        if isinstance(node, ast.Call)
        and dotted(node.func) == "print"
        and module.room not in ("ground", "cli")
    ]
    assert not wrong, "\n".join(wrong)
