"""Files between devices: Taildrop where the policy lets people send, and Taildrive, folders over WebDAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.clients import NEWEST, Client
from tests.world.net import Guests, Net
from tests.world.process import eventually
from tests.world.sites import put_policy

DRIVE = "http://100.100.100.100:8080"
TAGS = {"tag:files": ["autogroup:admin"]}
OPEN = [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]


@pytest.fixture
def file(net: Net, tmp_path: Path) -> Iterator[Path]:
    """Where the test writes its policies; in the end everything is allowed again."""
    file = tmp_path / "policy.json"
    yield file
    put_policy(net, file)


def sends(source: Client, note: Path, target: str) -> bool:
    return source.cli("file", "cp", str(note), f"{target}:", check=False, timeout=10).code == 0


def receives(target: Client, name: str) -> str:
    inbox = target.directory / f"inbox-{name}"
    inbox.mkdir()
    target.cli("file", "get", "--wait", str(inbox))
    return (inbox / name).read_text()


def test_files_are_sent_to_whom_the_policy_names(net: Net, guests: Guests, file: Path) -> None:
    net.server.admin("users", "create", "friend", check=False)
    friend = guests.join("friend", key=net.server.create_key("friend"))
    note = net.ana.directory / "to-a-friend.txt"
    note.write_text("hello friend\n")
    net.ana.sees("friend", online=True)
    assert not sends(net.ana, note, "friend"), "another person's device takes no files"
    grant = {"src": ["lab@"], "dst": ["friend@"], "app": {"tailscale.com/cap/file-send": [{}]}}
    put_policy(net, file, grants=[*OPEN, grant])
    eventually(lambda: sends(net.ana, note, "friend"), 20, "ana sends her friend a file")
    assert receives(friend, note.name) == "hello friend\n"
    assert not sends(friend, note, "ana"), "and the way back is not open"
    put_policy(net, file, grants=OPEN)
    eventually(lambda: not sends(net.ana, note, "friend"), 5, "the way is closed again")


def let_become_users(client: Client) -> None:
    """A client reads shared folders as the user that shared them, with `su`, which wants to know how."""
    assert client.host.etc is not None
    directory = client.host.etc / "pam.d"
    directory.mkdir(exist_ok=True)
    rules = (
        "auth sufficient pam_rootok.so",
        "account required pam_permit.so",
        "session required pam_permit.so",
    )
    (directory / "su").write_text("\n".join(rules) + "\n")


def test_a_folder_is_shared_and_read(net: Net, guests: Guests, file: Path) -> None:
    # 1.68.0 shares only where it has sudo; there a newer client shares and the old one reads.
    sharer = guests.start("sharer", version=NEWEST if net.version == "1.68.0" else net.version).up(net.key)
    let_become_users(sharer)
    folder = sharer.directory / "folder"
    folder.mkdir()
    (folder / "plan.txt").write_text("the plan")
    folder.chmod(0o755)
    refused = sharer.cli("drive", "share", "plans", str(folder), check=False)
    assert refused.code != 0, "without the attribute nothing is shared"
    reader = {"tailscale.com/cap/drive": [{"shares": ["plans"], "access": "ro"}]}
    attributes = [{"target": ["lab@"], "attr": ["drive:share", "drive:access"]}]
    put_policy(
        net, file, nodeAttrs=attributes, grants=[*OPEN, {"src": ["lab@"], "dst": ["lab@"], "app": reader}]
    )
    eventually(
        lambda: sharer.cli("drive", "share", "plans", str(folder), check=False).code == 0,
        10,
        "a folder is shared",
    )
    page = f"{DRIVE}/mesh.lab/sharer/plans/plan.txt"
    assert net.ana.fetch(page, within=30) == "the plan"
    write = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-T", str(folder / "plan.txt")]
    said = net.ana.host.run(*write, f"{DRIVE}/mesh.lab/sharer/plans/new.txt", check=False).out
    assert said.startswith("4") and not (folder / "new.txt").exists(), "read only"
