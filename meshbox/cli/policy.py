"""`meshbox policy`: who may reach whom. Looking at the policy, changing it, and asking about it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from meshbox.cli.ask import confirm
from meshbox.cli.client import Api, Json, connect
from meshbox.cli.group import Group
from meshbox.cli.kinds import POLICIES
from meshbox.cli.options import Options
from meshbox.cli.output import say, write_data, write_list
from meshbox.cli.policydraft import Draft, find_editor
from meshbox.cli.policytext import read_text, write_text
from meshbox.cli.policyview import ROWS, write_diff, write_explanation, write_tests
from meshbox.errors import Invalid, MeshboxError, Refused

PATIENCE = 120.0
"""Seconds. A check of ten thousand nodes takes some, and the server gives up after a minute."""
NOT_ALLOWED = 1
FILE = click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
OLD_FILE = click.option("-f", "--file", "named", hidden=True, type=click.Path(path_type=Path))

policy = Group("policy", help="See, check, change and explain the policy: who may reach whom.")


def _api(options: Options) -> Api:
    return connect(options, PATIENCE)


@policy.add("show", "view", "fetch", name="get")
@click.option("--version", default="", metavar="N", help="An older version, by its number.")
@click.pass_obj
def get_policy(options: Options, version: str) -> None:
    """Write the policy in force to standard output, as it was written."""
    found = _api(options).get("policy", *([version] if version else []))
    if options.is_for_machines:
        write_data(options, found)
    else:
        write_text(found["policy"])
    if found["version"] == "0":
        say(options, "there is no policy: every device may reach every device")
    if found.get("problem"):
        say(options, f"warning: {found['problem']}")


@policy.add("put", "update", name="set")
@FILE
@OLD_FILE
@click.option("--note", default="", help="Why, for the history.")
@click.option("--expect", default="", metavar="N", help="Refuse unless version N is the newest; 0 is none.")
@click.option(
    "--check-only", is_flag=True, help="Check and run the tests as for a change, and change nothing."
)
@click.pass_obj
def set_policy(
    options: Options, file: Path | None, named: Path | None, note: str, expect: str, check_only: bool
) -> None:
    """Put a policy in force, HuJSON or YAML.

    Reads standard input without FILE, or for "-". The policy is checked and its tests are run; if anything is
    wrong with it, nothing changes.
    """
    text = read_text(file or named)
    if check_only:
        _check(options, text, file or named)
        return
    _done(options, _api(options).put("policy", body={"policy": text, "note": note, "expected": expect}))


@policy.add(name="check")
@FILE
@OLD_FILE
@click.pass_obj
def check(options: Options, file: Path | None, named: Path | None) -> None:
    """Check a policy file and run its tests against the nodes that are here.

    Reads standard input without FILE, or for "-". Changes nothing.
    """
    _check(options, read_text(file or named), file or named)


def _check(options: Options, text: str, path: Path | None) -> None:
    _api(options).post("policy", "check", body={"policy": text})
    if options.is_for_machines:
        write_data(options, {})
    say(options, f"{'the policy' if path is None or str(path) == '-' else path} is fine")


@policy.add(name="test")
@FILE
@click.pass_obj
def test(options: Options, file: Path | None) -> None:
    """Run the tests of a policy file, or without FILE of the policy in force, and tell of each.

    The exit code is 1 when one fails.
    """
    body = {} if file is None else {"policy": read_text(file)}
    found = _api(options).post("policy", "test", body=body)
    write_tests(options, found)
    if found["failed"]:
        raise click.exceptions.Exit(NOT_ALLOWED)


@policy.add(name="diff")
@FILE
@click.option(
    "--from", "start", default="", metavar="N", help="Start from version N, not from what is in force."
)
@click.option("--to", default="", metavar="N", help="Compare with version N instead of a file.")
@click.option("-n", "--rows", default=ROWS, metavar="COUNT", help=f"Rows shown of each kind ({ROWS}).")
@click.option("--exit-code", is_flag=True, help="End with 1 when access changes.")
@click.pass_obj
def diff(options: Options, file: Path | None, start: str, to: str, rows: int, exit_code: bool) -> None:
    """Say who would lose and gain access.

    Compares the policy in force with FILE (standard input without FILE), or two versions. Devices are grouped
    by whose they are, with one pair as an example.
    """
    body: Json = {"from": start}
    body |= {"to": to} if to else {"policy": read_text(file)}
    found = _api(options).post("policy", "diff", body=body)
    write_diff(options, found, rows)
    if exit_code and (found["lost"]["rowCount"] or found["gained"]["rowCount"]):
        raise click.exceptions.Exit(NOT_ALLOWED)


@policy.add(name="explain")
@click.argument("src")
@click.argument("dst", metavar="DST:PORT")
@click.option("--proto", default="", help="tcp (unless said otherwise), udp, icmp, sctp or a number.")
@click.option(
    "-f", "--file", type=click.Path(path_type=Path), help="Ask a policy file, not the one in force."
)
@click.pass_obj
def explain(options: Options, src: str, dst: str, proto: str, file: Path | None) -> None:
    """Say whether SRC may reach DST at this port, and by which rule.

    Both are a node, a user, an address, or a word as policies write it (tag:web, group:ops,
    autogroup:member). The exit code is 0 for yes and 1 for no, or for not all of them.
    """
    body = {"src": src, "dst": dst, "proto": proto}
    if file is not None:
        body["policy"] = read_text(file)
    found = _api(options).post("policy", "explain", body=body)
    write_explanation(options, found, (src, dst), file)
    if not found["allowed"]:
        raise click.exceptions.Exit(NOT_ALLOWED)


@policy.add("log", "versions", name="history")
@click.option("-n", "--limit", default=20, metavar="COUNT", help="How many versions, newest first (20).")
@click.pass_obj
def history(options: Options, limit: int) -> None:
    """List the versions of the policy: when, by whom, why."""
    found = _api(options).get("policy", "history", limit=str(limit))["versions"]
    write_list(options, POLICIES, found)


@policy.add(name="restore")
@click.argument("version")
@click.option("--note", default="", help="Why, for the history.")
@click.pass_obj
def restore(options: Options, version: str, note: str) -> None:
    """Put an older version in force again, as a new version.

    Shows who loses and gains access and asks first.
    """
    api = _api(options)
    newest = api.get("policy")["newest"]
    write_diff(options, api.post("policy", "diff", body={"to": version}), ROWS, to_stderr=True)
    confirm(options, f"Put version {version} of the policy in force again?")
    _done(options, api.post("policy", version, "restore", body={"note": note, "expected": newest}))


@policy.add(name="edit")
@click.option("--note", default="", help="Why, for the history.")
@click.pass_obj
def edit(options: Options, note: str) -> None:
    """Change the policy in an editor ($VISUAL or $EDITOR).

    What you save is checked; what is wrong is shown and the editor opens again. Then you see who loses and
    gains access, and are asked. A change that somebody else made meanwhile is never overwritten.
    """
    api = _api(options)
    now = api.get("policy")
    if now["file"]:
        raise Refused(
            f"the policy is the file {now['file']} on the server: edit it there and reload the server"
        )
    draft = Draft(find_editor(), now["policy"])
    try:
        text = _edited(options, api, draft)
        if text is None:
            say(options, "nothing was changed")
            return
        done = api.put("policy", body={"policy": text, "note": note, "expected": now["newest"]})
    except MeshboxError as error:
        draft.keep(error)
    draft.drop()
    _done(options, done)


def _edited(options: Options, api: Api, draft: Draft) -> str | None:
    """The text once it is fine and was agreed to; None when it is the same as before."""
    while True:
        text = draft.open()
        if text == draft.original:
            draft.drop()
            return None
        try:
            api.post("policy", "check", body={"policy": text})
        except Invalid as error:
            if not sys.stdin.isatty() or options.yes:
                raise
            say(options, str(error))
            _ask_again()
            continue
        write_diff(options, api.post("policy", "diff", body={"policy": text}), ROWS, to_stderr=True)
        confirm(options, "Put this policy in force?")
        return text


def _ask_again() -> None:
    try:
        is_wanted = click.confirm("Edit it again?", default=True, err=True)
    except click.Abort:
        is_wanted = False
    if not is_wanted:
        raise Refused("nothing was changed")


def _done(options: Options, found: Json) -> None:
    if options.is_for_machines:
        write_data(options, found)
    say(options, f"version {found['version']} of the policy is in force")
