"""`meshbox backup`: copies of everything that must survive. Needs no server, works beside a running one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from meshbox.cli.ask import confirm
from meshbox.cli.group import Group
from meshbox.cli.lives import rfc3339
from meshbox.cli.options import Options
from meshbox.cli.output import Column, Json, Kind, say, write_data, write_list
from meshbox.errors import BackupError, Invalid

if TYPE_CHECKING:
    from meshbox.config import Config
    from meshbox.serve.backup.shelf import Entry

backup = Group("backup", help="Make, list, check and restore backups.")

ARCHIVES = Kind(
    (
        Column("ARCHIVE", lambda entry: entry["archive"]),
        Column("MADE", lambda entry: entry["createdAt"], is_time=True),
        Column("SIZE", lambda entry: size(entry["bytes"])),
        Column("USERS", lambda entry: entry["users"]),
        Column("NODES", lambda entry: entry["nodes"]),
        Column("ENCRYPTED", lambda entry: entry["encrypted"]),
        Column("HOST", lambda entry: entry["host"], is_wide=True),
        Column("VERSION", lambda entry: entry["version"], is_wide=True),
        Column("FAULT", lambda entry: entry["fault"]),
    ),
    name=lambda entry: str(entry["archive"]),
)

archive_argument = click.argument("archive", metavar="ARCHIVE", type=click.Path(path_type=Path))
key_option = click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File with the private key that `backup keygen` printed, - for standard input.",
)


@backup.add(name="create")
@click.option("--local", is_flag=True, help="No copy elsewhere; `backup copy` makes it.")
@click.pass_obj
def create(options: Options, local: bool) -> None:
    """Make a backup now, check it, and remove older ones by the rule of backup.keep_*.

    The server may run or not. How it went is shown by `meshbox status`, /health and the journal.
    """
    from meshbox.serve.backup.create import create
    from meshbox.serve.backup.shelf import described

    config, files = _configuration(options)
    made = create(config, files, elsewhere=not local)
    if options.is_for_machines:
        found = {"archive": str(made.path), "bytes": made.size, "seconds": round(made.seconds, 3)}
        more = {
            "encrypted": made.sealed,
            "offsite": made.offsite,
            "pruned": [str(one) for one in made.pruned],
        }
        left_out = [{"path": one.path, "why": one.why} for one in made.manifest.left_out]
        write_data(options, {**described(made.manifest), **found, **more, "leftOut": left_out})
    for one in made.manifest.left_out:
        say(options, f"warning: left out {one.path}: {one.why}")
    if made.broken_audit_row is not None:
        say(options, f"warning: the audit was changed at row {made.broken_audit_row}, see docs/database.md")
    if not options.is_for_machines:
        click.echo(str(made.path))
    kept = f", {len(made.pruned)} older removed" if made.pruned else ""
    where = ", copied elsewhere" if made.offsite else ""
    say(
        options,
        f"backup of {made.manifest.nodes} nodes, {size(made.size)} in {made.seconds:.1f} s{where}{kept}",
    )


@backup.add(name="copy")
@click.argument("archive", required=False, metavar="[ARCHIVE]", type=click.Path(path_type=Path))
@click.option("--if-configured", is_flag=True, help="Without a repository do nothing, and call that success.")
@click.pass_obj
def copy(options: Options, archive: Path | None, if_configured: bool) -> None:
    """Copy an archive, the newest by default, into the repository of backup.offsite.

    meshbox-offsite.service does it after each backup: the process that makes backups needs no network.
    """
    from meshbox.serve.backup.create import copy
    from meshbox.serve.backup.offsite import without_password
    from meshbox.serve.backup.shelf import newest

    config, _ = _configuration(options)
    if if_configured and not config.backup.offsite.repository:
        return
    path = archive or newest(config)
    copy(config, path)
    repository = without_password(config.backup.offsite.repository)
    if options.is_for_machines:
        write_data(options, {"archive": str(path), "repository": repository})
    say(options, f"copied {path} to {repository}")


@backup.add("ls", name="list")
@click.pass_obj
def list_archives(options: Options) -> None:
    """List the archives in backup.directory, the newest first."""
    from meshbox.serve.backup.shelf import inventory

    config, _ = _configuration(options)
    write_list(options, ARCHIVES, [_entry(one) for one in inventory(config.backup.directory)])


@backup.add("check", name="verify")
@click.argument("archive", required=False, metavar="[ARCHIVE]", type=click.Path(path_type=Path))
@key_option
@click.pass_obj
def verify(options: Options, archive: Path | None, key_file: Path | None) -> None:
    """Read all of an archive, the newest by default, and look its database through.

    Without the private key, an encrypted one is only held against its checksum.
    """
    from meshbox.serve.backup.restore import verify
    from meshbox.serve.backup.shelf import described, newest

    archive = archive or newest(_configuration(options)[0])
    found = verify(archive, _private_key(key_file))
    if options.is_for_machines:
        inside = {} if found.manifest is None else described(found.manifest)
        write_data(options, {"archive": str(archive), "opened": found.manifest is not None, **inside})
    if found.manifest is None:
        say(options, f"{archive} is the file that was written; what is in it only the private key can tell")
        return
    files = len(found.manifest.members) - 1
    say(options, f"{archive} is good: {found.manifest.nodes} nodes, {files} files beside the database")


@backup.add(name="restore")
@archive_argument
@key_option
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), metavar="DIR",
              help="Put everything below this directory instead, to look at it.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what is there; it is kept beside, as NAME.replaced-1.")
@click.pass_obj
def restore(options: Options, archive: Path, key_file: Path | None, root: Path, force: bool) -> None:
    """Put everything back: database, keys, certificates and configuration, where they were.

    The server must not run. Nothing is touched before all of the archive was checked. Restore only archives
    of your own: they say where their files go.
    """
    from meshbox.serve.backup.restore import below, manifest_of, restore
    from meshbox.serve.backup.shelf import described

    _set_up_log("info", "text")
    key = _private_key(key_file)
    manifest = manifest_of(archive, key)
    say(options, f"{archive}: {manifest.host} at {rfc3339(manifest.created_at)}, {manifest.nodes} nodes")
    for member in manifest.members:
        say(options, f"  {below(root, member.path)}")
    confirm(options, "Write these files?", unattended=True)
    done = restore(archive, key, root, force=force)
    replaced = [str(path) for path in done.replaced]
    if options.is_for_machines:
        write_data(options, {**described(manifest), "replaced": replaced})
    for path in replaced:
        say(options, f"kept {path}")
    say(options, f"restored {manifest.nodes} nodes and {manifest.users} users; now start the server")


@backup.add(name="prune")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.pass_obj
def prune(options: Options, dry_run: bool) -> None:
    """Remove the archives that backup.keep_* does not keep."""
    from meshbox.serve.backup.shelf import prune

    config, _ = _configuration(options)
    gone = [str(path) for path in prune(config, dry_run)]
    if options.is_for_machines:
        write_data(options, {"removed": gone, "dryRun": dry_run})
    else:
        for path in gone:
            click.echo(path)
    say(options, f"{len(gone)} archives {'would be ' if dry_run else ''}removed")


@backup.add(name="keygen")
@click.pass_obj
def keygen(options: Options) -> None:
    """Print a new pair of keys: the public one for backup.recipients, the private one to keep elsewhere.

    Whoever loses the private key can restore nothing; whoever finds it can read every backup.
    """
    from meshbox.serve.backup.shelf import new_key_pair

    public, secret = new_key_pair()
    if options.is_for_machines:
        write_data(options, {"publicKey": public, "privateKey": secret})
        return
    say(options, "into backup.recipients of the configuration:")
    click.echo(public)
    say(options, "into a file that is not on the server (a password manager, a sheet of paper):")
    click.echo(secret)


def size(count: int) -> str:
    """`3.2 MB`, as disks are sold."""
    number = float(count)
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def _configuration(options: Options) -> tuple[Config, list[Path]]:
    """What is in force, and the files it was read from."""
    from meshbox.config import find_files, load

    env = {name: text for name, text in os.environ.items() if not name.startswith("MESHBOX_CLI_")}
    config = load(options.config, env)
    _set_up_log(config.log.level, config.log.format)
    return config, find_files(options.config, env)


def _set_up_log(level: str, format: str) -> None:
    """To the journal when a timer runs us; a person is told in sentences instead."""
    from meshbox import log
    from meshbox.log.journal import reaches_journal

    is_journal = reaches_journal(sys.stderr, os.environ)
    log.setup(level, format, sink=None if is_journal else lambda line: None)  # type: ignore[arg-type]


def _private_key(path: Path | None) -> bytes | None:
    from meshbox.secrets import read_backup_key

    if path is None:
        return None
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
        return read_backup_key(text, "key")
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as fault:
        raise Invalid(f"{path} {fault}") from None


def _entry(entry: Entry) -> Json:
    label = entry.label
    return {
        "archive": str(entry.path),
        "createdAt": rfc3339(entry.created_at),
        "bytes": entry.size,
        "encrypted": bool(label.get("sealed")),
        **{name: label.get(name) for name in ("host", "version", "schema", "users", "nodes")},
        "fault": entry.fault,
    }
