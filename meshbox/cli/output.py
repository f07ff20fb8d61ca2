"""Writing what was asked for: data to stdout, in the form that was chosen; talk to stderr.

`json` and `yaml` are the API's own objects. A table shows times relative to now; every other form has
them in RFC 3339. Every piece of text is cleaned on its way to a terminal.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from meshbox.cli.options import Options
from meshbox.cli.text import clean, relative, width
from meshbox.errors import Invalid

Json = dict[str, Any]

COLOURS = {"online": "32", "expired": "31", "waiting": "33"}


@dataclass(frozen=True, slots=True)
class Column:
    """`value` takes an object of the API. `is_time` values are RFC 3339 or None."""

    heading: str
    value: Callable[[Json], Any]
    is_wide: bool = False
    is_time: bool = False

    @property
    def name(self) -> str:
        return self.heading.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Kind:
    """How objects of one kind are shown. `name` is what `-o name` prints."""

    columns: Sequence[Column]
    name: Callable[[Json], str]


def say(options: Options, text: str) -> None:
    """Talk: for the person at the keyboard, never data."""
    if not options.quiet:
        click.echo("\n".join(clean(line) for line in text.split("\n")), err=True)


def write_data(options: Options, data: object) -> None:
    """An object or a list as JSON or YAML. On a terminal other scripts are escaped as well."""
    escape = sys.stdout.isatty()
    if options.output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=not escape), nl=False)
        return
    indent = None if options.output == "json-line" else 2
    click.echo(json.dumps(data, indent=indent, ensure_ascii=escape))


def write_list(options: Options, kind: Kind, items: list[Json]) -> None:
    if options.is_for_machines:
        write_data(options, items)
        return
    if options.output == "name":
        for item in items:
            click.echo(clean(kind.name(item)))
        return
    form = options.output or ("table" if sys.stdout.isatty() else "tsv")
    columns = _chosen(options, kind, form)
    if form == "tsv":
        _write_tsv(options, columns, items)
    else:
        _write_table(options, columns, items)


def write_one(options: Options, kind: Kind, item: Json) -> None:
    """One object, all its columns below each other."""
    if options.is_for_machines:
        write_data(options, item)
    elif options.output in ("name", "tsv"):
        write_list(options, kind, [item])
    else:
        columns = _chosen(options, kind, "wide")
        space = max(width(column.heading) for column in columns)
        now = time.time()
        for column in columns:
            text = _cell(column, item)
            if column.is_time and column.value(item):
                text = f"{text}  ({relative(text, now)})"
            click.echo(f"{column.heading.capitalize():<{space}}  {text}")


def write_change(options: Options, kind: Kind, item: Json, sentence: str) -> None:
    """What a change brought about: a sentence for people, the object for whoever asked for one."""
    if options.is_for_machines or options.output:
        write_one(options, kind, item)
    say(options, sentence)


def _chosen(options: Options, kind: Kind, form: str) -> list[Column]:
    if not options.columns:
        return [column for column in kind.columns if form == "wide" or not column.is_wide]
    known = {column.name: column for column in kind.columns}
    known |= {column.heading.lower(): column for column in kind.columns}
    unknown = [name for name in options.columns if name not in known]
    if unknown:
        names = ", ".join(column.name for column in kind.columns)
        raise Invalid(f"there is no column {unknown[0]!r}; there are {names}")
    return [known[name] for name in options.columns]


def _write_tsv(options: Options, columns: list[Column], items: Iterable[Json]) -> None:
    if not options.no_header:
        click.echo("\t".join(column.name for column in columns))
    for item in items:
        click.echo("\t".join(_cell(column, item) for column in columns))


def _write_table(options: Options, columns: list[Column], items: list[Json]) -> None:
    now = time.time()
    rows = [
        [relative(column.value(item), now) if column.is_time else _cell(column, item) for column in columns]
        for item in items
    ]
    if not options.no_header:
        rows.insert(0, [column.heading for column in columns])
    spaces = [max((width(row[place]) for row in rows), default=0) for place in range(len(columns))]
    paint = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for row in rows:
        padded = [
            (_painted(text) if paint else text) + " " * (space - width(text))
            for text, space in zip(row, spaces, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def _cell(column: Column, item: Json) -> str:
    match column.value(item):
        case None | "" | []:
            return "-"
        case bool(value):
            return "yes" if value else "no"
        case list(values):
            return clean(",".join(str(value) for value in values))
        case value:
            return clean(str(value))


def _painted(text: str) -> str:
    return f"\x1b[{COLOURS[text]}m{text}\x1b[0m" if text in COLOURS else text
