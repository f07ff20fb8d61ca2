"""`meshbox dns`: the names and resolvers that nodes have."""

from __future__ import annotations

import click

from meshbox.cli.client import connect
from meshbox.cli.completing import complete_nodes
from meshbox.cli.group import Group
from meshbox.cli.options import Options
from meshbox.cli.output import Column, Json, Kind, write_data, write_one

dns = Group("dns", help="Show what names and resolvers nodes have, and ask a name as one of them.")

as_option = click.option(
    "--as", "node", default="", help="As this node has it.", shell_complete=complete_nodes
)


def _resolvers(listed: object) -> list[str]:
    return [str(one["Addr"]) for one in listed] if isinstance(listed, list) else []


def _split(answer: Json) -> list[str]:
    routes = answer["config"].get("Routes") or {}
    return [f"{domain} -> {' '.join(_resolvers(to))}" for domain, to in routes.items() if to]


CONFIG = Kind(
    (
        Column("NODE", lambda answer: answer["node"] or "any without overrides"),
        Column("BASE DOMAIN", lambda answer: answer["baseDomain"]),
        Column("MAGIC DNS", lambda answer: bool(answer["config"].get("Proxied"))),
        Column("SEARCH DOMAINS", lambda answer: answer["config"].get("Domains")),
        Column("NAMESERVERS", lambda answer: _resolvers(answer["config"].get("Resolvers"))),
        Column("FALLBACK", lambda answer: _resolvers(answer["config"].get("FallbackResolvers"))),
        Column("SPLIT", _split),
        Column(
            "RECORDS",
            lambda answer: [
                f"{record['Name']} {record['Value']}" for record in answer["config"].get("ExtraRecords") or []
            ],
        ),
    ),
    name=lambda answer: str(answer["node"]),
)

ANSWER = Kind(
    (
        Column("NAME", lambda answer: answer["name"]),
        Column("TYPE", lambda answer: answer["type"]),
        Column("OUTCOME", lambda answer: answer["outcome"]),
        Column("ANSWER", lambda answer: answer["values"]),
        Column("ASKS", lambda answer: answer["resolvers"]),
        Column("WHY", lambda answer: answer["why"]),
    ),
    name=lambda answer: " ".join(answer["values"]),
)


@dns.add("get", name="show")
@as_option
@click.pass_obj
def show(options: Options, node: str) -> None:
    """Show the DNS settings that clients have.

    With --as those of one node, with the overrides for it, its user and its tags.
    """
    answer = connect(options).get("dns", **{"as": node})
    if options.is_for_machines:
        write_data(options, answer)
    else:
        write_one(options, CONFIG, answer)


@dns.add("resolve", name="query")
@click.argument("name")
@as_option
@click.option("-t", "--type", "kind", default="A", show_default=True, help="A, AAAA or PTR.")
@click.pass_obj
def query(options: Options, name: str, node: str, kind: str) -> None:
    """Say what a node's client answers to a name, and why.

    The client is not asked: this is what follows from what it was told. For PTR the name is an address.
    """
    if not node:
        raise click.UsageError("wants the node that asks: meshbox dns query NAME --as NODE")
    answer = connect(options).get("dns", "query", **{"name": name, "as": node, "type": kind})
    write_one(options, ANSWER, answer)
