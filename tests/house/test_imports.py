"""Water runs one way: who may import whom, and what stays in which room."""

from __future__ import annotations

import ast
import re

from tests.house.tree import GROUND, Module, dotted, modules

MAY_IMPORT = {
    "": set[str](),
    "ground": {"ground"},
    "wire": {"ground", "wire"},
    "policy": {"ground", "wire", "policy"},
    "tailnet": {"ground", "wire", "policy", "tailnet"},
    "store": {"ground", "wire", "policy", "tailnet", "store"},
    "relay": {"ground", "wire", "relay"},
    "serve": {"ground", "wire", "policy", "tailnet", "store", "relay", "serve"},
    "cli": {"ground", "cli", "serve"},
}
ONLY_IN = {
    "peewee": {"store"},
    "playhouse": {"store"},
    "aiohttp": {"serve", "cli"},
    "orjson": {"ground"},
    "jinja2": {"serve"},
    "click": {"cli"},
    "asyncio": {"serve", "cli"},
    "uvloop": {"serve", "cli"},
    "ssl": {"serve", "cli"},
    "socket": {"serve", "cli"},
    "threading": {"serve", "store", "cli"},
}
CLOCKS = re.compile(
    r"time\.(time|time_ns|monotonic|monotonic_ns|perf_counter)"
    r"|(datetime\.)?(datetime|date)\.(now|utcnow|today)"
)
RANDOMNESS = re.compile(r"(os\.urandom|os\.getrandom|random\.\w+|secrets\.\w+|uuid\.uuid[14]|uuid[14])")
CLOCK_BELOW_SERVE = {
    "log/door.py": "a line is stamped for people to read; nothing is decided by it, and tests pass a clock",
}


def room_of(imported: str) -> str:
    """The room of a module of ours; "" for the package itself, whose version anybody may ask for."""
    parts = imported.split(".")
    if len(parts) == 1 or parts[1].startswith("__"):
        return ""
    return "ground" if parts[1] in GROUND else parts[1]


def below_serve() -> list[Module]:
    return [module for module in modules() if module.room not in ("serve", "cli")]


def test_a_room_imports_only_from_rooms_above_it() -> None:
    wrong = [
        f"{module.name}:{one.line} imports {one.module}"
        for module in modules()
        for one in module.imports
        if one.module.split(".")[0] == "meshbox"
        and room_of(one.module)
        and room_of(one.module) not in MAY_IMPORT[module.room]
    ]
    assert not wrong, "\n".join(wrong)


def test_every_room_has_a_law() -> None:
    assert {module.room for module in modules()} <= set(MAY_IMPORT)


def test_the_command_line_starts_without_the_server() -> None:
    wrong = [
        f"{module.name}:{one.line} imports {one.module} at its top"
        for module in modules()
        for one in module.imports
        if module.room == "cli" and one.at_top and one.module.startswith(("meshbox.serve", "aiohttp"))
    ]
    assert not wrong, "\n".join(wrong)


def test_libraries_stay_in_their_rooms() -> None:
    wrong = [
        f"{module.name}:{one.line} imports {one.module}"
        for module in modules()
        for one in module.imports
        if module.room not in ONLY_IN.get(one.module.split(".")[0], {module.room})
    ]
    assert not wrong, "\n".join(wrong)


def test_async_is_only_where_sockets_are() -> None:
    kinds = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    wrong = [
        f"{module.name}:{node.lineno}"
        for module in below_serve()
        for node in ast.walk(module.syntax)
        if isinstance(node, kinds)
    ]
    assert not wrong, "\n".join(wrong)


def test_below_serve_nobody_reads_a_clock_or_randomness() -> None:
    wrong = []
    for module in below_serve():
        for node in ast.walk(module.syntax):
            name = dotted(node) if isinstance(node, ast.Attribute) else ""
            clock = CLOCKS.fullmatch(name) and module.name not in CLOCK_BELOW_SERVE
            if clock or RANDOMNESS.fullmatch(name):
                wrong.append(f"{module.name}:{node.lineno} uses {name}")  # type: ignore[attr-defined]
        wrong += [
            f"{module.name}:{one.line} imports {one.module}"
            for one in module.imports
            if one.module in ("random", "secrets", "uuid")
            or CLOCKS.fullmatch(one.module.replace("datetime.datetime", "datetime"))
            or RANDOMNESS.fullmatch(one.module)
        ]
    assert not wrong, "\n".join(wrong)


def importers() -> dict[str, set[str]]:
    """Dotted name of each module -> the modules it needs before it can start."""
    names = {dotted_name(module): module for module in modules()}
    graph = {}
    for name, module in names.items():
        wanted = {(one.line, one.module) for one in module.imports if one.at_top and one.module in names}
        # `from meshbox.config import kinds` wants the module kinds; the package is only its address.
        inner = {(line, one.rpartition(".")[0]) for line, one in wanted}
        graph[name] = {one for line, one in wanted if (line, one) not in inner} - {name}
    return graph


def dotted_name(module: Module) -> str:
    return f"meshbox.{module.name}".removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = importers()
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        for other in sorted(graph[name]):
            visit(other, (*trail, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())
