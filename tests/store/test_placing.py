from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.store import archive, placing
from meshbox.store.manifest import Member
from meshbox.store.placing import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    source = tmp_path / "staged"
    source.write_text("restored")
    size, sha256 = archive.measure(source)
    member = Member("files/0", "/state/deep/key", "key", size, sha256, 0o640, "nobody", "nogroup")
    return Place(member, source, tmp_path / "state/deep/key")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_gets_its_place_mode_and_private_directories(place: Place, tmp_path: Path) -> None:
    assert placing.in_the_way([place]) == []
    assert placing.put([place], tmp_path / "state") == []
    assert place.target.read_text() == "restored"
    assert place.target.stat().st_mode & 0o777 == 0o640
    assert [one.stat().st_mode & 0o777 for one in (tmp_path / "state", place.target.parent)] == [0o700, 0o700]
    assert names(place.target.parent) == ["key"]


def test_what_differs_is_in_the_way_and_is_kept(place: Place, tmp_path: Path) -> None:
    place.target.parent.mkdir(parents=True)
    for number in (1, 2):
        place.target.write_text(f"older {number}")
        assert placing.in_the_way([place]) == [place.target]
        assert placing.put([place], tmp_path) == [place.target.with_name(f"key.replaced-{number}")]
    assert names(place.target.parent) == ["key", "key.replaced-1", "key.replaced-2"]
    assert place.target.read_text() == "restored"
    assert place.target.with_name("key.replaced-1").read_text() == "older 1"


def test_what_is_the_same_stays_as_it_is(place: Place, tmp_path: Path) -> None:
    place.target.parent.mkdir(parents=True)
    place.target.write_text("restored")
    before = place.target.stat().st_ino
    assert placing.in_the_way([place]) == [] == placing.put([place], tmp_path)
    assert place.target.stat().st_ino == before


def test_a_link_is_replaced_and_not_written_through(place: Place, tmp_path: Path) -> None:
    place.target.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text("not ours")
    place.target.symlink_to(tmp_path / "elsewhere")
    assert placing.in_the_way([place]) == [place.target]
    [aside] = placing.put([place], tmp_path)
    assert aside.is_symlink() and not place.target.is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "not ours"


@pytest.mark.root
def test_it_belongs_to_whom_it_belonged(place: Place, tmp_path: Path) -> None:
    placing.put([place], tmp_path / "state")
    assert (place.target.owner(), place.target.group()) == ("nobody", "nogroup")
    assert place.target.parent.owner() == "nobody"
