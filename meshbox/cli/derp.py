"""`meshbox derp`: a relay as a process of its own, and looking at one."""

from __future__ import annotations

import os
from pathlib import Path

import click

from meshbox.cli.group import Group
from meshbox.cli.options import Options, common_options

FLAGS = {
    "listen": "listen",
    "plain": "plain",
    "http": "http_listen",
    "stun": "stun_listen",
    "cert": "cert_path",
    "key": "key_path",
    "hostname": "hostnames",
    "state_dir": "state_dir",
    "socket": "socket",
    "admit": "admission.mode",
    "workers": "workers",
    "mesh_key": "mesh.key_path",
    "mesh_with": "mesh.peers",
}
"""Option -> the configuration key it overrides."""

file_type = click.Path(path_type=Path)


@click.group(cls=Group, invoke_without_command=True, no_args_is_help=False)
@click.option("--listen", metavar="ADDRESS", help="Where clients connect, such as 127.0.0.1:8443 or :443.")
@click.option("--cert", type=file_type, metavar="FILE", help="TLS certificate with its chain.")
@click.option("--key", type=file_type, metavar="FILE", help="Private key of that certificate.")
@click.option("--hostname", multiple=True, metavar="NAME", help="Name or address of this relay; repeatable.")
@click.option("--plain", is_flag=True, help="Plain HTTP instead of TLS, behind a proxy.")
@click.option("--http", metavar="ADDRESS", help="Port for captive portal checks, such as :80.")
@click.option("--stun", metavar="ADDRESS", help="UDP address for STUN, such as :3478, or off.")
@click.option("--admit", metavar="WHOM", help="control, all, or the URL of a server's /verify.")
@click.option("--workers", type=click.IntRange(1, 64), metavar="N", help="Processes to share the work (1).")
@click.option("--mesh-key", type=file_type, metavar="FILE", help="Key shared by the relays of a region.")
@click.option("--mesh-with", multiple=True, metavar="HOST", help="Another relay of the region; repeatable.")
@click.option("--state-dir", type=file_type, metavar="DIR", help="Where the relay's key is kept.")
@click.option("--socket", type=file_type, metavar="FILE", help="Local socket for control and `derp status`.")
@click.pass_context
def derp(ctx: click.Context, /, **given: object) -> None:
    """Run a relay (DERP and STUN) in the foreground, or look at one.

    For a lab: meshbox derp --listen 127.0.0.1:8443 --stun off --admit all
    """
    if ctx.invoked_subcommand is not None:
        return
    from meshbox.config.reading import load_as
    from meshbox.config.relay import RELAY
    from meshbox.serve import relayrun

    options = ctx.ensure_object(Options)
    relayrun.run(load_as(RELAY, options.config, os.environ, _raw(given, options)))


derp.params.extend(common_options(hidden=True))


@derp.add(name="status")
@click.pass_context
def status(ctx: click.Context) -> None:
    """Show how the relay on this machine does."""
    from meshbox.cli.output import write_one
    from meshbox.cli.relayview import RELAY_STATUS, ask

    write_one(ctx.obj, RELAY_STATUS, ask(_socket(ctx), "/status"))


@derp.add(name="top")
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=1.0, help="How long to look (1).")
@click.option("--count", type=click.IntRange(1), default=20, help="How many to show (20).")
@click.pass_context
def top(ctx: click.Context, seconds: float, count: int) -> None:
    """Show who uses the relay on this machine most just now."""
    import time

    from meshbox.cli.output import write_list
    from meshbox.cli.relayview import TALKERS, ask, busiest

    path = _socket(ctx)
    before = ask(path, "/clients")
    time.sleep(seconds)
    write_list(ctx.obj, TALKERS, busiest(before, ask(path, "/clients"), seconds)[:count])


def _socket(ctx: click.Context) -> Path:
    """The relay's socket: of `derp --socket`, of the environment, of the relay's file."""
    from meshbox.config.reading import load_as
    from meshbox.config.relay import RELAY

    assert ctx.parent is not None
    given = ctx.parent.params.get("socket")
    if isinstance(given, Path):
        return given
    return load_as(RELAY, ctx.obj.config, os.environ).socket


def _raw(given: dict[str, object], options: Options) -> dict[str, object]:
    """The given options as raw values of the file's keys. Paths are relative to where we are."""
    raw: dict[str, object] = {}
    for name, key in FLAGS.items():
        value = given[name]
        if value in (None, False, ()):
            continue
        if isinstance(value, Path):
            value = str(value.absolute())
        raw[key] = list(value) if isinstance(value, tuple) else value
    if raw.get("stun_listen") == "off":
        raw["stun_listen"] = ""
    admit = str(raw.get("admission.mode", ""))
    if "://" in admit:
        raw |= {"admission.mode": "url", "admission.verify_url": admit}
    if options.yes:
        raw["admission.open_to_everybody"] = True
    return raw
