"""`python -m meshbox.cli.man` writes the manual page, docs/meshbox.1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshbox import __version__
from meshbox.cli.manual import EXIT_CODES, VARIABLES, Flag, common, entries

DESCRIPTION = """\
meshbox is the coordination server and relay that official Tailscale clients connect to. This program runs
it (serve) and administers it: every other command speaks to the running server, over its unix socket or,
with --server and an API key, over the network. Names are accepted wherever ids are.

Data goes to standard output: a table on a terminal, tab-separated text otherwise, or what -o asks for. Talk
and errors go to standard error. A secret is printed once, alone, and never taken as an argument."""


def page() -> str:
    """The manual page in roff."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield f'.TH MESHBOX 1 "" "meshbox {__version__}" "User Commands"'
    yield ".SH NAME"
    yield "meshbox \\- coordination server and relay for the official Tailscale clients"
    yield ".SH SYNOPSIS"
    yield ".B meshbox"
    yield "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]"
    yield ".SH DESCRIPTION"
    yield _text(DESCRIPTION).replace("\n\n", "\n.PP\n")
    yield ".SH OPTIONS"
    yield "Every command takes these, before or after its name."
    yield from _flags(common())
    yield ".SH COMMANDS"
    for entry in entries():
        yield f".SS {_text(entry.words)} {_text(entry.arguments)}".rstrip()
        yield "\n.PP\n".join(_text(paragraph) for paragraph in entry.paragraphs)
        if entry.aliases:
            yield ".PP"
            yield f"Also spelled {_text(', '.join(entry.aliases))}."
        yield from _flags(entry.flags)
    yield ".SH EXIT STATUS"
    yield from _table(EXIT_CODES)
    yield ".SH ENVIRONMENT"
    yield from _table(VARIABLES)
    yield ".SH FILES"
    yield from _table(
        (
            ("/etc/meshbox/config.yaml", "the configuration; `meshbox config sample` explains every key"),
            ("/run/meshbox/api.sock", "the server's socket; who may open it is administrator"),
        )
    )


def _flags(flags: Iterable[Flag]) -> Iterator[str]:
    return _table((flag.spelling, flag.help) for flag in flags)


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield ".TP"
        yield f"\\fB{_text(term)}\\fR"
        yield _text(text)


def _text(text: str) -> str:
    """Escaped for roff: a backslash, a dash that is meant as one, a line that begins like a command."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in escaped.split("\n"))


if __name__ == "__main__":
    print(page(), end="")
