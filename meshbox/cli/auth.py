"""`meshbox auth`: devices that wait for somebody to let them in."""

from __future__ import annotations

import click

from meshbox.cli.ask import confirm
from meshbox.cli.client import connect
from meshbox.cli.completing import complete_registrations
from meshbox.cli.group import Group
from meshbox.cli.kinds import NODES, REGISTRATIONS, call_node
from meshbox.cli.options import Options
from meshbox.cli.output import say, write_change, write_list

auth = Group("auth", help="List devices that wait, let them in, or reject them.")

WHICH = "REGISTRATION is the id that `auth list` shows, or the whole link from the device."

which_argument = click.argument(
    "registration", required=False, metavar="REGISTRATION", shell_complete=complete_registrations
)
id_option = click.option("--auth-id", default="", hidden=True)


@auth.add("ls", name="list")
@click.pass_obj
def list_waiting(options: Options) -> None:
    """List the devices that wait for approval."""
    write_list(options, REGISTRATIONS, connect(options).get("auth")["registrations"])


@auth.add("register", name="approve", epilog=WHICH)
@which_argument
@id_option
@click.option("-u", "--user", default="", help="Whose device it will be.")
@click.pass_obj
def approve(options: Options, registration: str | None, auth_id: str, user: str) -> None:
    """Let a waiting device in, as a node of a user."""
    if not user:
        raise click.UsageError(
            "say whose device it will be: --user NAME (`meshbox users list` shows the names)"
        )
    body = {"authId": _wanted(registration, auth_id, "approve"), "user": user}
    node = connect(options).post("auth", "approve", body=body)["node"]
    write_change(options, NODES, node, f"let in {call_node(node)}")


@auth.add(name="reject", epilog=WHICH)
@which_argument
@id_option
@click.pass_obj
def reject(options: Options, registration: str | None, auth_id: str) -> None:
    """Refuse a waiting device."""
    wanted = _wanted(registration, auth_id, "reject")
    confirm(options, f"Reject the device that waits as {wanted}?", unattended=True)
    connect(options).post("auth", "reject", body={"authId": wanted})
    say(options, "rejected; the device was told")


def _wanted(registration: str | None, auth_id: str, verb: str) -> str:
    wanted = registration or auth_id
    if not wanted:
        raise click.UsageError(
            f"wants a registration: meshbox auth {verb} ID (`meshbox auth list` shows them)"
        )
    return wanted
