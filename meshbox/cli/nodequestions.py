"""`meshbox nodes ping`, `ask` and `attributes`: what a device says about itself, and others about it."""

from __future__ import annotations

import click

from meshbox.cli.client import connect
from meshbox.cli.completing import complete_nodes
from meshbox.cli.nodes import WHICH, nodes
from meshbox.cli.options import Options
from meshbox.cli.output import Column, Json, Kind, say, write_data, write_list

PATIENCE = 30.0

TOPICS = (
    "health", "netmap", "metrics", "prefs", "update", "start-update", "identity", "services", "routes",
    "certificate", "goroutines", "echo",
)  # fmt: skip

ATTRIBUTES = Kind(
    (Column("NAME", lambda one: one["name"]), Column("VALUE", lambda one: _written(one["value"]))),
    name=lambda one: str(one["name"]),
)


def _written(value: object) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


@nodes.add(name="ping", epilog=WHICH)
@click.argument("node", shell_complete=complete_nodes)
@click.option("--to", default="", shell_complete=complete_nodes, help="Let the node ping this one.")
@click.option("--via", default="disco", show_default=True, help="disco, TSMP, ICMP or peerapi.")
@click.pass_obj
def ping(options: Options, node: str, to: str, via: str) -> None:
    """Ask a node for a sign of life, or let it ping another one.

    The client answers by itself; nobody at the device notices.
    """
    body = {"to": to, "via": via} if to else {}
    answer = connect(options, PATIENCE).post("node", node, "ping", body=body)
    if options.is_for_machines:
        write_data(options, answer)
    else:
        milliseconds = answer["seconds"] * 1000
        click.echo(f"{answer['node']} reached {answer['to']} in {milliseconds:.0f} ms (via {answer['via']})")


@nodes.add(name="ask", epilog=WHICH)
@click.argument("node", shell_complete=complete_nodes)
@click.argument("what", metavar="WHAT", type=click.Choice(TOPICS))
@click.argument("argument", required=False, default="")
@click.pass_obj
def ask(options: Options, node: str, what: str, argument: str) -> None:
    """Ask the client of a node about itself. Needs c2n.enabled, and stands in the audit.

    \b
    health        what it holds to be wrong        metrics       its counters
    netmap        its network map                  prefs         its settings
    update        can it update itself             start-update  let it do so
    identity      serial numbers, MAC addresses    services      services it offers
    routes        routes of an app connector       goroutines    for a bug report
    certificate DOMAIN                             echo          nothing
    """
    body: Json = {"what": what, "argument": argument}
    answer = connect(options, PATIENCE).post("node", node, "ask", body=body)
    if options.is_for_machines:
        write_data(options, answer)
    else:
        click.echo(answer["text"].rstrip("\n"))


@nodes.add("attrs", name="attributes", epilog=WHICH)
@click.argument("node", shell_complete=complete_nodes)
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Text, a number, true or false.")
@click.option("--unset", "gone", multiple=True, metavar="custom:NAME", help="Take an attribute away.")
@click.pass_obj
def attributes(options: Options, node: str, given: tuple[str, ...], gone: tuple[str, ...]) -> None:
    """Show and set the attributes of a node that device postures ask for."""
    api = connect(options)
    if given or gone:
        wish: Json = {}
        for one in given:
            name, equals, value = one.partition("=")
            if not equals:
                raise click.UsageError(f"--set wants custom:NAME=VALUE, found {one!r}")
            wish[name] = _typed(value)
        wish |= dict.fromkeys(gone)
        answer = api.post("node", node, "attributes", body={"attributes": wish})
        say(options, f"changed the attributes of node {answer['node']}")
    else:
        answer = api.get("node", node, "attributes")
    if options.is_for_machines:
        write_data(options, answer["attributes"])
    else:
        rows = [{"name": name, "value": value} for name, value in answer["attributes"].items()]
        write_list(options, ATTRIBUTES, rows)


def _typed(text: str) -> str | bool | int | float:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
