"""docs/config.md, written from the schema: `python -m meshbox.config.reference > docs/config.md`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from meshbox.config.keys import Key, keys
from meshbox.config.legacy import IGNORED, REFUSED, RENAMED
from meshbox.config.relay import RelayConfig
from meshbox.config.rendering import default_text
from meshbox.config.schema import Config

HEAD = """\
# Configuration

Written from the schema in `meshbox/config/schema.py` by `make docs`; a test keeps it true.

One YAML file: the one given with `-c`, else the one `$MESHBOX_CONFIG` names, else `/etc/meshbox/config.yaml`.
`meshbox config sample` prints a commented one, `meshbox config check` tells every fault at once with its way
out, `meshbox config show` prints what is in force and where each value came from.

- The environment overrides the file: `MESHBOX_` and the path in capitals with underscores, as in
  `MESHBOX_DATABASE_SQLITE_PATH=/srv/db.sqlite`. Lists are separated by spaces.
- Relative paths are relative to the directory of the file.
- Defaults below `/var/lib/meshbox` follow `state_dir`.
- Durations are written `30d`, `12h`, `1h30m`, `90s`, `500ms` or `0`.
- Secrets are never in the file, only the paths of files that hold them.
- Names are those of Headscale where they mean the same, so its file starts meshbox.
"""


RELAY_HEAD = """\
## The relay on its own: `/etc/meshbox/derp.yaml`

`meshbox derp` has a file of its own (`meshbox/config/relay.py`): the one given with `-c`, else the
one `$MESHBOX_RELAY_CONFIG` names, else `/etc/meshbox/derp.yaml`, else none. Its variables begin with
`MESHBOX_RELAY_`, as in `MESHBOX_RELAY_ADMISSION_MODE=url`; options of the command override both.
"""


def reference() -> str:
    relay = [RELAY_HEAD, *_sections(RelayConfig, "### The relay: ")]
    return "\n".join([HEAD, *_sections(Config, "## "), *relay, *_legacy()]) + "\n"


def _sections(cls: type, heading: str) -> Iterator[str]:
    for section, members in groupby(keys(cls), key=lambda key: key.path.rpartition(".")[0]):
        yield f"{heading}{f'`{section}`' if section else 'Top level'}\n"
        yield "| Key | Kind | Default | Meaning |"
        yield "|---|---|---|---|"
        yield from (_row(key) for key in members)
        yield ""


def _row(key: Key) -> str:
    meaning = key.help + (f" Example: `{key.example}`" if key.example else "")
    return f"| `{key.path}` | {key.kind.name} | `{default_text(key)}` | {meaning} |"


def _legacy() -> Iterator[str]:
    yield "## Headscale keys with another name here\n"
    yield from (f"- `{path}` is `{ours}`." for path, (ours, _) in RENAMED.items())
    yield "\n## Headscale keys that are read and not used\n"
    yield "Each gives a warning at start.\n"
    yield from (f"- `{path}`: {why}." for path, why in IGNORED.items())
    yield "\n## Headscale keys that stop the start\n"
    yield from (f"- `{path}` {why}." for path, why in REFUSED.items())


if __name__ == "__main__":
    print(reference(), end="")
