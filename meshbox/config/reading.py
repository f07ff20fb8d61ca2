"""From YAML files and the environment to a Config, or to all its problems at once.

Order of origin: the default, then the files, then the environment, then the command line. A key with a bad
value is reported and its default stands in, so that the rules over the whole can still look for more.

When nobody names a file, the one in /etc is read if it is there, and then the drop-ins beside it in the order
of their names; a later file has the last word, key by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from meshbox.config.document import Document, printable, read_document
from meshbox.config.keys import Key, build, keys
from meshbox.config.kinds import STATE_DIR, found
from meshbox.config.legacy import IGNORED, REFUSED, RENAMED, WITH_ANOTHER
from meshbox.config.network import Address
from meshbox.config.rules import advise, check
from meshbox.config.schema import Config
from meshbox.durable import is_there
from meshbox.errors import ConfigError, Problem

T = TypeVar("T")
DEFAULT_FILE = Path("/etc/meshbox/config.yaml")
DROP_INS = Path("/etc/meshbox/conf.d")
FILE_VARIABLE = "MESHBOX_CONFIG"
NOT_KEYS = (FILE_VARIABLE, "MESHBOX_CLI", "MESHBOX_BUILD", "MESHBOX_RELAY")
"""Beginnings of variables that are for the command line, the build and the relay, not for the server."""
_EMPTY: tuple[object, ...] = (None, "", [], {}, False)


@dataclass(frozen=True, slots=True)
class Schema(Generic[T]):
    """One kind of configuration: the dataclass of its keys, where its file and its drop-ins lie, its rules.

    `prefix` begins the environment variables of its keys, `file_variable` names the file; variables that
    begin with one of `not_keys` are somebody else's. Defaults below `state_dir` follow the key of that name.
    `imply` gives defaults that depend on other keys, from (values, paths that were given).
    """

    root: type[T]
    file: Path
    drop_ins: Path
    file_variable: str
    prefix: str
    not_keys: tuple[str, ...]
    state_dir: Path
    check: Callable[[T], Iterator[Problem]]
    advise: Callable[[T], Iterator[Problem]]
    imply: Callable[[Mapping[str, Any], set[str]], Iterator[tuple[str, Any]]]

    def variable(self, key: Key) -> str:
        return self.prefix + key.path.replace(".", "_").upper()


@dataclass(slots=True)
class _Findings:
    """What was read so far: raw values by path, the directories their paths are relative to, and what to say
    about them."""

    raw: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    bases: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read the configuration. Without `path`: $MESHBOX_CONFIG, then /etc/meshbox/config.yaml with
    /etc/meshbox/conf.d/*.yaml, then defaults and environment alone. Raises ConfigError with every problem
    there is."""
    return load_as(CONTROL, path, env)


def load_as(
    schema: Schema[T], path: Path | None, env: Mapping[str, str], flags: Mapping[str, Any] | None = None
) -> T:
    """The same for any kind of file. `flags` are raw values by path that the command line gave."""
    files = find_files(path, env, schema)
    findings = _Findings()
    for file in files:
        document = read_document(file)
        findings.problems += document.problems
        _take_file(schema, document, findings, file)
    _take_environment(schema, env, findings)
    for key, raw in (flags or {}).items():
        findings.raw[key], findings.origins[key] = raw, "command line"
        findings.bases.pop(key, None)
    values = _values(schema, findings, files[0].absolute().parent if len(files) == 1 else Path.cwd())
    source = ", ".join(map(str, files)) or ("the command line" if flags else "the environment")
    config = build(schema.root, values, source=source, origins=findings.origins)
    reported = {problem.path for problem in findings.problems}
    findings.problems += [problem for problem in schema.check(config) if problem.path not in reported]
    if findings.problems:
        raise ConfigError(source, findings.problems)
    warnings = (*findings.warnings, *schema.advise(config))
    return build(schema.root, values, source=source, origins=findings.origins, warnings=warnings)


def find_files(path: Path | None, env: Mapping[str, str], schema: Schema[Any] | None = None) -> list[Path]:
    """The files `load` would read, the last word last. A directory stands for its *.yaml."""
    schema = schema or CONTROL
    named = path or (Path(env[schema.file_variable]) if env.get(schema.file_variable) else None)
    if named is not None:
        return (_drop_ins(named) if named.is_dir() else []) or [named]
    return [*([schema.file] if is_there(schema.file) else []), *_drop_ins(schema.drop_ins)]


def _drop_ins(directory: Path) -> list[Path]:
    return sorted(file for file in directory.glob("*.yaml") if not file.name.startswith("."))


def _take_file(schema: Schema[Any], document: Document, findings: _Findings, file: Path) -> None:
    known = {key.path: key for key in keys(schema.root)}
    sections = {path.rpartition(".")[0] for path in known} - {""}
    sections |= {path.rpartition(".")[0] for path in sections} - {""}
    for path, raw in _flat(document.values, known, sections):
        line = document.lines.get(path)
        if path in known:
            if raw is not None:
                findings.raw[path] = raw
                # What a YAML merge brought in has no line of its own.
                findings.origins[path] = f"{file}, line {line}" if line else str(file)
                findings.bases[path] = file.absolute().parent
        elif path in RENAMED:
            if document.values.get(WITH_ANOTHER.get(path, path)) not in _EMPTY:
                _take_renamed(path, raw, f"{file}, line {line}" if line else str(file), findings)
        elif path in sections:
            findings.problems.append(
                Problem(path, f"wants a section with keys of its own, found {found(raw)}")
            )
        else:
            _take_stranger(path, raw, f"{file}, line {line}" if line else str(file), [*known], findings)


