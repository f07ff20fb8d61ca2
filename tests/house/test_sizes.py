"""Files and functions a reader can hold in mind. Past the ceiling there is a reason, or a cut.

The aim is lower than the ceiling: files of 80 to 300 lines with one idea each, functions of a
dozen lines.
"""

from __future__ import annotations

from tests.house.tree import functions, modules

FILE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 6
"""Without self; more than these want a dataclass."""

LONG_FILES: dict[str, str] = {
    "vocabulary.py": "one closed list of events, each with its text; nothing in it has to be followed",
}
"""File -> why it is one."""
LONG_FUNCTIONS: dict[str, str] = {}
"""`file:function` -> why it is one."""
MANY_PARAMETERS: dict[str, str] = {}
"""`file:function` -> why they are no dataclass."""


def test_files_are_short() -> None:
    long = {module.name: len(module.text.splitlines()) for module in modules()}
    long = {name: lines for name, lines in long.items() if lines > FILE_LINES}
    assert set(long) == set(LONG_FILES), f"over {FILE_LINES} lines: {long}"


def test_functions_are_short() -> None:
    long = {}
    for module in modules():
        for function in functions(module):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            if lines > FUNCTION_LINES:
                long[f"{module.name}:{function.name}"] = lines
    assert set(long) == set(LONG_FUNCTIONS), f"over {FUNCTION_LINES} lines: {long}"


def test_functions_take_few_parameters() -> None:
    many = {}
    for module in modules():
        for function in functions(module):
            arguments = function.args
            names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            if count > PARAMETERS:
                many[f"{module.name}:{function.name}"] = count
    assert set(many) == set(MANY_PARAMETERS), f"over {PARAMETERS} parameters: {many}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        module.name
        for module in modules()
        if module.text.strip() and not module.text.lstrip().startswith(('"""', 'r"""'))
    ]
    assert not silent, silent
