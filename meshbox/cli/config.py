"""`meshbox config`: check, show and sample the configuration. Needs no server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from meshbox.cli.group import Group
from meshbox.cli.options import Options
from meshbox.cli.output import say, write_data
from meshbox.cli.unseen import unseen
from meshbox.config import Config, load, read_records, sample, show
from meshbox.config.named import named_files
from meshbox.errors import ConfigError, Problem

config = Group("config", help="Check, show and sample the configuration.")

file_argument = click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))


@config.add("test", name="check")
@file_argument
@click.pass_obj
def check(options: Options, file: Path | None) -> None:
    """Check a configuration file and tell everything that is wrong with it.

    The files that it names are looked at as well, by root with the eyes of the service. The policy is read
    whole; its tests, which ask about nodes, are for `policy check`.
    """
    loaded = _load(options, file)
    problems = [*_faults(loaded), *unseen(named_files(loaded))]
    if problems:
        raise ConfigError(loaded.source, problems)
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


def _faults(loaded: Config) -> Iterator[Problem]:
    """What is wrong in the policy and the records."""
    if loaded.policy.file is not None:
        from meshbox.serve.policyfile import fault_of

        if fault := fault_of(loaded.policy.file):
            yield Problem("policy.path", fault)
    records = loaded.dns.extra_records_path
    if records is not None:
        from meshbox.serve.settings import answered

        try:
            answered(read_records(records), loaded.dns.base_domain)
        except ConfigError as error:
            yield from error.problems


def _load(options: Options, file: Path | None) -> Config:
    # The variables of this program itself are no keys of the server's configuration.
    env = {name: text for name, text in os.environ.items() if not name.startswith("MESHBOX_CLI_")}
    return load(file or options.config, env)