def _flat(
    values: Mapping[Any, Any], known: Mapping[str, Key], sections: set[str], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Leaves of the file by dotted path. Below a key everything is its value; an unknown section
    is one leaf, except where some of its keys have an answer of their own in `legacy`."""
    for name, raw in values.items():
        path = f"{prefix}{printable(name)}"
        inner = path in sections or any(one.startswith(path + ".") for one in REFUSED)
        if inner and path not in known and isinstance(raw, dict):
            yield from _flat(raw, known, sections, path + ".")
        elif not (path in sections and raw is None):
            yield path, raw


def _take_renamed(path: str, raw: Any, place: str, findings: _Findings) -> None:
    ours, convert = RENAMED[path]
    if raw in _EMPTY:
        return
    findings.raw.setdefault(ours, convert(raw))
    findings.origins.setdefault(ours, f"{place}, as {path}")


def _take_stranger(path: str, raw: Any, place: str, known: list[str], findings: _Findings) -> None:
    refused = next((REFUSED[one] for one in _upwards(path) if one in REFUSED), None)
    ignored = next((IGNORED[one] for one in _upwards(path) if one in IGNORED), None)
    empty = any(raw is one or raw == one for one in _EMPTY)
    where = f" ({place})"
    if refused is not None:
        if not empty:
            findings.problems.append(Problem(path, refused + where))
    elif ignored is not None:
        if not empty:
            findings.warnings.append(Problem(path, f"is not used: {ignored}"))
    else:
        findings.problems.append(Problem(path, f"is no key of meshbox{where}{_did_you_mean(path, known)}"))


def _upwards(path: str) -> Iterator[str]:
    """The path, then the sections it lies in, innermost first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _did_you_mean(path: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(path, known, n=1, cutoff=0.75)
    if not close:
        # The right name in the wrong section: `sqlite_path`, or `magic_dns` at the top.
        names = {one.rpartition(".")[2]: one for one in reversed(known)}
        near = difflib.get_close_matches(path.rpartition(".")[2], list(names), n=1, cutoff=0.8)
        close = [names[name] for name in near]
    return f"; did you mean {close[0]}?" if close else "; remove it"


def _take_environment(schema: Schema[Any], env: Mapping[str, str], findings: _Findings) -> None:
    variables = {schema.variable(key): key for key in keys(schema.root)}
    for name, text in sorted(env.items()):
        key = variables.get(name)
        if key is None:
            if name.startswith(schema.prefix) and not name.startswith(schema.not_keys):
                hint = _did_you_mean(name, list(variables)).replace("; remove it", "")
                findings.warnings.append(Problem(name, f"in the environment names no key{hint}"))
        elif not key.kind.in_environment:
            findings.problems.append(
                Problem(name, f"cannot be given in the environment; use {key.path} in the file")
            )
        else:
            findings.raw[key.path] = text.split() if key.kind.splits else text
            findings.bases.pop(key.path, None)
            findings.origins[key.path] = f"environment, {name}"


def _values(schema: Schema[Any], findings: _Findings, outside: Path) -> dict[str, Any]:
    """`outside` is what paths of the environment and the command line are relative to."""
    values: dict[str, Any] = {}
    for key in keys(schema.root):
        values[key.path] = key.default
        if key.path in findings.raw:
            try:
                value = key.kind.read(findings.raw[key.path])
            except ValueError as fault:
                where = findings.origins[key.path]
                findings.problems.append(Problem(key.path, f"{fault} ({where})"))
                continue
            base = findings.bases.get(key.path, outside)
            values[key.path] = value if key.kind.settle is None else key.kind.settle(value, base)
    for path, value in _settled(schema, values, set(findings.raw)):
        values[path] = value
    for path, value in schema.imply(values, set(findings.raw)):
        values[path] = value
    for key in keys(schema.root):
        findings.origins.setdefault(key.path, "default")
    return values


def _settled(schema: Schema[Any], values: Mapping[str, Any], given: set[str]) -> Iterator[tuple[str, Any]]:
    for path, value in values.items():
        if path not in given and isinstance(value, Path) and value.is_relative_to(schema.state_dir):
            yield path, values["state_dir"] / value.relative_to(schema.state_dir)


def _implied(values: Mapping[str, Any], given: set[str]) -> Iterator[tuple[str, Any]]:
    """Defaults that depend on other keys."""
    # One prefix alone means that the other family is off, as Headscale reads it.
    for one, other in (("prefixes.v4", "prefixes.v6"), ("prefixes.v6", "prefixes.v4")):
        if one in given and other not in given:
            yield other, None
    obtains = values["acme.enabled"] if "acme.enabled" in given else bool(values["acme.domains"])
    yield "acme.enabled", obtains
    if obtains and "http.listen_addr" not in given:
        yield "http.listen_addr", Address(":80")
    if "dns.override_local_dns" not in given:
        yield "dns.override_local_dns", bool(values["dns.nameservers.global"])


CONTROL = Schema(
    Config, DEFAULT_FILE, DROP_INS, FILE_VARIABLE, "MESHBOX_", NOT_KEYS, STATE_DIR, check, advise, _implied
)
