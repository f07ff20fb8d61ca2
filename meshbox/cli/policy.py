"""`meshbox policy`: a policy file held against the running server's tailnet."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from meshbox.cli.client import connect
from meshbox.cli.group import Group
from meshbox.cli.options import Options
from meshbox.cli.output import say, write_data

policy = Group("policy", help="Check a policy file. (This version does not enforce policies yet.)")


@policy.add("test", name="check")
@click.argument("file", required=False, default="-", metavar="[FILE]", type=click.Path(path_type=Path))
@click.option("-f", "--file", "named", hidden=True, type=click.Path(path_type=Path))
@click.pass_obj
def check(options: Options, file: Path, named: Path | None) -> None:
    """Check a policy file, HuJSON or YAML, and run its tests against the nodes that are here.

    Reads standard input without FILE, or for "-". Changes nothing.
    """
    path = named or file
    connect(options).post("policy", "check", body={"policy": _read(path)})
    if options.is_for_machines:
        write_data(options, {})
    say(options, f"{'the policy' if str(path) == '-' else path} is fine")


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise click.UsageError(f"cannot read {path}: {reason}") from None
