"""Capability versions: the integer by which clients say which protocol they speak."""

from __future__ import annotations

from bisect import bisect_right

MIN_CAPVER = 97
"""The oldest we serve: client 1.68.0, of June 2024."""

# The first capability version of each release series.
_RELEASES = (
    (87, "1.60"),
    (88, "1.62"),
    (90, "1.64"),
    (95, "1.66"),
    (97, "1.68"),
    (102, "1.70"),
    (104, "1.72"),
    (106, "1.74"),
    (109, "1.78"),
    (113, "1.80"),
    (115, "1.82"),
    (116, "1.84"),
    (122, "1.86"),
    (125, "1.88"),
    (130, "1.90"),
    (131, "1.92"),
    (133, "1.96"),
    (138, "1.98"),
    (141, "1.100"),
    (142, "1.102"),
    (145, "1.103"),
)
_FIRST_CAPVERS = [capver for capver, _ in _RELEASES]


def client_version(capver: int) -> str:
    """The release series that speaks this version, for messages: "1.68", "older than 1.60"."""
    index = bisect_right(_FIRST_CAPVERS, capver)
    if index == 0:
        return f"older than {_RELEASES[0][1]}"
    known, release = _RELEASES[index - 1]
    return f"newer than {release}" if index == len(_RELEASES) and capver > known else release


def too_old(capver: int) -> str | None:
    """The refusal for a client we do not serve, or None. Shown to its user as it is."""
    if capver >= MIN_CAPVER:
        return None
    return (
        f"this client is too old (capability version {capver}, {client_version(capver)}): "
        f"update it to {client_version(MIN_CAPVER)} or later"
    )
