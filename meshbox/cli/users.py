"""`meshbox users`: who nodes belong to."""

from __future__ import annotations

import click

from meshbox.cli.ask import confirm
from meshbox.cli.client import connect
from meshbox.cli.group import Group
from meshbox.cli.kinds import USERS, call_user
from meshbox.cli.options import Options
from meshbox.cli.output import write_change, write_list, write_one

ROLES = ("owner", "admin", "it-admin", "network-admin", "billing-admin", "auditor", "member")

users = Group("users", help="Create, list, rename and delete users, and say what they are.")


@users.add("ls", name="list")
@click.option("-n", "--name", default="", help="Only the user with this name.")
@click.option("-e", "--email", default="", help="Only users with this e-mail address.")
@click.option("-i", "--identifier", default="", hidden=True)
@click.pass_obj
def list_users(options: Options, name: str, email: str, identifier: str) -> None:
    """List users."""
    found = connect(options).get("user", name=name, email=email, id=identifier)["users"]
    write_list(options, USERS, found)


@users.add(name="show")
@click.argument("user")
@click.pass_obj
def show_user(options: Options, user: str) -> None:
    """Show one user."""
    write_one(options, USERS, connect(options).get("user", user)["user"])


@users.add("new", "c", name="create")
@click.argument("name")
@click.option("-d", "--display-name", default="", help="Name as people write it.")
@click.option("-e", "--email", default="", help="E-mail address, only a label.")
@click.option("-p", "--picture-url", default="", help="Address of a picture.")
@click.pass_obj
def create_user(options: Options, name: str, display_name: str, email: str, picture_url: str) -> None:
    """Create a user."""
    wish = {"name": name, "displayName": display_name, "email": email, "pictureUrl": picture_url}
    user = connect(options).post("user", body=wish)["user"]
    write_change(options, USERS, user, f"created {call_user(user)}")


@users.add("mv", name="rename")
@click.argument("user", required=False)
@click.argument("new_name", required=False)
@click.option("-i", "--identifier", default="", hidden=True)
@click.option("-n", "--name", "old_name", default="", hidden=True)
@click.option("-r", "--new-name", "new", default="", hidden=True)
@click.pass_obj
def rename_user(
    options: Options, user: str | None, new_name: str | None, identifier: str, old_name: str, new: str
) -> None:
    """Rename a user. The nodes stay with it."""
    wanted = user or identifier or old_name
    name = new_name or new
    if not wanted or not name:
        raise click.UsageError("wants the user and the new name: meshbox users rename USER NEW_NAME")
    renamed = connect(options).post("user", wanted, "rename", name)["user"]
    write_change(options, USERS, renamed, f"renamed {wanted} to {renamed['name']}")


@users.add(name="set-role")
@click.argument("user")
@click.argument("role", type=click.Choice(ROLES))
@click.pass_obj
def set_role(options: Options, user: str, role: str) -> None:
    """Say what a user is in the tailnet, for rules that name autogroup:admin and its like."""
    changed = connect(options).post("user", user, "role", body={"role": role})["user"]
    write_change(options, USERS, changed, f"{changed['name']} is {role} now")


@users.add(name="set-groups")
@click.argument("user")
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
@click.pass_obj
def set_groups(options: Options, user: str, groups: tuple[str, ...]) -> None:
    """Put a user into these groups (group:ops ...) and out of all others.

    They count in the policy beside the groups that it defines itself. Without a GROUP the user is in none.
    """
    changed = connect(options).post("user", user, "groups", body={"groups": list(groups)})["user"]
    said = " ".join(changed["groups"]) or "no group"
    write_change(options, USERS, changed, f"{changed['name']} is in {said} now")


@users.add(name="link")
@click.argument("user")
@click.argument("subject")
@click.option(
    "--issuer", default="", metavar="URL", help="The provider; without it the server's own (oidc.issuer)."
)
@click.pass_obj
def link_user(options: Options, user: str, subject: str, issuer: str) -> None:
    """Say who signs in as this user: SUBJECT is the person at the provider.

    So a user who was made by hand, or came by another provider, keeps devices and rules. The subject stands
    in the log when the person signs in (journalctl MESHBOX_EVENT=signed_in).
    """
    wish = {"subject": subject, "issuer": issuer}
    linked = connect(options).post("user", user, "identity", body=wish)["user"]
    said = f"{subject} at {linked['provider']} signs in as {linked['name']} now"
    write_change(options, USERS, linked, said)


@users.add(name="unlink")
@click.argument("user")
@click.pass_obj
def unlink_user(options: Options, user: str) -> None:
    """Have nobody sign in as this user any more. Devices stay."""
    unlinked = connect(options).post("user", user, "identity", body={"subject": ""})["user"]
    write_change(options, USERS, unlinked, f"nobody signs in as {unlinked['name']} any more")


@users.add("destroy", "rm", "del", name="delete")
@click.argument("user", required=False)
@click.option("-i", "--identifier", default="", hidden=True)
@click.option("-n", "--name", default="", hidden=True)
@click.pass_obj
def delete_user(options: Options, user: str | None, identifier: str, name: str) -> None:
    """Delete a user that has no nodes, with the user's pre-auth keys."""
    wanted = user or identifier or name
    if not wanted:
        raise click.UsageError("wants the user: meshbox users delete USER")
    api = connect(options)
    found = api.get("user", wanted)["user"]
    confirm(options, f"Delete {call_user(found)} and its pre-auth keys?")
    api.delete("user", found["id"])
    write_change(options, USERS, found, f"deleted {call_user(found)}")
