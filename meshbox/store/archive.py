"""An archive: a tar file, compressed with zstd, sealed when there are recipients.

Without encryption `tar --zstd -xf` opens it too. Members come after the manifest, in its order; a reader
holds each against the size and SHA-256 that stand there, so nothing of an archive is believed before it was
checked.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from meshbox.errors import BackupError, Malformed
from meshbox.store import manifest as manifests
from meshbox.store.manifest import Manifest, Member
from meshbox.wire.sealed import MAGIC, Sealer, is_sealed, is_whole, opened, read_label

LEVEL = 6
PIECE = 1 << 20
BITE = 4096
"""Bytes decompressed at a time: of a file made to burst they become 128 MiB at most."""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LABEL_READ = len(MAGIC) + (64 << 10)


def write(
    out: IO[bytes],
    manifest: Manifest,
    sources: Sequence[Path],
    recipients: Sequence[bytes],
    entropy: Callable[[int], bytes],
) -> None:
    """`sources` are the files of the manifest's members, in its order. Raises OSError, and BackupError
    when a file changed since the manifest was written."""
    sealer = Sealer(manifest.label(), recipients, entropy) if recipients else None
    sink = _Sink(out, sealer)
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    with (
        compressor.stream_writer(cast(Any, sink), closefd=False) as packed,
        tarfile.open(fileobj=cast(Any, packed), mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        text = manifests.write(manifest)
        tar.addfile(_entry(manifests.NAME, len(text), 0o600, manifest.created_at), io.BytesIO(text))
        for member, source in zip(manifest.members, sources, strict=True):
            with source.open("rb") as file:
                checked = _Checked(file, member)
                tar.addfile(
                    _entry(member.name, member.size, member.mode, manifest.created_at), cast(Any, checked)
                )
                checked.finish()
    if sealer is not None:
        out.write(sealer.finish())


def _entry(name: str, size: int, mode: int, at: float) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, mode, int(at)
    return entry


def label(path: Path) -> dict[str, Any]:
    """What is known of an archive without a key: its manifest's label, and whether it is sealed. Raises
    BackupError."""
    with _reading(path), path.open("rb") as file:
        start = file.read(LABEL_READ)
        if is_sealed(start):
            return {**read_label(start)[0], "sealed": True}
    with contents(path, None) as (manifest, _):
        return {**manifest.label(), "sealed": False}


def is_sound(path: Path) -> bool:
    """Whether a sealed archive is the file that was written. Needs no key. Raises BackupError."""
    with _reading(path), path.open("rb") as file:
        return is_whole(iter(lambda: file.read(PIECE), b""))


Members = Iterator[tuple[Member, IO[bytes]]]


@contextmanager
def contents(path: Path, private_key: bytes | None) -> Iterator[tuple[Manifest, Members]]:
    """The manifest, and each member with its content. A member must be read to its end: only then was it
    checked. Raises BackupError, from the members too."""
    with _reading(path), path.open("rb") as file:
        start = file.read(len(MAGIC))
        file.seek(0)
        pieces = iter(lambda: file.read(PIECE), b"")
        if is_sealed(start):
            if private_key is None:
                raise BackupError(f"{path} is encrypted: give the private key with --key-file")
            pieces = opened(pieces, private_key)
        elif not start.startswith(ZSTD_MAGIC):
            raise BackupError(f"{path} is no backup of meshbox")
        source = _Unpacked(pieces)
        with tarfile.open(fileobj=cast(Any, source), mode="r|") as tar:
            manifest = manifests.read(_first(tar))
            yield manifest, _members(tar, manifest, source)


def _first(tar: tarfile.TarFile) -> bytes:
    entry = tar.next()
    file = tar.extractfile(entry) if entry is not None and entry.isreg() else None
    if entry is None or file is None or entry.name != manifests.NAME or entry.size > manifests.MANIFEST_LIMIT:
        raise BackupError("the archive does not begin with a manifest: it is no backup of meshbox")
    return file.read()


def _members(tar: tarfile.TarFile, manifest: Manifest, source: _Unpacked) -> Members:
    for member in manifest.members:
        entry = tar.next()
        file = tar.extractfile(entry) if entry is not None and entry.isreg() else None
        if entry is None or file is None or (entry.name, entry.size) != (member.name, member.size):
            raise BackupError(f"the archive lacks {member.path}, which its manifest has")
        checked = _Checked(file, member)
        yield member, cast(IO[bytes], checked)
        checked.finish()
    if tar.next() is not None:
        raise BackupError("the archive has more in it than its manifest says")
    source.finish()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever can be wrong with a file of somebody's, as one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise BackupError(f"there is no archive at {path}") from None
    except OSError as error:
        if isinstance(error, tarfile.TarError) or error.errno is None:
            raise BackupError(f"{path} is damaged: {error}") from None
        raise BackupError(f"{path} cannot be read: {error.strerror}") from None
    except Malformed as fault:
        raise BackupError(f"{path} cannot be opened: {fault}") from None
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise BackupError(f"{path} is damaged: {error}") from None


class _Checked:
    """A member's bytes on their way in or out; `finish` says whether they were the ones."""

    def __init__(self, file: IO[bytes], member: Member) -> None:
        self._file = file
        self._member = member
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def finish(self) -> None:
        if self._digest.hexdigest() != self._member.sha256:
            raise BackupError(
                f"{self._member.path} is not what the manifest says: damaged, or changed meanwhile"
            )


class _Sink:
    """What the compressor writes to."""

    def __init__(self, out: IO[bytes], sealer: Sealer | None) -> None:
        self._out = out
        self._sealer = sealer

    def write(self, data: bytes) -> int:
        self._out.write(bytes(data) if self._sealer is None else self._sealer.feed(bytes(data)))
        return len(data)

    def flush(self) -> None:
        self._out.flush()


class _Unpacked:
    """The tar file in an archive, as a stream. The library's own reader does not tell an archive whose last
    bytes are missing from a whole one; this one does."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._packed = (piece[at : at + BITE] for piece in pieces for at in range(0, len(piece), BITE))
        self._decompressor = zstandard.ZstdDecompressor().decompressobj()
        self._rest = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and not self._decompressor.eof:
            packed = next(self._packed, b"")
            if not packed:
                raise BackupError("the archive is cut off")
            self._rest += self._decompressor.decompress(packed)
        data = bytes(self._rest[:size])
        del self._rest[:size]
        return data

    def finish(self) -> None:
        """The checksum of the compression and the end of the seal come last."""
        while self.read(PIECE):
            pass
        if self._decompressor.unused_data or any(self._packed):
            raise BackupError("something was added to the end of the archive")


def measure(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    found, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
            size += len(piece)
    return size, found.hexdigest()


def sync(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())
