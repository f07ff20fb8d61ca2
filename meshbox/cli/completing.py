"""Names of real things for the shell's completion, asked of the server; silence when there is none."""

from __future__ import annotations

import click

from meshbox.cli.client import connect
from meshbox.cli.options import Options
from meshbox.cli.text import clean
from meshbox.errors import MeshboxError

PATIENCE = 1.0
"""Seconds. Somebody waits with a finger on the tab key."""


def complete_nodes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return _matching("node", "nodes", "givenName", ctx, incomplete)


def complete_registrations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return _matching("auth", "registrations", "authId", ctx, incomplete)


def complete_logins(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    return _matching("ssh", "logins", "id", ctx, incomplete)


def _matching(path: str, key: str, field: str, ctx: click.Context, incomplete: str) -> list[str]:
    options = ctx.obj if isinstance(ctx.obj, Options) else Options()
    try:
        items = connect(options, timeout=PATIENCE).get(path)[key]
    except MeshboxError:
        return []
    return [clean(str(item[field])) for item in items if str(item[field]).startswith(incomplete)]
