"""The file of extra DNS records, `dns.extra_records_path`: a JSON list of {name, type, value}.

Programs write this file, so it is JSON and apart from the configuration. It is read at start, on
reload, and when it changes.
"""

from __future__ import annotations

import json
from pathlib import Path

from meshbox.config.kinds import listed
from meshbox.config.network import RECORD, ExtraRecord
from meshbox.errors import ConfigError, Problem

MAX_FILE = 1 << 20
"""Bytes. Every record goes to every node in every full map; a megabyte of them helps nobody."""


def read_records(path: Path) -> tuple[ExtraRecord, ...]:
    """Raises ConfigError with what is wrong with the file."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        if len(raw) > MAX_FILE:
            raise ValueError(f"is larger than {MAX_FILE >> 20} MiB")
        return listed(RECORD).read(json.loads(raw))
    except OSError as error:
        text = f"{path} cannot be read: {error.strerror}"
    except (ValueError, RecursionError) as error:
        text = f"{path} {error}"
    raise ConfigError(str(path), [Problem("dns.extra_records_path", text)])
