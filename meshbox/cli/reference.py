"""`python -m meshbox.cli.reference` writes docs/cli.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshbox.cli.manual import EXIT_CODES, VARIABLES, Flag, common, entries

HEAD = """\
# The command line

Written from the commands themselves (`make docs`); do not edit. `docs/meshbox.1` is the same as a manual
page.

Every command speaks to the running server over its unix socket. Who may open the socket is administrator.
To administer a server from elsewhere, make an API key there and keep it in a file:

    meshbox apikeys create --description "my laptop" > key      # on the server
    meshbox --server https://mesh.example.com --token-file key nodes list

Names are accepted wherever ids are: `meshbox nodes rename laptop desk`. Digits alone are always an id. A
node also answers to its full name, its addresses, and the host name it gave itself when no other node has
the same. When a name fits several nodes nothing is done and they are listed.

Data goes to standard output, talk to standard error. On a terminal lists are tables with times relative to
now; piped they are tab-separated with times in RFC 3339. `-o json` and `-o yaml` give the API's own
objects, `-o name` one name per line, `-o wide` more columns; `--columns name,state` chooses them.

A new key is printed once, alone on standard output, so that this works:

    KEY=$(meshbox preauthkeys create --user ana --reusable --expiration 24h)

What cannot be taken back asks first and names the object; `--yes` answers. Without a terminal it is refused
unless `--yes` is given. Spellings of Headscale's command line work too: `users destroy -n ana`, `nodes
expire -i 7`, `nodes register --user ana --key ID`, `preauthkeys create -u 1`, `--force`.
"""


def document() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield HEAD
    yield "## Options of every command\n"
    yield from _table(("Option", "Meaning"), _rows(common()))
    yield "\n## Commands"
    for entry in entries():
        yield f"\n### `{entry.words}{' ' + entry.arguments if entry.arguments else ''}`\n"
        yield "\n\n".join(entry.paragraphs)
        if entry.aliases:
            yield "\nAlso " + ", ".join(f"`{alias}`" for alias in entry.aliases) + "."
        if entry.flags:
            yield ""
            yield from _table(("Option", "Meaning"), _rows(entry.flags))
    yield "\n## Exit codes\n"
    yield from _table(("Code", "Meaning"), EXIT_CODES)
    yield "\n## Environment\n"
    yield from _table(("Variable", "Meaning"), ((f"`{name}`", text) for name, text in VARIABLES))


def _rows(flags: Iterable[Flag]) -> Iterator[tuple[str, str]]:
    for flag in flags:
        spelling = flag.spelling.replace("|", "\\|")
        yield f"`{spelling}`", flag.help


def _table(heads: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"| {heads[0]} | {heads[1]} |"
    yield "|---|---|"
    for first, second in rows:
        yield f"| {first} | {second} |"


if __name__ == "__main__":
    print(document(), end="")
