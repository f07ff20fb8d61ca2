"""From a YAML file and the environment to a Config, or to all its problems at once.

Order of origin: the default, then the file, then the environment. A key with a bad value is
reported and its default stands in, so that the rules over the whole can still look for more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshbox.config.document import Document, printable, read_document
from meshbox.config.keys import Key, build, keys
from meshbox.config.kinds import STATE_DIR, found
from meshbox.config.legacy import IGNORED, REFUSED, RENAMED, WITH_ANOTHER
from meshbox.config.network import Address
from meshbox.config.rules import advise, check
from meshbox.config.schema import Config
from meshbox.errors import ConfigError, Problem

DEFAULT_FILE = Path("/etc/meshbox/config.yaml")
FILE_VARIABLE = "MESHBOX_CONFIG"
NOT_KEYS = (FILE_VARIABLE, "MESHBOX_CLI", "MESHBOX_BUILD")
"""Beginnings of variables that are for the command line and the build, not for the server."""
_EMPTY: tuple[object, ...] = (None, "", [], {}, False)


@dataclass(slots=True)
class _Findings:
    """What was read so far: raw values by path, and what to say about them."""

    raw: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read the configuration. Without `path`: $MESHBOX_CONFIG, then /etc/meshbox/config.yaml, then
    defaults and environment alone. Raises ConfigError with every problem there is."""
    file = find_file(path, env)
    document = Document() if file is None else read_document(file)
    findings = _Findings(problems=list(document.problems))
    _take_file(document, findings)
    _take_environment(env, findings)
    base = Path.cwd() if file is None else file.absolute().parent
    values = _values(findings, base)
    source = str(file or "the environment")
    config = build(Config, values, source=source, origins=findings.origins)
    reported = {problem.path for problem in findings.problems}
    findings.problems += [problem for problem in check(config) if problem.path not in reported]
    if findings.problems:
        raise ConfigError(source, findings.problems)
    warnings = (*findings.warnings, *advise(config))
    return build(Config, values, source=source, origins=findings.origins, warnings=warnings)


def find_file(path: Path | None, env: Mapping[str, str]) -> Path | None:
    """The file `load` would read, or None when there is none."""
    if path is not None:
        return path
    if named := env.get(FILE_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _take_file(document: Document, findings: _Findings) -> None:
    known = {key.path: key for key in keys(Config)}
    sections = {path.rpartition(".")[0] for path in known} - {""}
    sections |= {path.rpartition(".")[0] for path in sections} - {""}
    for path, raw in _flat(document.values, known, sections):
        line = document.lines.get(path)
        if path in known:
            if raw is not None:
                findings.raw[path] = raw
                # What a YAML merge brought in has no line of its own.
                findings.origins[path] = f"file, line {line}" if line else "file"
        elif path in RENAMED:
            if document.values.get(WITH_ANOTHER.get(path, path)) not in _EMPTY:
                _take_renamed(path, raw, line, findings)
        elif path in sections:
            findings.problems.append(
                Problem(path, f"wants a section with keys of its own, found {found(raw)}")
            )
        else:
            _take_stranger(path, raw, line, [*known], findings)


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


def _take_renamed(path: str, raw: Any, line: int | None, findings: _Findings) -> None:
    ours, convert = RENAMED[path]
    if raw in _EMPTY:
        return
    findings.raw.setdefault(ours, convert(raw))
    findings.origins.setdefault(ours, f"file, line {line}, as {path}" if line else f"file, as {path}")


def _take_stranger(path: str, raw: Any, line: int | None, known: list[str], findings: _Findings) -> None:
    refused = next((REFUSED[one] for one in _upwards(path) if one in REFUSED), None)
    ignored = next((IGNORED[one] for one in _upwards(path) if one in IGNORED), None)
    empty = any(raw is one or raw == one for one in _EMPTY)
    where = f" (line {line})" if line else ""
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


def _take_environment(env: Mapping[str, str], findings: _Findings) -> None:
    variables = {key.variable: key for key in keys(Config)}
    for name, text in sorted(env.items()):
        key = variables.get(name)
        if key is None:
            if name.startswith("MESHBOX_") and not name.startswith(NOT_KEYS):
                hint = _did_you_mean(name, list(variables)).replace("; remove it", "")
                findings.warnings.append(Problem(name, f"in the environment names no key{hint}"))
        elif not key.kind.in_environment:
            findings.problems.append(
                Problem(name, f"cannot be given in the environment; use {key.path} in the file")
            )
        else:
            findings.raw[key.path] = text.split() if key.kind.splits else text
            findings.origins[key.path] = f"environment, {name}"


def _values(findings: _Findings, base: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in keys(Config):
        values[key.path] = key.default
        if key.path in findings.raw:
            try:
                value = key.kind.read(findings.raw[key.path])
            except ValueError as fault:
                where = findings.origins[key.path]
                findings.problems.append(Problem(key.path, f"{fault} ({where})"))
                continue
            values[key.path] = value if key.kind.settle is None else key.kind.settle(value, base)
    for path, value in _implied(values, set(findings.raw)):
        values[path] = value
    for key in keys(Config):
        findings.origins.setdefault(key.path, "default")
    return values


def _implied(values: Mapping[str, Any], given: set[str]) -> Iterator[tuple[str, Any]]:
    """Defaults that depend on other keys."""
    for path, value in values.items():
        if path not in given and isinstance(value, Path) and value.is_relative_to(STATE_DIR):
            yield path, values["state_dir"] / value.relative_to(STATE_DIR)
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
