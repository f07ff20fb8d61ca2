"""A disk that fails on command, under the real SQLite.

SQLite's unix VFS lets its system calls be replaced (xSetSystemCall, made for tests like these).
Every write, and every change of a file's length, passes through here and is counted; the n-th
can fail with an errno, after half of its bytes if wished, once or from then on; or the process
dies there, as by kill -9. Nothing of meshbox is replaced.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

LIBRARY = ctypes.CDLL(_sqlite3.__file__)
LIBRARY.sqlite3_vfs_find.restype = ctypes.c_void_p

WRITE = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, use_errno=True
)
TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int64, use_errno=True)
SET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
GET = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)

CALLS = {b"pwrite64": WRITE, b"pwrite": WRITE, b"ftruncate": TRUNCATE}

# The function pointers of the struct, in order; only the three about system calls are used.
UNUSED_METHODS = 13
METHODS = (
    *(f"unused{number}" for number in range(UNUSED_METHODS)),
    "xSetSystemCall",
    "xGetSystemCall",
    "xNextSystemCall",
)


class Vfs(ctypes.Structure):
    """struct sqlite3_vfs, version 3 (sqlite3.h)."""

    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", ctypes.c_void_p),
        ("zName", ctypes.c_char_p),
        ("pAppData", ctypes.c_void_p),
        *((method, ctypes.c_void_p) for method in METHODS),
    )


@dataclass
class Fault:
    """What happens at the `at`-th write (counted from 1; 0 is never)."""

    at: int = 0
    errno: int = 0
    lasts: bool = False
    torn: bool = False
    kills: bool = False


class Disk:
    """`with Disk(fault) as disk:` all SQLite files of this process lie on it. `writes` counts."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault or Fault()
        self.writes = 0
        address = LIBRARY.sqlite3_vfs_find(None)
        vfs = Vfs.from_address(address)
        self._address = address
        self._set = SET(vfs.xSetSystemCall)
        get = GET(vfs.xGetSystemCall)
        # Kept as long as SQLite may call them.
        self._replaced: dict[bytes, Any] = {}
        for name, kind in CALLS.items():
            real = get(address, name)
            if real:
                self._replaced[name] = kind(self._through(kind(real), is_write=kind is WRITE))

    def __enter__(self) -> Disk:
        for name, call in self._replaced.items():
            assert self._set(self._address, name, ctypes.cast(call, ctypes.c_void_p)) == 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self._replaced:
            self._set(self._address, name, None)

    def heal(self) -> None:
        self.fault = Fault()

    @property
    def is_failing(self) -> bool:
        return bool(self.fault.at) and (
            self.writes >= self.fault.at if self.fault.lasts else self.writes == self.fault.at
        )

    def _through(self, real: Callable[..., int], *, is_write: bool) -> Callable[..., int]:
        def call(descriptor: int, *rest: int) -> int:
            self.writes += 1
            if not self.is_failing:
                return real(descriptor, *rest)
            if self.fault.torn and is_write:
                buffer, size, offset = rest
                real(descriptor, buffer, size // 2, offset)
            if self.fault.kills:
                os.kill(os.getpid(), signal.SIGKILL)
            ctypes.set_errno(self.fault.errno)
            return -1

        return call
