"""`meshbox preauthkeys`: keys with which devices join without asking anybody."""

from __future__ import annotations

import click

from meshbox.cli.ask import confirm
from meshbox.cli.client import connect
from meshbox.cli.group import Group
from meshbox.cli.kinds import AUTH_KEYS, owner
from meshbox.cli.lives import expiry
from meshbox.cli.nodes import split_tags
from meshbox.cli.options import Options
from meshbox.cli.output import Json, say, write_data, write_list

preauthkeys = Group("preauthkeys", help="Create, list, expire and delete pre-auth keys.")

WHICH = "A key is named by its id, its prefix, or what `preauthkeys list` shows of it."


@preauthkeys.add("ls", "show", name="list")
@click.option("-u", "--user", default="", help="Only keys of this user.")
@click.pass_obj
def list_keys(options: Options, user: str) -> None:
    """List pre-auth keys. Their secrets are not kept."""
    write_list(options, AUTH_KEYS, connect(options).get("preauthkey", user=user)["preAuthKeys"])


@preauthkeys.add("new", "c", name="create")
@click.option("-u", "--user", default="", help="Whose nodes the devices will be.")
@click.option("--reusable", is_flag=True, help="For any number of devices instead of one.")
@click.option("--ephemeral", is_flag=True, help="For devices that are deleted when they go away.")
@click.option("--preapproved", is_flag=True, help="The devices need no approval (see node.approval).")
@click.option(
    "-e", "--expiration", default="1h", show_default=True, metavar="DURATION", help="As 24h, 90d or never."
)
@click.option(
    "--tags", multiple=True, help="tag:name for devices that belong to no user; with commas between."
)
@click.pass_obj
def create_key(options: Options, /, user: str, expiration: str, tags: tuple[str, ...], **flags: bool) -> None:
    """Create a pre-auth key and print it. It is not shown again.

    KEY=$(meshbox preauthkeys create --user ana) holds the key alone.
    """
    if not user and not tags:
        raise click.UsageError("say whose the devices will be: --user NAME, or --tags tag:NAME for nobody's")
    wish: Json = {**flags, "aclTags": split_tags(tags)}
    wish |= {"user": user or "0", "expiration": expiry(expiration)}
    key = connect(options).post("preauthkey", body=wish)["preAuthKey"]
    if options.is_for_machines:
        write_data(options, key)
    else:
        click.echo(key["key"])
    uses = "any number of devices" if key["reusable"] else "one device"
    say(
        options,
        f"for {uses} of {owner(key)}, until {key['expiration'] or 'it is revoked'}; it is not shown again",
    )


@preauthkeys.add("revoke", "exp", "e", name="expire", epilog=WHICH)
@click.argument("key", required=False)
@click.option("-i", "--identifier", "--id", "identifier", default="", hidden=True)
@click.option("-u", "--user", default="", hidden=True)
@click.pass_obj
def expire_key(options: Options, key: str | None, identifier: str, user: str) -> None:
    """Make a key worthless now. Devices that joined with it stay."""
    wanted = _wanted(key, identifier, "expire")
    connect(options).post("preauthkey", "expire", body={"id": wanted})
    say(options, f"pre-auth key {masked(wanted)} no longer lets anybody in")


@preauthkeys.add("del", "rm", "d", name="delete", epilog=WHICH)
@click.argument("key", required=False)
@click.option("-i", "--identifier", "--id", "identifier", default="", hidden=True)
@click.pass_obj
def delete_key(options: Options, key: str | None, identifier: str) -> None:
    """Delete a key. Devices that joined with it stay."""
    wanted = _wanted(key, identifier, "delete")
    confirm(options, f"Delete pre-auth key {masked(wanted)}?")
    connect(options).delete("preauthkey", id=wanted)
    say(options, f"deleted pre-auth key {masked(wanted)}")


def masked(text: str) -> str:
    """Never repeat a whole key: somebody may have pasted one."""
    return "-".join([*text.split("-")[:3], "***"]) if len(text) > 24 else text


def _wanted(key: str | None, identifier: str, verb: str) -> str:
    wanted = key or identifier
    if not wanted:
        raise click.UsageError(f"wants a key: meshbox preauthkeys {verb} ID")
    return wanted
