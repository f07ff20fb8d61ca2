"""`meshbox notices`: what clients show their users."""

from __future__ import annotations

import click

from meshbox.cli.client import connect
from meshbox.cli.group import Group
from meshbox.cli.options import Options
from meshbox.cli.output import Column, Kind, say, write_change, write_list

notices = Group("notices", help="List, set and delete notices that clients show their users.")

NOTICES = Kind(
    (
        Column("NAME", lambda notice: notice["name"]),
        Column("SEVERITY", lambda notice: notice["severity"]),
        Column("TITLE", lambda notice: notice["title"]),
        Column("FOR", lambda notice: notice["targets"] or "everybody"),
        Column("SINCE", lambda notice: notice["createdAt"], is_time=True),
        Column("TEXT", lambda notice: notice["text"], is_wide=True),
        Column("LINK", lambda notice: notice["link"], is_wide=True),
    ),
    name=lambda notice: str(notice["name"]),
)


@notices.add("ls", "show", name="list")
@click.pass_obj
def list_notices(options: Options) -> None:
    """List the notices that are shown now."""
    write_list(options, NOTICES, connect(options).get("notice")["notices"])


@notices.add("put", "create", name="set")
@click.argument("name")
@click.argument("title")
@click.option("--text", default="", help="What there is to say beyond the title.")
@click.option("--severity", default="medium", show_default=True, help="low, medium or high.")
@click.option("--link", default="", metavar="URL", help="Where its button leads.")
@click.option("--label", default="", help="What stands on the button.")
@click.option("--for", "targets", multiple=True, metavar="TARGET", help="user:NAME, node:NAME or tag:NAME.")
@click.pass_obj
def set_notice(options: Options, /, **wish: str | tuple[str, ...]) -> None:
    """Show a notice in clients at once, in place of the one of this name.

    It stands among the client's health messages (`tailscale status`) until it is deleted.
    """
    body = {**wish, "targets": list(wish["targets"])}
    notice = connect(options).post("notice", body=body)["notice"]
    write_change(options, NOTICES, notice, f"notice {notice['name']} is shown now")


@notices.add("rm", "del", name="delete")
@click.argument("name")
@click.pass_obj
def delete_notice(options: Options, name: str) -> None:
    """Take a notice away."""
    connect(options).delete("notice", name)
    say(options, f"notice {name} is no longer shown")
