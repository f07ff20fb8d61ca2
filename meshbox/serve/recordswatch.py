"""The file of extra DNS records, looked at once a second: what a program writes there holds at once.

A file with a mistake changes nothing and is said once; so is one that is gone, since programs replace
files by removing them first. At start it is no reason not to serve: a program that wrote nonsense would
otherwise keep everybody out at the next reboot.
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

Stamp = tuple[int, int, int, int]
Seen = tuple[Path | None, Stamp | None, str]


class RecordsWatch:
    """`path()` is the file that the configuration names now, None when there is none. Nothing is read
    before the first `check`."""

    def __init__(self, tailnet: Tailnet, path: Callable[[], Path | None]) -> None:
        self._tailnet = tailnet
        self._path = path
        self._seen: Seen = (None, None, "")
        self._fault = ""

    def worry(self) -> str:
        """Why the records answered are not those of the file; "" when they are, or there is none."""
        return self._fault

    def check(self) -> None:
        """Called at each beat; costs one `stat`."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen, self._fault = seen, ""
        path = seen[0]
        if path is not None:
            self._read(path)

    def _look(self) -> Seen:
        path = self._path()
        if path is None:
            return None, None, ""
        # A wildcard is good or bad by the domain that it stands in.
        domain = self._tailnet.settings.dns.base_domain
        try:
            found = path.stat()
        except OSError:
            return path, None, domain
        # The change time as well: nothing but the mode is new when somebody lets us read it.
        return path, (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino), domain

    def _read(self, path: Path) -> None:
        try:
            dns = self._tailnet.settings.dns
            found = answered(read_records(path), dns.base_domain)
        except ConfigError as error:
            self._fault = error.problems[0].text
            log.emit("dns_records_refused", path=str(path), reason=self._fault)
            return
        if replace(dns, **found) != dns:
            self._tailnet.configure(replace(self._tailnet.settings, dns=replace(dns, **found)))
            count = len(found["extra_records"]) + len(found["subdomains"])
            log.emit("dns_records_read", path=str(path), count=count)
