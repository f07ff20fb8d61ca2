"""`meshbox events`: what happened, by the journal or the server's memory; `meshbox audit`: who did what."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator

import click

from meshbox.cli import journal
from meshbox.cli.client import connect
from meshbox.cli.group import Group, Leaf
from meshbox.cli.journal import Wish
from meshbox.cli.lives import rfc3339
from meshbox.cli.options import Options
from meshbox.cli.output import Column, Json, Kind, say, write_list
from meshbox.cli.text import clean
from meshbox.errors import Invalid, MeshboxError, Unreachable

WAIT = 20
"""Seconds the server holds an answer back while we follow; less than a request may take."""

PAUSE = 2.0
"""Seconds until a server that went away is asked again."""

EVENTS = Kind(
    (
        Column("TIME", lambda event: event["time"], is_time=True),
        Column("LEVEL", lambda event: event["level"]),
        Column("EVENT", lambda event: event["event"]),
        Column("MESSAGE", lambda event: event["message"]),
    ),
    name=lambda event: str(event["event"]),
)

ENTRIES = Kind(
    (
        Column("ID", lambda entry: entry["id"], is_wide=True),
        Column("TIME", lambda entry: entry["time"], is_time=True),
        Column("ACTOR", lambda entry: entry["actor"]),
        Column("ACTION", lambda entry: entry["action"]),
        Column("OBJECT", lambda entry: entry["object"]),
        Column("DETAIL", lambda entry: entry["detail"]),
    ),
    name=lambda entry: str(entry["id"]),
)

since_option = click.option(
    "--since", default="", metavar="TIME", help="Not before: 2h or 3d ago, or a date like 2026-11-25."
)


@click.command(cls=Leaf)
@click.option("-f", "--follow", is_flag=True, help="Go on as new ones happen, until Ctrl-C.")
@since_option
@click.option("--node", default="", metavar="NODE", help="Only about this node.")
@click.option("--user", default="", metavar="USER", help="Only about this user.")
@click.option("--event", "names", multiple=True, metavar="EVENT", help="Only of this kind; may be repeated.")
@click.option("-n", "--lines", default=100, type=click.IntRange(0), metavar="N",
              help="The newest so many; 0 for all. Default: 100.")  # fmt: skip
@click.option("--source", type=click.Choice(["auto", "journal", "server"]), default="auto",
              help="Where to look; auto: the journal where the server writes to it.")  # fmt: skip
@click.pass_obj
def events(options: Options, /, names: tuple[str, ...], lines: int, source: str, **wish: str | bool) -> None:
    """Show what happened: the server's log events, the newest last.

    docs/events.md explains each kind. The server itself remembers the last two thousand since its start.
    """
    _check_names(names)
    since = read_since(str(wish["since"]))
    wanted = Wish(str(wish["node"]), str(wish["user"]), names, since, lines, bool(wish["follow"]))
    if _is_in_journal(options, source):
        say(options, f"from: {shlex.join(journal.command(wanted))}")
        found = journal.read(wanted)
    else:
        found = _followed(options, wanted) if wanted.follow else iter(_asked(options, wanted)[0])
    if wanted.follow:
        for event in found:
            _write_at_once(options, event)
    else:
        write_list(options, EVENTS, list(found))


audit = Group("audit", help="Show who did what.")


@audit.add("ls", name="list")
@since_option
@click.option("--until", default="", metavar="TIME", help="Before that time.")
@click.option("--actor", default="", metavar="ACTOR", help="Who did it, such as local:root or api:PREFIX.")
@click.option("--object", "subject", default="", metavar="NAME", help="What it was done to, such as a node.")
@click.option("--action", default="", metavar="ACTION", help="What was done, such as node.delete.")
@click.option("-n", "--lines", default=100, type=click.IntRange(1, 1000), metavar="N",
              help="The newest so many. Default: 100.")  # fmt: skip
@click.option("--before", default="", metavar="ID", help="Only rows before this one: the next page.")
@click.pass_obj
def list_audit(options: Options, /, subject: str, lines: int, since: str, until: str, **wanted: str) -> None:
    """List changes, the newest first: who made them, and to what.

    The database keeps these rows for audit.retention and lets nobody change them.
    """
    moments = {"since": _written(read_since(since)), "until": _written(read_since(until))}
    found = connect(options).get("audit", object=subject, limit=str(lines), **moments, **wanted)
    write_list(options, ENTRIES, found["entries"])


def read_since(text: str) -> float | None:
    """`2h` ago, or a date; None for nothing. Raises Invalid."""
    if not text:
        return None
    from datetime import datetime

    from meshbox.config.durations import parse_duration

    try:
        return time.time() - parse_duration(text.removesuffix(" ago"))
    except ValueError:
        pass
    try:
        # A date without a zone is the local time of whoever types it.
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise Invalid(
            f"{text!r} is no time; write it like 2h, 3d, 2026-11-25 or 2026-11-25T08:00:00Z"
        ) from None


def _written(moment: float | None) -> str:
    return "" if moment is None else rfc3339(moment)


def _check_names(names: tuple[str, ...]) -> None:
    import difflib

    from meshbox.vocabulary import EVENTS as KNOWN

    for name in names:
        if name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, n=1)
            hint = f"; did you mean {near[0]}?" if near else "; docs/events.md lists them"
            raise Invalid(f"there is no event {name!r}{hint}")


def _is_in_journal(options: Options, source: str) -> bool:
    """The server knows where it writes to. When it does not answer, the journal may tell why."""
    if source != "auto":
        return source == "journal"
    if options.server:
        return False
    try:
        is_told = bool(connect(options).get("events", limit="0")["journal"])
    except Unreachable:
        if journal.has_any():
            return True
        raise
    return is_told and journal.has_any()


def _asked(options: Options, wish: Wish, after: int = 0, wait: int = 0) -> tuple[list[Json], int, int]:
    """(events, cursor, how many were missed)"""
    count = str(wish.count) if wish.count and not after else ""
    answer = connect(options).get(
        "events",
        after=str(after) if after else "",
        wait=str(wait) if wait else "",
        limit=count,
        node=wish.node,
        user=wish.user,
        event=",".join(wish.events),
        since=_written(wish.since),
    )
    return answer["events"], int(answer["cursor"]), int(answer["missed"])


def _followed(options: Options, wish: Wish) -> Iterator[Json]:
    """Also over a restart of the server."""
    found, cursor, _ = _asked(options, wish)
    yield from found
    while True:
        try:
            found, cursor, missed = _asked(options, wish, cursor, WAIT)
        except MeshboxError as error:
            say(options, f"{error}; trying again")
            time.sleep(PAUSE)
            continue
        if missed:
            say(options, f"{missed} events were lost: the server remembers two thousand")
        yield from found


def _write_at_once(options: Options, event: Json) -> None:
    if options.is_for_machines:
        # One object on a line, whatever was asked for: a list without end is none.
        text = json.dumps(event)
    else:
        text = f"{event['time']}  {event['level']:<7}  {event['event']}  {clean(event['message'])}"
    click.echo(text)
    sys.stdout.flush()
