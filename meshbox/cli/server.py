"""Commands about the server as a whole: running it, and how it is."""

from __future__ import annotations

import sys

import click

from meshbox import __version__
from meshbox.cli.group import Leaf
from meshbox.cli.kinds import STATUS
from meshbox.cli.options import Options
from meshbox.cli.output import say, write_data, write_one


@click.command(cls=Leaf)
@click.pass_obj
def serve(options: Options) -> None:
    """Run the server in the foreground."""
    import os

    from meshbox.config import find_file, load
    from meshbox.serve import app

    path = find_file(options.config, os.environ)
    app.run(load(path, os.environ), path)


@click.command(cls=Leaf)
@click.pass_obj
def health(options: Options) -> None:
    """Ask whether the server and its database answer; exit code 0 when they do.

    What will need somebody, as a certificate that cannot be renewed, is said and is no failure.
    """
    from meshbox.cli.client import connect

    answer = connect(options).get("health")
    if options.is_for_machines:
        write_data(options, answer)
    for name, text in (answer.get("doubts") or {}).items():
        say(options, f"warning: {name}: {text}")
    problems = answer.get("problems") or {}
    if not problems and not answer.get("databaseConnectivity"):
        problems = {"store": "its database does not answer; the log says why"}
    for name, text in problems.items():
        say(options, f"the server runs, but {name}: {text}")
    if problems:
        raise click.exceptions.Exit(1)
    say(options, "healthy")


@click.command(cls=Leaf)
@click.pass_obj
def status(options: Options) -> None:
    """Show what is going on: version, nodes online, devices waiting."""
    from meshbox.cli.client import connect

    write_one(options, STATUS, connect(options).get("status"))


@click.command(cls=Leaf)
@click.pass_obj
def version(options: Options) -> None:
    """Print the version of this program."""
    if options.is_for_machines:
        write_data(options, {"version": __version__, "python": sys.version.split()[0]})
    else:
        click.echo(__version__)


@click.command(cls=Leaf)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    For bash: meshbox completion bash > /usr/share/bash-completion/completions/meshbox
    """
    from click.shell_completion import get_completion_class

    from meshbox.cli.main import meshbox

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(meshbox, {}, "meshbox", "_MESHBOX_COMPLETE").source())
