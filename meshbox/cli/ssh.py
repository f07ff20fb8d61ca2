"""`meshbox ssh`: logins that the policy wants a person to confirm."""

from __future__ import annotations

import click

from meshbox.cli.client import connect
from meshbox.cli.completing import complete_logins
from meshbox.cli.group import Group
from meshbox.cli.kinds import LOGINS
from meshbox.cli.options import Options
from meshbox.cli.output import write_change, write_list

ssh = Group("ssh", help="List logins by Tailscale SSH that wait, confirm them, or reject them.")

WHICH = "LOGIN is the id that `ssh list` shows, or the whole link from the terminal."

login_argument = click.argument("login", shell_complete=complete_logins)


@ssh.add("ls", name="list")
@click.pass_obj
def list_waiting(options: Options) -> None:
    """List the logins that wait for confirmation."""
    write_list(options, LOGINS, connect(options).get("ssh")["logins"])


@ssh.add(name="approve", epilog=WHICH)
@login_argument
@click.pass_obj
def approve(options: Options, login: str) -> None:
    """Confirm a login. It is not asked about again for the checkPeriod of the rule."""
    decided = connect(options).post("ssh", "approve", body={"id": login})["login"]
    write_change(options, LOGINS, decided, f"let in {decided['what']}")


@ssh.add(name="reject", epilog=WHICH)
@login_argument
@click.pass_obj
def reject(options: Options, login: str) -> None:
    """Turn a login away."""
    decided = connect(options).post("ssh", "reject", body={"id": login})["login"]
    write_change(options, LOGINS, decided, f"rejected {decided['what']}")
