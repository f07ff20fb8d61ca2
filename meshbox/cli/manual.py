"""The command line as data, for the manual page and docs/cli.md: both are written from the commands
themselves, and a test says when they were not written again.

Nothing here depends on how a version of click lays out its help.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from meshbox.cli.group import Group
from meshbox.cli.main import meshbox


@dataclass(frozen=True, slots=True)
class Flag:
    """`--user NAME` and its sentence."""

    spelling: str
    help: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its words, arguments, text, options, and other spellings of its last word."""

    words: str
    arguments: str
    paragraphs: tuple[str, ...]
    flags: tuple[Flag, ...]
    aliases: tuple[str, ...]


EXIT_CODES = (
    ("0", "it was done"),
    ("1", "it failed, the server is not healthy, or the answer is no"),
    ("2", "wrong usage, or a value that cannot be used"),
    ("3", "there is no such user, node, key, registration or version"),
    ("4", "refused: not allowed, or nobody said yes"),
    ("5", "conflict: it exists already, is in use, was changed meanwhile, or the name is ambiguous"),
    ("6", "no server answers"),
    ("7", "no address is free for another node"),
    ("10", "the configuration has problems"),
    ("11", "an address cannot be listened on"),
    ("12", "a private key file cannot be used"),
    ("13", "a TLS certificate cannot be used"),
    ("14", "the database was written by a newer meshbox"),
    ("15", "the database is damaged, locked or not ours"),
    ("16", "no space, or the disk is read-only or failing"),
    ("17", "a backup cannot be made, or an archive cannot be used"),
    ("18", "the backup was made, its copy elsewhere failed"),
    ("130", "interrupted"),
)

VARIABLES = (
    ("MESHBOX_CONFIG", "configuration file, when -c is not given"),
    ("MESHBOX_RELAY_CONFIG", "configuration file of `meshbox derp`, when -c is not given"),
    ("MESHBOX_UNIX_SOCKET", "the server's socket, when no configuration file says so"),
    ("MESHBOX_CLI_ADDRESS", "a server elsewhere, as --server"),
    ("MESHBOX_CLI_API_KEY", "the API key for it, when --token-file is not given"),
    ("NO_COLOR", "no colours"),
)


def entries(group: Group = meshbox, prefix: str = "meshbox") -> Iterator[Entry]:
    """All commands that the help shows, in its order."""
    ctx = click.Context(group, info_name=prefix)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        is_hidden = name in group.lazy and not group.lazy[name].section
        if command is None or command.hidden or is_hidden:
            continue
        words = f"{prefix} {name}"
        if not isinstance(command, Group) or command.invoke_without_command:
            aliases = tuple(alias for alias, target in group.aliases.items() if target == name)
            yield _entry(command, words, aliases)
        if isinstance(command, Group):
            yield from entries(command, words)


def common() -> tuple[Flag, ...]:
    """The options that every command takes."""
    return _flags(meshbox)


def _entry(command: click.Command, words: str, aliases: tuple[str, ...]) -> Entry:
    arguments = []
    for param in command.params:
        if isinstance(param, click.Argument):
            name = param.metavar or str(param.name).upper() + ("..." if param.nargs == -1 else "")
            arguments.append(name)
    text = click.unstyle(command.help or "")
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    if command.epilog and "Every command also takes" not in command.epilog:
        paragraphs.append(command.epilog)
    return Entry(words, " ".join(arguments), tuple(paragraphs), _flags(command), aliases)


def _flags(command: click.Command) -> tuple[Flag, ...]:
    return tuple(
        _flag(param) for param in command.params if isinstance(param, click.Option) and not param.hidden
    )


def _flag(option: click.Option) -> Flag:
    spelling = ", ".join([*option.opts, *option.secondary_opts])
    if isinstance(option.type, click.Choice):
        spelling += " " + "|".join(str(choice) for choice in option.type.choices)
    elif not option.is_flag:
        spelling += " " + (option.metavar or str(option.type.name).upper())
    help = option.help or ""
    if option.show_default:
        help += f" Default: {option.default}."
    return Flag(spelling, help)
