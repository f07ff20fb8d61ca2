"""The source tree as the house tests see it: modules, their syntax, and what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "meshbox"
GROUND = {"errors", "config", "secrets", "log", "vocabulary", "durable", "fastjson"}


@dataclass(frozen=True)
class Import:
    """One imported module. `at_top` is False inside a function or under TYPE_CHECKING, where it costs
    nothing at start."""

    module: str
    line: int
    at_top: bool


@dataclass(frozen=True)
class Module:
    path: Path

    @cached_property
    def name(self) -> str:
        """As a reader says it: `wire/noise.py`."""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def room(self) -> str:
        """The room it is in: `ground` for the modules of the ground, "" for the package itself."""
        first = self.name.split("/")[0].removesuffix(".py")
        if first == "__init__":
            return ""
        return "ground" if first in GROUND else first

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def syntax(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports(self.syntax))


def _imports(syntax: ast.Module) -> Iterator[Import]:
    inside = {
        id(inner)
        for outer in ast.walk(syntax)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) or _is_for_types(outer)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(syntax):
        at_top = id(node) not in inside
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute here"
            yield Import(node.module, node.lineno, at_top)
            # `from meshbox.wire import noise` imports a module as well.
            yield from (Import(f"{node.module}.{alias.name}", node.lineno, at_top) for alias in node.names)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and dotted(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


@cache
def modules() -> tuple[Module, ...]:
    return tuple(Module(path) for path in sorted(PACKAGE.rglob("*.py")))


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def dotted(node: ast.expr) -> str:
    """`time.time` for the expression that names it, "" for anything else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            inner = dotted(value)
            return f"{inner}.{attr}" if inner else ""
        case _:
            return ""
