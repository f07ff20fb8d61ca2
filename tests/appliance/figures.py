"""What was measured on the way, for the end of the run: pytest shows the output of failed tests only."""

from __future__ import annotations

MEASURED: list[str] = []


def measured(text: str) -> None:
    """Show this line when all tests have run."""
    MEASURED.append(text)
