"""Every error meshbox raises on purpose, drawn as one tree.

    MeshboxError
    ├── PeerError            the other side of a wire erred; `status` is what to answer
    │   ├── Malformed        bytes or fields we cannot accept                 400
    │   ├── Unauthorised     the node key is not bound to this machine key    401
    │   ├── Unproven         a sign-in that does not show who it is           401
    │   ├── UnknownNode      no such node, for a client that should log in    404
    │   ├── TooLarge         a limit beside a parser was passed               413
    │   └── Busy             a rate or a cap was passed; come back later      429
    ├── OperatorError        the person at the keyboard can mend it
    │   ├── NotFound         names nothing we have                            404
    │   ├── Unauthenticated  shows no valid API key                           401
    │   ├── Refused          understood, and not allowed                      403
    │   ├── Invalid          a value that cannot be used                      422
    │   ├── Conflict         clashes with what is already there               409
    │   │   └── Outdated     started from what is no longer the newest        412
    │   ├── Unreachable      no server answers                                503
    │   ├── Exhausted        nothing left to give, as addresses               507
    │   ├── ConfigError      the configuration, all its problems at once
    │   ├── ListenError      an address we cannot listen on
    │   ├── KeyFileError     a private key file we cannot use
    │   ├── CertificateError a TLS certificate we cannot use
    │   │   └── NotIssued    an authority gave none
    │   └── BackupError      an archive that cannot be made or used
    │       └── OffsiteError its copy elsewhere
    └── StoreError           the database cannot do what was asked
        ├── StoreNewer       written by a newer meshbox
        ├── StoreBroken      damaged, locked or not ours
        └── StoreFull        no space, read-only or failing disk              507

A message is one sentence that names the culprit and, where there is one, the way out. It is
safe to show to whoever caused it. `exit_code` is what the command line ends with, `status`
what HTTP answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class MeshboxError(Exception):
    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500


class PeerError(MeshboxError):
    status = 400


class Malformed(PeerError):
    """The peer sent something that does not parse, or a value out of its range."""


class Unauthorised(PeerError):
    """A node key that does not belong to the machine key of this tunnel."""

    status = 401


class Unproven(PeerError):
    """Who somebody says to be is not shown: a token that is forged, stale or meant for somebody else."""

    status = 401


class UnknownNode(PeerError):
    """A node we do not have (any more)."""

    status = 404


class TooLarge(PeerError):
    status = 413


class Busy(PeerError):
    """A limit on rate or number. `retry_after` is in seconds."""

    status = 429

    def __init__(self, message: str, retry_after: int = 10) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OperatorError(MeshboxError):
    status = 400


class NotFound(OperatorError):
    exit_code = 3
    status = 404


class Refused(OperatorError):
    exit_code = 4
    status = 403


class Unauthenticated(Refused):
    """No API key, or not a live one."""

    status = 401


class Invalid(OperatorError):
    exit_code = 2
    status = 422


class Conflict(OperatorError):
    exit_code = 5
    status = 409


class Outdated(Conflict):
    """Somebody else changed it since this change was begun."""

    status = 412


class Unreachable(OperatorError):
    exit_code = 6
    status = 503


class Exhausted(OperatorError):
    """Something finite is used up; the message says what and how to make more."""

    exit_code = 7
    status = 507


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration: where (`dns.base_domain`), what, and the way out."""

    path: str
    text: str


class ConfigError(OperatorError):
    """All problems of a configuration together, so that one round of editing mends it."""

    exit_code = 10

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        lines = [f"  {problem.path}: {problem.text}" for problem in problems]
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n".join([f"{source} has {count}:", *lines]))


class ListenError(OperatorError):
    exit_code = 11


class KeyFileError(OperatorError):
    exit_code = 12


class CertificateError(OperatorError):
    exit_code = 13


class NotIssued(CertificateError):
    """A certificate authority gave no certificate. `kind` is its own word for the reason (rateLimited,
    connection, ...), "" when it said none; `retry_after` is in seconds."""

    def __init__(self, message: str, kind: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after


class BackupError(OperatorError):
    exit_code = 17


class OffsiteError(BackupError):
    """The archive is there, its copy elsewhere is not."""

    exit_code = 18


class StoreError(MeshboxError):
    exit_code = 15


class StoreNewer(StoreError):
    exit_code = 14


class StoreBroken(StoreError):
    exit_code = 15


class StoreFull(StoreError):
    exit_code = 16
    status = 507
