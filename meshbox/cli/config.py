"""`meshbox config`: check, show and sample the configuration. Needs no server."""

from __future__ import annotations

import os
from pathlib import Path

import click

from meshbox.cli.group import Group
from meshbox.cli.options import Options
from meshbox.cli.output import say, write_data
from meshbox.config import Config, load, sample, show
from meshbox.errors import ConfigError, Problem

config = Group("config", help="Check, show and sample the configuration.")

file_argument = click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))


@config.add("test", name="check")
@file_argument
@click.pass_obj
def check(options: Options, file: Path | None) -> None:
    """Check a configuration file and tell everything that is wrong with it.

    The policy file that it names is read as well; its tests, which ask about nodes, are for `policy check`.
    """
    loaded = _load(options, file)
    fault = _policy_fault(loaded)
    if fault:
        raise ConfigError(loaded.source, [Problem("policy.path", fault)])
    for warning in loaded.warnings:
        say(options, f"warning: {warning.path}: {warning.text}")
    say(options, f"{loaded.source} is fine")


@config.add(name="show")
@file_argument
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.pass_obj
def show_config(options: Options, file: Path | None, origin: bool) -> None:
    """Show the configuration in force: the file, the environment and the defaults."""
    loaded = _load(options, file)
    text = show(loaded, loaded.origins if origin else None)
    if options.is_for_machines:
        import yaml

        write_data(options, yaml.safe_load(text))
    else:
        click.echo(text, nl=False)


@config.add(name="sample")
def sample_config() -> None:
    """Print a configuration file with every key, its meaning and its default."""
    click.echo(sample(), nl=False)


def _policy_fault(loaded: Config) -> str:
    if loaded.policy.file is None:
        return ""
    from meshbox.serve.policyfile import fault_of

    return fault_of(loaded.policy.file)


def _load(options: Options, file: Path | None) -> Config:
    # The variables of this program itself are no keys of the server's configuration.
    env = {name: text for name, text in os.environ.items() if not name.startswith("MESHBOX_CLI_")}
    return load(file or options.config, env)
