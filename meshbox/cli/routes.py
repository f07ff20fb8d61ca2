"""`meshbox routes`: networks that nodes carry for others, exit nodes among them."""

from __future__ import annotations

import click

from meshbox.cli.client import connect
from meshbox.cli.completing import complete_nodes
from meshbox.cli.group import Group
from meshbox.cli.kinds import NODES, ROUTES, call_node
from meshbox.cli.options import Options
from meshbox.cli.output import Json, write_change, write_list

routes = Group("routes", help="List, approve and withdraw the routes that nodes offer.")

WHICH = "ROUTE is a network as 10.0.0.0/24, or `exit` for an exit node's two."

route_arguments = click.argument("route", nargs=-1)
node_argument = click.argument("node", shell_complete=complete_nodes)


@routes.add("ls", name="list")
@click.option("-n", "--node", default="", shell_complete=complete_nodes, help="Only those of this node.")
@click.pass_obj
def list_routes(options: Options, node: str) -> None:
    """List routes: who offers them, who carries them now, and which wait for approval.

    Of several routers for one network one is primary; the others stand by and take over when it goes, or
    when it is connected but silent (node.routes.ha.probe_interval).
    """
    api = connect(options)
    found = api.get("route")["routes"]
    if node:
        wanted = api.get("node", node)["node"]["id"]
        found = [one for one in found if one["nodeId"] == wanted]
    write_list(options, ROUTES, found)


@routes.add("enable", name="approve", epilog=WHICH)
@node_argument
@route_arguments
@click.pass_obj
def approve(options: Options, node: str, route: tuple[str, ...]) -> None:
    """Let a node carry routes; all that it offers when none is named."""
    changed = connect(options).post("route", "approve", body={"node": node, "routes": list(route)})["node"]
    write_change(options, NODES, changed, f"{call_node(changed)} may carry {_routes_of(changed)}")


@routes.add("disable", name="withdraw", epilog=WHICH)
@node_argument
@route_arguments
@click.pass_obj
def withdraw(options: Options, node: str, route: tuple[str, ...]) -> None:
    """Let a node carry routes no longer; none at all when none is named."""
    changed = connect(options).post("route", "withdraw", body={"node": node, "routes": list(route)})["node"]
    write_change(options, NODES, changed, f"{call_node(changed)} may carry {_routes_of(changed)}")


def _routes_of(node: Json) -> str:
    return ", ".join(node["approvedRoutes"]) or "nothing"
