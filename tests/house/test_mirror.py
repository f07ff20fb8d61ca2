"""Tests mirror the package: who reads `wire/noise.py` finds its tests in `tests/wire/test_noise.py`."""

from __future__ import annotations

from tests.house.tree import ROOT, modules

ROOMS = ("wire", "policy", "tailnet", "store", "relay")
ELSEWHERE: dict[str, str] = {
    "tailnet/model.py": "values without behaviour",
    "tailnet/ports.py": "protocols without behaviour",
    "tailnet/settings.py": "values without behaviour",
}
"""Module -> where it is tested, when it has no test file of its own."""


def test_every_module_has_its_test_file() -> None:
    missing = []
    for module in modules():
        if module.room not in ROOMS or module.path.name == "__init__.py" or "/steps/" in module.name:
            continue
        mirror = (
            ROOT / "tests" / module.path.relative_to(ROOT / "meshbox").with_name(f"test_{module.path.name}")
        )
        if not mirror.exists() and module.name not in ELSEWHERE:
            missing.append(module.name)
    assert not missing, " ".join(missing)


def test_exceptions_are_still_needed() -> None:
    names = {module.name for module in modules()}
    gone = [name for name in ELSEWHERE if name not in names]
    own = [name for name in ELSEWHERE if (ROOT / "tests" / name.replace("/", "/test_")).exists()]
    assert not gone + own
    for name, where in ELSEWHERE.items():
        if where.startswith("tests/"):
            assert (ROOT / where.split()[0]).exists(), name
