from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import BackupError
from meshbox.store import manifest as manifests
from meshbox.store.manifest import LeftOut, Manifest, Member

DATABASE = Member("database.sqlite", "/state/db.sqlite", "database", 5, "00", 0o600, "meshbox", "meshbox")
KEY = Member("files/0000-key", "/state/noise.key", "key", 7, "11", 0o600, "meshbox", "meshbox")
MANIFEST = Manifest(
    1.5, "box", "0.1", "/etc/meshbox/config.yaml", "/state", 1, 3, 2, 9, (DATABASE, KEY),
    (LeftOut("/state/core", "too large"),),
)  # fmt: skip


def test_what_is_written_is_read() -> None:
    assert manifests.read(manifests.write(MANIFEST)) == MANIFEST
    assert MANIFEST.database is DATABASE


def test_the_label_tells_nothing_of_what_is_inside() -> None:
    assert set(MANIFEST.label()) == {"format", "created_at", "host", "version", "schema", "users", "nodes"}


def test_a_later_format_is_refused_by_name() -> None:
    with pytest.raises(BackupError, match="format 2"):
        manifests.read(json.dumps({"format": 2}).encode())


@pytest.mark.parametrize("path", ["relative", "/etc/../../x", "../x", "", "/a\0b"])
def test_paths_that_lead_astray_are_refused(path: str) -> None:
    astray = replace(MANIFEST, members=(DATABASE, replace(KEY, path=path)))
    with pytest.raises(BackupError, match="no backup of ours"):
        manifests.read(manifests.write(astray))


@pytest.mark.parametrize(
    "members",
    [(), (KEY,), (DATABASE, DATABASE), (DATABASE, replace(KEY, name=DATABASE.name)),
     (DATABASE, replace(KEY, path=DATABASE.path)), (DATABASE, replace(KEY, role="database"))],
)  # fmt: skip
def test_a_manifest_must_make_sense(members: tuple[Member, ...]) -> None:
    with pytest.raises(BackupError, match="manifest is damaged"):
        manifests.read(manifests.write(replace(MANIFEST, members=members)))


def test_no_mode_beyond_permissions() -> None:
    with pytest.raises(BackupError):
        manifests.read(manifests.write(replace(MANIFEST, members=(DATABASE, replace(KEY, mode=0o4755)))))


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["format", *asdict(MANIFEST)]), json_values)
def test_no_value_is_a_crash(name: str, value: Any) -> None:
    whole = {"format": 1, **asdict(MANIFEST), name: value}
    try:
        manifests.read(json.dumps(whole).encode())
    except BackupError:
        assert True


@given(st.binary(max_size=60))
def test_no_bytes_are_a_crash(raw: bytes) -> None:
    with pytest.raises(BackupError):
        manifests.read(raw)
