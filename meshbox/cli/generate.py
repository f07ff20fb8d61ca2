"""`meshbox generate private-key`, as Headscale spells it."""

from __future__ import annotations

import secrets

import click

from meshbox.cli.group import Group
from meshbox.cli.options import Options
from meshbox.cli.output import write_data

generate = Group("generate", help="Make keys.")


@generate.add(name="private-key")
@click.pass_obj
def private_key(options: Options) -> None:
    """Print a new private key in the form of the key files."""
    text = "privkey:" + secrets.token_bytes(32).hex()
    if options.is_for_machines:
        write_data(options, {"private_key": text})
    else:
        click.echo(text)
