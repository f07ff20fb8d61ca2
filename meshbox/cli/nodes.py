"""`meshbox nodes`: the devices of the tailnet."""

from __future__ import annotations

import click

from meshbox.cli.ask import confirm
from meshbox.cli.client import Api, connect
from meshbox.cli.completing import complete_nodes
from meshbox.cli.group import Group
from meshbox.cli.kinds import NODES, call_node, state
from meshbox.cli.lives import expiry
from meshbox.cli.options import Options
from meshbox.cli.output import Json, write_change, write_list, write_one

nodes = Group("nodes", help="List, show, rename, tag, expire and delete nodes.")

WHICH = "A node is named by its name, id, address or full name."

node_argument = click.argument("node", required=False, shell_complete=complete_nodes)
nodes_argument = click.argument("node", nargs=-1, shell_complete=complete_nodes)
id_option = click.option("-i", "--identifier", "--id", "identifier", default="", hidden=True)


@nodes.add("ls", name="list")
@click.option("-u", "--user", default="", help="Only nodes of this user.")
@click.option("-t", "--tag", default="", help="Only nodes with this tag.")
@click.option(
    "--state",
    "wanted",
    type=click.Choice(["online", "offline", "expired", "waiting"]),
    help="Only such nodes.",
)
@click.pass_obj
def list_nodes(options: Options, user: str, tag: str, wanted: str | None) -> None:
    """List nodes."""
    found = connect(options).get("node", user=user)["nodes"]
    if tag:
        found = [node for node in found if tag in node["tags"] or f"tag:{tag}" in node["tags"]]
    if wanted:
        found = [node for node in found if state(node) == wanted]
    write_list(options, NODES, found)


@nodes.add(name="show", epilog=WHICH)
@node_argument
@id_option
@click.pass_obj
def show_node(options: Options, node: str | None, identifier: str) -> None:
    """Show everything about one node."""
    wanted = _one(node, identifier, "show NODE")
    write_one(options, NODES, connect(options).get("node", wanted)["node"])


@nodes.add("mv", name="rename", epilog=WHICH)
@click.argument("names", nargs=-1, metavar="NODE NEW_NAME", shell_complete=complete_nodes)
@id_option
@click.pass_obj
def rename_node(options: Options, names: tuple[str, ...], identifier: str) -> None:
    """Give a node another name, which stays when the device's host name changes."""
    if identifier:
        names = (identifier, *names)
    if len(names) != 2:
        raise click.UsageError("wants the node and the new name: meshbox nodes rename NODE NEW_NAME")
    node = connect(options).post("node", names[0], "rename", names[1])["node"]
    write_change(options, NODES, node, f"{names[0]} is now {node['dnsName']}")


@nodes.add("exp", "e", name="expire", epilog=WHICH)
@nodes_argument
@id_option
@click.option(
    "--in", "after", default="", metavar="DURATION", help="Not now, but after this time, as 12h or 30d."
)
@click.option("-e", "--expiry", "at", default="", metavar="TIME", help="Not now, but then (RFC 3339).")
@click.option("-d", "--disable", is_flag=True, help="Never: the node's key does not expire any more.")
@click.pass_obj
def expire_node(
    options: Options, node: tuple[str, ...], identifier: str, after: str, at: str, disable: bool
) -> None:
    """Let the key of nodes expire: they are cut off until somebody logs in on them again."""
    if sum(map(bool, (after, at, disable))) > 1:
        raise click.UsageError("--in, --expiry and --disable exclude each other")
    api = connect(options)
    found = _several(api, node, identifier, "expire NODE...")
    body: Json = {"disableExpiry": True} if disable else {}
    if after or at:
        body = {"expiry": at or expiry(after, "--in")}
    if not body:
        confirm(options, f"Log out {_called(found)}?", unattended=True)
    for one in found:
        changed = api.post("node", one["id"], "expire", body=body)["node"]
        when = changed["expiry"] or "never"
        write_change(
            options,
            NODES,
            changed,
            f"{call_node(changed)} expires: {when}" if body else f"logged out {call_node(changed)}",
        )


@nodes.add(name="logout", epilog=WHICH)
@nodes_argument
@id_option
@click.pass_context
def log_out_node(ctx: click.Context, node: tuple[str, ...], identifier: str) -> None:
    """Log nodes out now; the same as expire."""
    ctx.invoke(expire_node, node=node, identifier=identifier, after="", at="", disable=False)


@nodes.add(name="renew", epilog=WHICH)
@nodes_argument
@id_option
@click.option("--for", "lasts", default="", metavar="DURATION", help="For this long, as 12h or 30d.")
@click.pass_obj
def renew_node(options: Options, node: tuple[str, ...], identifier: str, lasts: str) -> None:
    """Let the key of nodes live on, from now and as long as after a new login (node.expiry).

    An expired node comes back by itself: nobody has to log in on the device.
    """
    api = connect(options)
    found = _several(api, node, identifier, "renew NODE...")
    body: Json = {"expiry": expiry(lasts, "--for")} if lasts else {}
    for one in found:
        changed = api.post("node", one["id"], "renew", body=body)["node"]
        write_change(options, NODES, changed, f"{call_node(changed)} expires: {changed['expiry'] or 'never'}")


