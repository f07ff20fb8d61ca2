"""A policy's text in and out, as it was written: line ends, comments and all."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from meshbox.cli.text import clean


def read_text(path: Path | None) -> str:
    """Of the file, or of standard input for "-" and None."""
    try:
        if path is None or str(path) == "-":
            raw = getattr(sys.stdin, "buffer", None)
            return sys.stdin.read() if raw is None else raw.read().decode()
        # Not as text: that would make one kind of line end of all.
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise click.UsageError(f"cannot read {path or 'standard input'}: {reason}") from None


def write_text(text: str) -> None:
    """To standard output: verbatim into a file or pipe; on a terminal without what would steer it."""
    if sys.stdout.isatty():
        click.echo("\n".join("\t".join(map(clean, line.split("\t"))) for line in text.splitlines()))
    else:
        click.echo(text.encode(), nl=False)
