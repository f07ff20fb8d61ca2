"""Why a policy is refused: the hosted service's own sentence, and where in the text it applies."""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.errors import Invalid


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the text, counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Failure:
    """One entry of `tests` or `sshTests` that does not hold: whose it is, and each wish unmet."""

    src: str
    errors: tuple[str, ...]
    spot: Spot | None = None


class PolicyError(Invalid):
    """A policy that cannot be used. `str()` is the message as the hosted service words it, without
    the place; `spot` is the place; `failures` are the tests that failed, when that is the reason."""

    def __init__(self, message: str, spot: Spot | None = None, failures: tuple[Failure, ...] = ()) -> None:
        super().__init__(message)
        self.spot = spot
        self.failures = failures

    @property
    def placed(self) -> str:
        """The message with its place, for people."""
        return f"{self.spot}: {self}" if self.spot else str(self)

    @property
    def told(self) -> str:
        """The same, with a line for each test that failed."""
        lines = [self.placed]
        for failure in self.failures:
            where = f"{failure.spot}: " if failure.spot else ""
            lines += [f"{where}test of {failure.src}: {text}" for text in failure.errors]
        return "\n".join(lines)


def tests_failed(failures: tuple[Failure, ...]) -> PolicyError:
    return PolicyError("test(s) failed", failures[0].spot, failures)
