"""The file of extra DNS records, looked at once a second: what a program writes there holds at once.

A file with a mistake changes nothing and is said once; so is one that is gone, since programs replace
files by removing them first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from meshbox import log
from meshbox.config import read_records
from meshbox.errors import ConfigError
from meshbox.serve.settings import answered
from meshbox.tailnet.tailnet import Tailnet

Stamp = tuple[int, int, int]


class RecordsWatch:
    """`path()` is the file that the configuration names now, None when there is none."""

    def __init__(self, tailnet: Tailnet, path: Callable[[], Path | None]) -> None:
        self._tailnet = tailnet
        self._path = path
        self._seen = self._look()

    def check(self) -> None:
        """Called at each beat; costs one `stat`."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        path = seen[0]
        if path is not None:
            self._read(path)

    def _look(self) -> tuple[Path | None, Stamp | None]:
        path = self._path()
        if path is None:
            return None, None
        try:
            found = path.stat()
        except OSError:
            return path, None
        return path, (found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self, path: Path) -> None:
        try:
            dns = self._tailnet.settings.dns
            found = answered(read_records(path), dns.base_domain)
        except ConfigError as error:
            log.emit("dns_records_refused", path=str(path), reason=error.problems[0].text)
            return
        if replace(dns, **found) != dns:
            self._tailnet.configure(replace(self._tailnet.settings, dns=replace(dns, **found)))
            count = len(found["extra_records"]) + len(found["subdomains"])
            log.emit("dns_records_read", path=str(path), count=count)
