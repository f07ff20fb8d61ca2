"""What the server says about a policy, for people: differences, explanations, tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from meshbox.cli.options import Options
from meshbox.cli.output import Json, write_data
from meshbox.cli.text import clean, width

ROWS = 20
RED, GREEN = "31", "32"


def write_diff(options: Options, found: Json, rows: int, to_stderr: bool = False) -> None:
    """Who loses and gains access. To stderr when it is said before a question."""
    if options.is_for_machines and not to_stderr:
        write_data(options, found)
        return
    lines = _half(found["lost"], "lose", "-", rows) + _half(found["gained"], "gain", "+", rows)
    stream = sys.stderr if to_stderr else sys.stdout
    for line in lines or ["nobody loses or gains access"]:
        click.echo(
            _coloured(line) if stream.isatty() and not os.environ.get("NO_COLOR") else line, err=to_stderr
        )


def _half(half: Json, verb: str, sign: str, rows: int) -> list[str]:
    if not half["rowCount"]:
        return []
    shown = half["rows"][:rows]
    cells = [
        (
            f"{clean(row['src'])} to {clean(row['dst'])}",
            row["ports"],
            _devices(row["pairs"]) if row["isNetwork"] else _count(row["pairs"]),
            ""
            if row["isNetwork"]
            else f"as {clean(row['example']['src'])} to {clean(row['example']['dst'])}",
        )
        for row in shown
    ]
    spaces = [max(width(cell[place]) for cell in cells) for place in range(3)] if cells else []
    lines = [f"{_count(half['pairs'])} {verb}{'s' if half['pairs'] == 1 else ''} access:"]
    for cell in cells:
        padded = [text + " " * (space - width(text)) for text, space in zip(cell[:3], spaces, strict=True)]
        lines.append(f"  {sign} " + "  ".join([*padded, cell[3]]).rstrip())
    hidden = half["rowCount"] - len(shown)
    if hidden:
        more = " (-n shows more)" if len(shown) < len(half["rows"]) else ""
        lines.append(f"  ... and {hidden} more rows{more}")
    return lines


def _count(pairs: int) -> str:
    return "1 pair" if pairs == 1 else f"{pairs:,} pairs"


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count:,} devices"


def _coloured(line: str) -> str:
    colour = {"  -": RED, "  +": GREEN}.get(line[:3])
    return f"\x1b[{colour}m{line}\x1b[0m" if colour else line


def write_explanation(options: Options, found: Json, way: tuple[str, str], file: Path | None) -> None:
    if options.is_for_machines:
        write_data(options, found)
        return
    src, dst = map(clean, way)
    if found["pairs"] == 0:
        click.echo(f"no: {src} and {dst} are one and the same device")
    elif found["allowed"]:
        click.echo(f"yes: {src} reaches {dst}" + _of(found))
    elif found["allowedPairs"]:
        some = f"{found['allowedPairs']} of {_count(found['pairs'])}"
        click.echo(f"partly: {src} reaches {dst} in {some}" + _denied(found))
    else:
        click.echo(f"no: {src} does not reach {dst}{_of(found)}; no rule allows it")
    where = str(file) if file else found["source"] or f"version {found['version']}"
    for rule in found["rules"]:
        if rule["line"] is None:
            click.echo("  there are neither acls nor grants, so everything is allowed")
            continue
        pairs = f" ({_count(rule['pairs'])})" if found["pairs"] > 1 else ""
        click.echo(f"  {clean(where)}, line {rule['line']}, {rule['section']}[{rule['index']}]{pairs}:")
        click.echo(f"    {clean(rule['rule'])}")


def _of(found: Json) -> str:
    return f" ({_count(found['pairs'])})" if found["pairs"] > 1 else ""


def _denied(found: Json) -> str:
    denied = found["denied"] or {}
    names = [clean(denied.get(end) or "") for end in ("src", "dst")]
    return f"; not {names[0]} to {names[1]}" if all(names) else ""


def write_tests(options: Options, found: Json) -> None:
    if options.is_for_machines:
        write_data(options, found)
        return
    for test in found["tests"]:
        wishes = ", ".join(map(clean, test["wishes"])) or "nothing"
        verdict = "ok    " if test["passed"] else "FAILED"
        click.echo(f"{verdict}  line {test['line']}: {clean(test['src'])}: {wishes}")
        for error in test["errors"]:
            click.echo(f"          {clean(error)}")
    passed = len(found["tests"]) - found["failed"]
    click.echo(
        f"{passed} of {len(found['tests'])} tests hold" if found["tests"] else "the policy has no tests"
    )
