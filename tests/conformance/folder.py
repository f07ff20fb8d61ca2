"""The folder of cases: found, loaded, compared. Its own code loads and compares; ours does neither."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.conformance.engine import Case, answer

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT = REPOSITORY.parent / "shared" / "conformance"

NOT_POLICY = {
    "https://tailscale.com/cap/is-admin": "a user's role, told beside the policy",
    "https://tailscale.com/cap/is-owner": "a user's role, told beside the policy",
    "default-auto-update": "a setting of the tailnet",
}
"""Capabilities among the captured ones that no policy makes."""
NOT_OURS = {"dns": "the hosted service's own name servers, in the one case that switches MagicDNS on"}
"""Fields likewise."""
ANONYMISED = "compare the rest of the message only"
"""In a case's notes: the first word of the message was not anonymised along with the policy."""


def folder() -> Path:
    return Path(os.environ.get("CONFORMANCE") or DEFAULT)


@dataclass(frozen=True, slots=True)
class Cases:
    cases: list[Case]
    topologies: dict[str, Any]
    loader: ModuleType
    comparer: ModuleType

    def topology(self, case: Case) -> tuple[list[Case], list[Case]]:
        users, nodes = self.loader.topology_of(case, self.topologies)
        return users, nodes

    def differences(self, case: Case, strict: bool = False) -> list[str]:
        """What our answer has otherwise than the captured one; empty: nothing."""
        got = answer(case, *self.topology(case))
        want = case["expect"]
        if any(ANONYMISED in note for note in case.get("notes", ())):
            want = {**want, "message": want["message"].partition(" ")[2]}
        found: list[str] = self.comparer.compare_expect(
            want,
            got,
            strict=strict,
            ignore=(*case.get("unstable", ()), *NOT_OURS),
            ignore_caps=tuple(NOT_POLICY),
        )
        return found


def load(where: Path) -> Cases:
    loader = _module(where / "cases.py")
    cases, topologies = loader.load(where)
    return Cases(cases, topologies, loader, _module(where / "compare.py"))


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"conformance_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
