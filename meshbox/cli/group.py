"""Groups and commands as meshbox wants them: imported when used, with aliases, and help for typos.

`meshbox --help` must be instant, so a group may hold commands that are only a name, a sentence and the
place of the code: `Lazy`. The sentence is the first of the command's own help; a test compares them.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from meshbox.cli.options import common_options

EPILOG = "Every command also takes -o, -c, --server, --yes and the other options of `meshbox --help`."


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command in `module` under `attribute`; `section` is where the help lists it ("" hides it)."""

    module: str
    attribute: str
    help: str
    section: str = ""


class Leaf(click.Command):
    """A command that does something."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        attributes.setdefault("epilog", EPILOG)
        super().__init__(*args, **attributes)
        # A command may have an option of this name with a meaning of its own (`backup restore --force`).
        own = {spelling for param in self.params for spelling in param.opts}
        self.params.extend(one for one in common_options(hidden=True) if own.isdisjoint(one.opts))


class Group(click.Group):
    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, Lazy] | None = None,
        aliases: Mapping[str, str] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **attributes)
        self.lazy = dict(lazy or {})
        self.aliases = dict(aliases or {})

    def add(self, *aliases: str, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
        """Decorator: the function becomes a command of this group, also under the aliases."""

        def register(function: Callable[..., Any]) -> click.Command:
            command = click.command(cls=Leaf, **attributes)(function)
            self.add_command(command)
            self.aliases.update(dict.fromkeys(aliases, str(command.name)))
            return command

        return register

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit(0)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = self.aliases.get(cmd_name, cmd_name)
        place = self.lazy.get(name)
        if place is None:
            return super().get_command(ctx, name)
        found = getattr(importlib.import_module(place.module), place.attribute)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, [*self.list_commands(ctx), *self.aliases])
            close = list(dict.fromkeys(self.aliases.get(one, one) for one in near))
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise click.UsageError(f"there is no command {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lazy ones by section, without importing them; then the group's own."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, place in self.lazy.items():
            if place.section:
                sections.setdefault(place.section, []).append((name, place.help))
        own = [(name, command) for name, command in self.commands.items() if not command.hidden]
        if own:
            sections["Commands"] = [(name, command.get_short_help_str(90)) for name, command in own]
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
