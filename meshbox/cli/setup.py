"""`meshbox setup`: from an installed package to the line that joins a first device.

It asks where devices find this server and how TLS is done, and nothing else; everything else has a
default that works and can be changed later. Every question has an option, so that a script is asked nothing.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import click

from meshbox.cli import units
from meshbox.cli.ask import confirm
from meshbox.cli.client import local
from meshbox.cli.firstkey import KEY_LIFE, first_key
from meshbox.cli.group import Leaf
from meshbox.cli.options import Options
from meshbox.cli.output import say, write_data
from meshbox.cli.reach import own_address, reached_at
from meshbox.cli.setupfile import (
    FILE,
    RELAY_FILE,
    Answers,
    Tls,
    present,
    put,
    relay_text_of,
    text_of,
    write,
)
from meshbox.config import DROP_INS, Config
from meshbox.errors import Invalid, OperatorError, Refused

UNITS = ("meshbox.socket", "meshbox-stun.socket", "meshbox.service")
RELAY_UNITS = (
    "meshbox-derp-control.socket",
    "meshbox-derp-handover.socket",
    "meshbox-derp-stun.socket",
    "meshbox-derp.service",
)
TAKEN = ("meshbox-stun.socket", "meshbox-derp.socket", "meshbox-derp-http.socket")
"""Sockets whose ports are the other process's where control and relay share a machine."""
USER = "meshbox"
RELAY_DROP_INS = Path("/etc/meshbox/derp.d")

WELCOME = """
meshbox runs at {url}

On each device, with the official client installed, type (as root, where there is one):

    tailscale up --login-server {url} --auth-key {key}

The key lets in any number of devices of user {user} for {life} and cannot be shown again.

    another key       meshbox preauthkeys create --user {user}
    who is here       meshbox nodes list
    what was set      meshbox config show --origin
    how it does       systemctl status meshbox; journalctl -u meshbox
"""

IN_A_BROWSER = """\
    in a browser      {url}/console, with the key that `meshbox apikeys create` shows
"""

TLS_QUESTION = """\
How shall devices reach it?
  acme   https with a certificate that meshbox gets and renews (Let's Encrypt); ports 80 and 443 of {host}
         must reach this machine from the internet
  files  https with a certificate of yours
  none   plain http: for private networks and for trying it out{warning}"""

PUBLIC_WARNING = ", not for public addresses"


@click.command(cls=Leaf)
@click.option("--domain", metavar="NAME", help="Name or address under which devices reach this server.")
@click.option("--tls", type=click.Choice(["acme", "files", "none"]), help="Where the certificate is from.")
@click.option("--email", metavar="ADDRESS", default="", help="Given to the authority with --tls acme.")
@click.option("--cert", type=click.Path(path_type=Path), metavar="FILE", help="Certificate, with its chain.")
@click.option("--key", type=click.Path(path_type=Path), metavar="FILE", help="Private key of --cert.")
@click.pass_obj
def setup(
    options: Options, domain: str | None, tls: Tls | None, email: str, cert: Path | None, key: Path | None
) -> None:
    """Configure and start the installed server, and show how to join it.

    Asks for the domain (or takes the bare address) and for TLS, writes
    /etc/meshbox/conf.d/10-setup.yaml, starts the services and prints a join command. Type it again to
    change the answers.
    """
    if not units.is_there() or not units.has(UNITS[0]):
        raise Refused(
            "the services are not here: this command belongs to the Debian package meshbox. Without it: "
            "meshbox quickstart, or meshbox serve"
        )
    host = _host(domain)
    answers = Answers(host, _tls(host, tls, cert), email, _absolute(cert), _absolute(key))
    if answers.tls != "none" and units.is_there() and units.has("meshbox-derp.service"):
        answers = replace(answers, relay_addresses=reached_at(host))
    file, relay_file = DROP_INS / FILE, RELAY_DROP_INS / RELAY_FILE
    before, relay_before, text = present(file), present(relay_file), text_of(answers)
    if before not in (None, text):
        confirm(options, f"{file} says something else. Replace it?")
    if answers.tls == "files":
        check_files(answers)
    config = write(DROP_INS, text)
    try:
        put(relay_file, relay_text_of(answers) if answers.relay_addresses else None)
        _start(answers)
    except OperatorError:
        put(file, before)
        put(relay_file, relay_before)
        raise
    say(options, f"wrote {file}")
    _welcome(options, config)


def check_files(answers: Answers) -> None:
    """A certificate and its key that fit together, and that the server may read. Raises Invalid."""
    import ssl

    if answers.certificate is None or answers.key is None:
        raise Invalid("--tls files wants both --cert FILE and --key FILE")
    try:
        ssl.create_default_context().load_cert_chain(answers.certificate, answers.key)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"{answers.certificate} and {answers.key} cannot be used as a certificate and its key: "
            f"{error.strerror or error}"
        ) from None
    for path in (answers.certificate, answers.key):
        if not units.may_read(USER, path):
            raise Invalid(
                f"the server runs as {USER} and may not read {path}: chgrp {USER} it and its directory, and "
                "chmod g+r the file, g+x the directory"
            )


def _start(answers: Answers) -> None:
    if answers.relay_addresses:
        # The port of STUN changes hands. Connections to control wait in its socket meanwhile.
        units.stop(*TAKEN, "meshbox.service")
        units.start(*RELAY_UNITS)
    units.start(*UNITS)


def _host(domain: str | None) -> str:
    if domain is None:
        address = own_address().address
        domain = _ask(
            "Domain under which devices reach this server, or its address", address, "--domain", address
        )
    host = domain.strip().strip("[]").rstrip(".").lower()
    if not host or "/" in host or " " in host:
        raise Invalid(f"--domain: {domain!r} is no name and no address; write it like mesh.example.com")
    return host


def _tls(host: str, tls: Tls | None, cert: Path | None) -> Tls:
    if tls is None and cert is not None:
        return "files"
    if tls is None:
        is_private = _is_private(host)
        default = "none" if is_private else "acme"
        question = TLS_QUESTION.format(host=host, warning="" if is_private else PUBLIC_WARNING)
        return _ask(question, default, "--tls", default, ["acme", "files", "none"])  # type: ignore[return-value]
    return tls


def _is_private(host: str) -> bool:
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False


def _ask(question: str, default: str, option: str, unattended: str, choices: list[str] | None = None) -> str:
    """The answer, or `unattended` where nobody sits at the terminal."""
    if not sys.stdin.isatty():
        return unattended
    kind = click.Choice(choices) if choices else None
    return str(click.prompt(question, default=default, type=kind, err=True))


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _welcome(options: Options, config: Config) -> None:
    user, key = first_key(local(config.unix_socket))
    if options.is_for_machines:
        write_data(options, {"serverUrl": config.server_url, "authKey": key, "user": user})
    else:
        click.echo(WELCOME.format(url=config.server_url, key=key, user=user, life=KEY_LIFE), nl=False)
        if config.console.enabled and config.server_url.startswith("https:"):
            click.echo(IN_A_BROWSER.format(url=config.server_url), nl=False)
