"""The manual page and docs/cli.md are what the commands say today."""

from __future__ import annotations

from pathlib import Path

from meshbox.cli import man, reference
from meshbox.cli.manual import EXIT_CODES, entries
from meshbox.errors import MeshboxError

DOCS = Path(__file__).parents[2] / "docs"


def test_the_written_ones_are_true() -> None:
    assert (DOCS / "cli.md").read_text() == reference.document(), "run `make docs`"
    assert (DOCS / "meshbox.1").read_text() == man.page(), "run `make docs`"


def test_every_command_and_option_has_a_sentence() -> None:
    found = list(entries())
    assert len(found) > 30
    for entry in found:
        assert entry.paragraphs[0].endswith("."), entry.words
        assert all(flag.help.strip() for flag in entry.flags), entry


def test_every_exit_code_of_an_error_is_documented() -> None:
    def codes(kind: type[MeshboxError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(child) for child in kind.__subclasses__()))

    assert codes(MeshboxError) <= {int(code) for code, _ in EXIT_CODES}


def test_no_line_of_text_reads_as_a_roff_command() -> None:
    known = {".TH", ".SH", ".SS", ".TP", ".PP", ".B"}
    for line in man.page().splitlines():
        if line.startswith((".", "'")):
            assert line.split()[0] in known, line
