"""The options every command takes, before or after its name: `meshbox -o json nodes list` and
`meshbox nodes list -o json` are the same. They fill one Options, which commands get as `ctx.obj`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

FORMATS = ("table", "wide", "tsv", "json", "json-line", "yaml", "name")


@dataclass(slots=True)
class Options:
    """`output` "" means: a table on a terminal, tab-separated text otherwise."""

    config: Path | None = None
    server: str = ""
    token_file: str = ""
    output: str = ""
    columns: tuple[str, ...] = ()
    no_header: bool = False
    yes: bool = False
    quiet: bool = False

    @property
    def is_for_machines(self) -> bool:
        return self.output in ("json", "json-line", "yaml")


def common_options(hidden: bool) -> list[click.Parameter]:
    """Fresh parameters; `hidden` leaves them out of a command's own help."""

    def option(*names: str, **more: Any) -> click.Option:
        return click.Option(names, expose_value=False, hidden=hidden, callback=_keep, **more)

    return [
        option(
            "-c",
            "--config",
            metavar="FILE",
            help="Configuration file, which says where the server's socket is.",
        ),
        option("--server", metavar="URL", help="Administer a server elsewhere (or set MESHBOX_CLI_ADDRESS)."),
        option(
            "--token-file",
            metavar="FILE",
            help="File with the API key for --server, - for standard input (or set MESHBOX_CLI_API_KEY).",
        ),
        option("-o", "--output", type=click.Choice(FORMATS), help="How to write what was asked for."),
        option("--columns", metavar="A,B", help="Columns of a table, by their heading."),
        option("--no-header", is_flag=True, help="No headings above tables."),
        option("-y", "--yes", is_flag=True, help="Do not ask before something that cannot be taken back."),
        click.Option(["--force", "yes"], is_flag=True, expose_value=False, hidden=True, callback=_keep),
        option("-q", "--quiet", is_flag=True, help="Say nothing but data and errors."),
    ]


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value in (None, False):
        return
    convert = _CONVERT.get(str(param.name), lambda given: given)
    setattr(ctx.obj, str(param.name), convert(value))


def _column_names(given: Any) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in str(given).split(",") if name.strip())


_CONVERT: dict[str, Callable[[Any], Any]] = {"config": Path, "columns": _column_names}
