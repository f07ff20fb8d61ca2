"""The configuration: YAML files, checked whole, with every key documented where it is defined.

`load` gives a Config or raises ConfigError with all problems; `sample` writes a commented file;
`show` writes what is in force. To add a key, add a field in `schema` and run `make docs`.
"""

from __future__ import annotations

from meshbox.config.network import Address, ExtraRecord, Network
from meshbox.config.reading import DEFAULT_FILE, DROP_INS, FILE_VARIABLE, find_files, load
from meshbox.config.records import read_records
from meshbox.config.rendering import sample, show
from meshbox.config.schema import Config, Dns, Limits, Policy

__all__ = [
    "DEFAULT_FILE",
    "DROP_INS",
    "FILE_VARIABLE",
    "Address",
    "Config",
    "Dns",
    "ExtraRecord",
    "Limits",
    "Network",
    "Policy",
    "find_files",
    "load",
    "read_records",
    "sample",
    "show",
]