@nodes.add(name="approve", epilog=WHICH)
@nodes_argument
@id_option
@click.pass_obj
def approve_node(options: Options, node: tuple[str, ...], identifier: str) -> None:
    """Let nodes that wait for approval in (see node.approval)."""
    api = connect(options)
    for one in _several(api, node, identifier, "approve NODE..."):
        changed = api.post("node", one["id"], "approve")["node"]
        sentence = "was already approved" if one["approved"] else "is approved"
        write_change(options, NODES, changed, f"{call_node(changed)} {sentence}")


@nodes.add("set-address", name="set-ip", epilog=WHICH)
@click.argument("words", nargs=-1, metavar="NODE ADDRESS", shell_complete=complete_nodes)
@id_option
@click.pass_obj
def set_address(options: Options, words: tuple[str, ...], identifier: str) -> None:
    """Choose the IPv4 or IPv6 address of a node, from the tailnet's prefixes."""
    if identifier:
        words = (identifier, *words)
    if len(words) != 2:
        raise click.UsageError("wants the node and the address: meshbox nodes set-ip NODE 100.64.0.7")
    changed = connect(options).post("node", words[0], "ip", body={"address": words[1]})["node"]
    has = " and ".join(changed["ipAddresses"])
    write_change(options, NODES, changed, f"node {changed['givenName']} now has {has}")


@nodes.add("rm", "del", name="delete", epilog=WHICH)
@nodes_argument
@id_option
@click.pass_obj
def delete_node(options: Options, node: tuple[str, ...], identifier: str) -> None:
    """Delete nodes. A device that was deleted has to join again, as a new node."""
    api = connect(options)
    found = _several(api, node, identifier, "delete NODE...")
    confirm(options, f"Delete {_called(found)}?")
    for one in found:
        api.delete("node", one["id"])
        write_change(options, NODES, one, f"deleted {call_node(one)}")


@nodes.add("tags", "t", name="tag", epilog=WHICH)
@node_argument
@id_option
@click.option("-t", "--tags", "tags", multiple=True, help="tag:name; several times or with commas between.")
@click.pass_obj
def tag_node(options: Options, node: str | None, identifier: str, tags: tuple[str, ...]) -> None:
    """Give a node exactly these tags. It then belongs to no user, and its key does not expire."""
    wanted = _one(node, identifier, "tag NODE --tags tag:a,tag:b")
    changed = connect(options).post("node", wanted, "tags", body={"tags": split_tags(tags)})["node"]
    write_change(options, NODES, changed, f"{call_node(changed)} has the tags {', '.join(changed['tags'])}")


@nodes.add("approveroutes", name="approve-routes", hidden=True)
@id_option
@click.option("-r", "--routes", "wanted", multiple=True)
@click.pass_obj
def approve_routes(options: Options, identifier: str, wanted: tuple[str, ...]) -> None:
    """Let a node carry exactly these routes, none when none is named (today: meshbox routes approve)."""
    node = _one(None, identifier, "approve-routes -i NODE -r ROUTES")
    listed = [route.strip() for text in wanted for route in text.split(",") if route.strip()]
    changed = connect(options).post("node", node, "approve_routes", body={"routes": listed})["node"]
    approved = ", ".join(changed["approvedRoutes"]) or "nothing"
    write_change(options, NODES, changed, f"{call_node(changed)} may carry {approved}")


@nodes.add(name="move", epilog=WHICH)
@node_argument
@id_option
@click.option("-u", "--user", required=True, help="Whose node it will be.")
@click.pass_obj
def move_node(options: Options, node: str | None, identifier: str, user: str) -> None:
    """Give a node to a user. Its tags go."""
    wanted = _one(node, identifier, "move NODE --user USER")
    changed = connect(options).post("node", wanted, "user", body={"user": user})["node"]
    write_change(options, NODES, changed, f"{call_node(changed)} now belongs to {changed['user']['name']}")


@nodes.add(name="register", hidden=True)
@click.option("-u", "--user", required=True)
@click.option("-k", "--key", required=True)
@click.pass_obj
def register_node(options: Options, user: str, key: str) -> None:
    """Let a waiting device in (today: meshbox auth approve)."""
    node = connect(options).post("auth", "register", body={"authId": key, "user": user})["node"]
    write_change(options, NODES, node, f"let in {call_node(node)}")


def split_tags(given: tuple[str, ...]) -> list[str]:
    """`--tags a,tag:b --tags tag:c` as the API wants them."""
    words = [word.strip() for text in given for word in text.split(",") if word.strip()]
    return [word if word.startswith("tag:") else f"tag:{word}" for word in words]


def _one(node: str | None, identifier: str, usage: str) -> str:
    wanted = node or identifier
    if not wanted or (node and identifier):
        raise click.UsageError(f"wants one node: meshbox nodes {usage}")
    return wanted


def _several(api: Api, given: tuple[str, ...], identifier: str, usage: str) -> list[Json]:
    """All of them, looked up before anything is done to one."""
    wanted = [*given, identifier] if identifier else list(given)
    if not wanted:
        raise click.UsageError(f"wants a node: meshbox nodes {usage}")
    found = [api.get("node", one)["node"] for one in wanted]
    return list({one["id"]: one for one in found}.values())


def _called(found: list[Json]) -> str:
    return ", ".join(map(call_node, found))
