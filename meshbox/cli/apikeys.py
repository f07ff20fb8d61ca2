"""`meshbox apikeys`: keys for administration from elsewhere."""

from __future__ import annotations

import click

from meshbox.cli.ask import confirm
from meshbox.cli.client import connect
from meshbox.cli.group import Group
from meshbox.cli.kinds import API_KEYS
from meshbox.cli.lives import expiry
from meshbox.cli.options import Options
from meshbox.cli.output import say, write_data, write_list
from meshbox.cli.preauthkeys import masked

apikeys = Group("apikeys", help="Create, list, expire and delete API keys.")

WHICH = "A key is named by its prefix or its id."

prefix_option = click.option("-p", "--prefix", default="", hidden=True)
id_option = click.option("-i", "--identifier", "--id", "identifier", default="", hidden=True)


@apikeys.add("ls", "show", name="list")
@click.pass_obj
def list_keys(options: Options) -> None:
    """List API keys. Their secrets are not kept."""
    write_list(options, API_KEYS, connect(options).get("apikey")["apiKeys"])


@apikeys.add("new", "c", name="create")
@click.option(
    "-e", "--expiration", default="90d", show_default=True, metavar="DURATION", help="At most a year."
)
@click.option("-d", "--description", default="", help="What it is for.")
@click.pass_obj
def create_key(options: Options, expiration: str, description: str) -> None:
    """Create an API key and print it. It is not shown again; who has it is administrator."""
    ends = expiry(expiration)
    if ends is None:
        raise click.UsageError("an API key must expire; give at most 365d")
    made = connect(options).post("apikey", body={"expiration": ends, "description": description})
    if options.is_for_machines:
        write_data(options, {**made["details"], "key": made["apiKey"]})
    else:
        click.echo(made["apiKey"])
    say(options, f"administers this server until {made['details']['expiration']}; it is not shown again")


@apikeys.add("revoke", "exp", "e", name="expire", epilog=WHICH)
@click.argument("key", required=False)
@prefix_option
@id_option
@click.pass_obj
def expire_key(options: Options, key: str | None, prefix: str, identifier: str) -> None:
    """Make a key worthless now."""
    wanted = _wanted(key, prefix, identifier)
    confirm(options, f"Revoke API key {masked(wanted)}?", unattended=True)
    connect(options).post("apikey", "expire", body={"prefix": wanted})
    say(options, f"API key {masked(wanted)} no longer opens anything")


@apikeys.add("remove", "del", "rm", name="delete", epilog=WHICH)
@click.argument("key", required=False)
@prefix_option
@id_option
@click.pass_obj
def delete_key(options: Options, key: str | None, prefix: str, identifier: str) -> None:
    """Delete a key."""
    wanted = _wanted(key, prefix, identifier)
    confirm(options, f"Delete API key {masked(wanted)}?")
    connect(options).delete("apikey", wanted)
    say(options, f"deleted API key {masked(wanted)}")


def _wanted(key: str | None, prefix: str, identifier: str) -> str:
    wanted = key or prefix or identifier
    if not wanted:
        raise click.UsageError("wants a key: its prefix or id, as `meshbox apikeys list` shows them")
    return wanted
