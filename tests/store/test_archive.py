from __future__ import annotations

import io
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from meshbox.errors import BackupError
from meshbox.store import archive
from meshbox.store.manifest import Manifest, Member
from meshbox.wire.sealed import public_key_of

PRIVATE = bytes(range(32))
CONTENT = {"database.sqlite": os.urandom(300_000), "files/0000-key": b"key", "files/0001-empty": b""}


@pytest.fixture
def sources(tmp_path: Path) -> list[Path]:
    found = []
    for number, content in enumerate(CONTENT.values()):
        path = tmp_path / f"source-{number}"
        path.write_bytes(content)
        found.append(path)
    return found


def described(sources: list[Path]) -> Manifest:
    members = []
    for name, path in zip(CONTENT, sources, strict=True):
        size, sha256 = archive.measure(path)
        role = "database" if name.startswith("database") else "key"
        members.append(Member(name, f"/state/{name}", role, size, sha256, 0o600, "root", "root"))  # type: ignore[arg-type]
    return Manifest(1.0, "box", "0.1", "", "/state", 1, 1, 1, 1, tuple(members))


def write(path: Path, sources: list[Path], *recipients: bytes) -> Manifest:
    manifest = described(sources)
    with path.open("wb") as out:
        archive.write(out, manifest, sources, recipients, os.urandom)
    return manifest


def read(path: Path, private: bytes | None = None) -> tuple[Manifest, dict[str, bytes]]:
    with archive.contents(path, private) as (manifest, members):
        return manifest, {member.name: content.read() for member, content in members}


@pytest.mark.parametrize("sealed", [False, True])
def test_what_goes_in_comes_out(tmp_path: Path, sources: list[Path], sealed: bool) -> None:
    path = tmp_path / "a"
    manifest = write(path, sources, *([public_key_of(PRIVATE)] if sealed else []))
    assert read(path, PRIVATE) == (manifest, CONTENT)
    assert archive.label(path)["sealed"] is sealed and archive.label(path)["nodes"] == 1
    if sealed:
        assert archive.is_sound(path)
        with pytest.raises(BackupError, match="--key-file"):
            read(path)
        with pytest.raises(BackupError, match="another key"):
            read(path, bytes(range(1, 33)))


def test_ordinary_tools_open_a_plain_one(tmp_path: Path, sources: list[Path]) -> None:
    zstd = shutil.which("zstd")
    if zstd is None:
        import zstandard

        path = tmp_path / "a"
        write(path, sources)
        tar = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()
    else:
        path = tmp_path / "a"
        write(path, sources)
        tar = subprocess.run([zstd, "-dc", str(path)], capture_output=True, check=True).stdout
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-x", "-C", str(tmp_path / "out")], input=tar, check=True)
    for name, content in CONTENT.items():
        assert (tmp_path / "out" / name).read_bytes() == content
    assert (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize("sealed", [False, True])
def test_damage_anywhere_is_found(tmp_path: Path, sources: list[Path], sealed: bool) -> None:
    path = tmp_path / "a"
    write(path, sources, *([public_key_of(PRIVATE)] if sealed else []))
    good = path.read_bytes()
    end = len(good) - 32 * sealed
    for at in (*range(0, end, max(1, len(good) // 150)), *range(end - 40, end)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(BackupError):
            read(path, PRIVATE)
        path.write_bytes(good[:at])
        with pytest.raises(BackupError):
            read(path, PRIVATE)


def test_something_added_to_the_end_is_found(tmp_path: Path, sources: list[Path]) -> None:
    path = tmp_path / "a"
    write(path, sources)
    good = path.read_bytes()
    for more in (b"x", good, bytes(5000)):
        path.write_bytes(good + more)
        with pytest.raises(BackupError, match="added to the end"):
            read(path)


def test_a_file_that_changes_while_it_is_packed_is_noticed(tmp_path: Path, sources: list[Path]) -> None:
    manifest = described(sources)
    sources[1].write_bytes(b"yek")
    with pytest.raises(BackupError, match="not what the manifest says"):
        archive.write(io.BytesIO(), manifest, sources, (), os.urandom)


def test_members_that_are_not_in_the_manifest_or_lacking(tmp_path: Path, sources: list[Path]) -> None:
    path = tmp_path / "a"
    manifest = described(sources)
    told: Manifest | None = None
    real = archive.manifests.write
    try:
        archive.manifests.write = lambda manifest: real(told)  # type: ignore[assignment, arg-type]
        for members, word in (
            (manifest.members[:-1], "more in it"),
            ((*manifest.members, replace(manifest.members[1], name="x", path="/x")), "lacks /x"),
            (
                (manifest.members[0], replace(manifest.members[1], sha256="0"), manifest.members[2]),
                "not what",
            ),
        ):
            told = replace(manifest, members=members)
            with path.open("wb") as out:
                archive.write(out, manifest, sources, (), os.urandom)
            with pytest.raises(BackupError, match=word):
                read(path)
    finally:
        archive.manifests.write = real


def test_what_is_no_archive_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(BackupError, match="no archive at"):
        read(path)
    for content in (b"", b"garbage" * 1000):
        path.write_bytes(content)
        with pytest.raises(BackupError, match="no backup of meshbox"):
            read(path)
    with pytest.raises(BackupError, match="cannot be read"):
        read(tmp_path)
