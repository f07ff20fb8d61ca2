"""Asking before what cannot be taken back."""

from __future__ import annotations

import sys

import click

from meshbox.cli.options import Options
from meshbox.cli.text import clean
from meshbox.errors import Refused


def confirm(options: Options, question: str, *, unattended: bool = False) -> None:
    """Go on only after a yes. Raises Refused otherwise, and when there is nobody to ask.

    `unattended` lets a script go ahead: for acts that cut something off and can be mended.
    """
    if options.yes:
        return
    if not sys.stdin.isatty():
        if unattended:
            return
        raise Refused(f"{clean(question)} Nobody is there to answer; add --yes if it is meant")
    try:
        agreed = click.confirm(clean(question), err=True)
    except click.Abort:
        click.echo("", err=True)
        agreed = False
    if not agreed:
        raise Refused("nothing was changed")
