"""The policy's file: at start, on reload, broken, gone; and the one moment in which a change happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshbox.config import Policy
from meshbox.errors import Busy, Outdated, Refused
from meshbox.policy.texts import NOBODY, NOBODY_TEXT
from meshbox.serve import checker, policydesk
from meshbox.serve.policydesk import Change, PolicyDesk, Way
from meshbox.tailnet import policies
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, make_key, make_tailnet
from tests.tailnet.memory import MemoryStore

OPEN = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]} // open\r\n'
CLOSED = '{"acls": []}\n'
BROKEN = '{\n  "acls": 7\n}\n'
FAILING = '{"acls": [], "tests": [{"src": "ana@", "accept": ["ana@:22"]}]}'


class Said(list[tuple[str, dict[str, object]]]):
    def __call__(self, event: str, **fields: object) -> None:
        self.append((event, fields))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said()
    monkeypatch.setattr(policydesk.log, "emit", said)
    return said


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "acl.hujson"


def desk_of(t: Tailnet, file: Path | None = None) -> PolicyDesk:
    return PolicyDesk(t, Policy(path=file), lambda: NOW)


def write(file: Path, text: str | None) -> None:
    """Verbatim; None: the file is not there."""
    file.unlink(missing_ok=True)
    if text is not None:
        file.write_bytes(text.encode())


def history(t: Tailnet) -> list[tuple[str, str]]:
    return [(entry.actor, entry.note) for entry in t.store.policy_versions(9)]


async def test_a_file_is_a_version_at_start_and_again_only_when_it_differs(file: Path, said: Said) -> None:
    write(file, OPEN)
    store = MemoryStore()
    t = make_tailnet(store)
    desk = desk_of(t, file)
    await desk.start()
    assert t.policy is not None and (t.policy.text, t.policy.actor) == (OPEN, "file:acl.hujson")
    again = make_tailnet(store)
    await desk_of(again, file).start()
    assert len(history(again)) == 1 and again.policy == t.policy
    write(file, CLOSED)
    await desk.reload(Policy(path=file))
    assert desk.text == CLOSED and t.in_force.version == t.policy
    assert history(t) == [("file:acl.hujson", "")] * 2
    assert said.events == ["policy_changed"] * 2 and not desk.fault


@pytest.mark.parametrize(
    ("text", "reason"),
    [(BROKEN, "line 2, column 11"), (FAILING, "line 1, column 24: test of ana@"), (None, "is not there")],
)
async def test_a_reload_with_a_bad_file_keeps_the_old_and_says_where(
    file: Path, said: Said, text: str | None, reason: str
) -> None:
    write(file, CLOSED)
    t = make_tailnet()
    join(t, 1, make_key(t))
    desk = desk_of(t, file)
    await desk.start()
    write(file, text)
    await desk.reload(Policy(path=file))
    ((_, fields),) = [one for one in said if one[0] == "policy_refused"]
    assert str(file) in str(fields["reason"]) and reason in str(fields["reason"])
    assert desk.fault == fields["reason"] and desk.text == CLOSED and len(history(t)) == 1
    write(file, CLOSED)
    await desk.reload(Policy(path=file))
    assert not desk.fault


async def test_a_file_that_broke_while_the_server_was_down_lets_the_last_version_serve(
    file: Path, said: Said
) -> None:
    store = MemoryStore()
    write(file, OPEN)
    await desk_of(make_tailnet(store), file).start()
    write(file, BROKEN)
    t = make_tailnet(store)
    desk = desk_of(t, file)
    await desk.start()
    assert desk.text == OPEN and "line 2, column 11" in desk.fault and said.events[-1] == "policy_refused"


async def test_tests_do_not_run_at_start(file: Path, said: Said) -> None:
    write(file, FAILING)
    t = make_tailnet()
    await desk_of(t, file).start()
    assert t.policy is not None and t.policy.text == FAILING


async def test_a_first_file_that_is_broken_opens_nothing(file: Path, said: Said) -> None:
    write(file, BROKEN)
    t = make_tailnet()
    desk = desk_of(t, file)
    await desk.start()
    assert t.policy is None and t.enforcement.document is NOBODY and desk.text == NOBODY_TEXT
    write(file, OPEN)
    await desk.reload(Policy(path=file))
    assert desk.text == OPEN and not desk.fault and t.enforcement.document is not NOBODY


async def test_a_kept_version_that_cannot_be_read_is_told_loudly(said: Said) -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    policies.put(t, CLOSED, "test", "", NOW)
    policies.put(t, BROKEN, "test", "", NOW)
    again = make_tailnet(store)
    desk = desk_of(again)
    await desk.start()
    assert said.events == ["policy_fell_back"] and "version 1 serves instead" in desk.fault
    await desk.put(Change(OPEN, "local:ana"))
    assert not desk.fault and desk.text == OPEN


async def test_moving_to_the_database_keeps_what_served(file: Path, said: Said) -> None:
    write(file, CLOSED)
    t = make_tailnet()
    desk = desk_of(t, file)
    await desk.start()
    with pytest.raises(Refused, match="update is disabled: the policy is the file"):
        await desk.put(Change(OPEN, "local:ana"))
    await desk.reload(Policy(mode="database", path=file))
    assert desk.text == CLOSED
    assert (await desk.put(Change(OPEN, "local:ana", "by hand"))).id == 2
    await desk.reload(Policy(mode="file"))
    assert desk.text == OPEN
    with pytest.raises(Refused, match=r"policy.path names none"):
        await desk.put(Change(CLOSED, "local:ana"))


async def test_of_two_changes_at_once_one_is_told_to_come_back(said: Said) -> None:
    desk = desk_of(make_tailnet())
    first = asyncio.create_task(desk.put(Change(OPEN, "local:ana")))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await desk.put(Change(CLOSED, "local:ben"))
    assert (await first).id == 1


async def test_the_policy_in_force_is_explained_even_while_another_is_checked(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = make_tailnet()
    one, two = join(t, 1, make_key(t, "ana")), join(t, 2, make_key(t, "ben"))
    desk = desk_of(t)
    await desk.put(Change(OPEN, "local:ana"))
    checking = asyncio.create_task(desk.check(CLOSED))
    await asyncio.sleep(0)
    quick = await desk.explain(Way(one.id, two.id, 22), None)
    with pytest.raises(Busy):
        await desk.explain(Way(one.id, two.id, 22), CLOSED)
    await checking
    monkeypatch.setattr(policydesk, "QUICK_RULES", 0)
    assert await desk.explain(Way(one.id, two.id, 22), None) == quick
    assert quick.allowed == 1 and (await desk.explain(Way(one.id, two.id, 22), CLOSED)).allowed == 0


async def test_a_reload_waits_for_a_check_that_runs(file: Path, said: Said) -> None:
    write(file, CLOSED)
    desk = desk_of(make_tailnet(), file)
    running = asyncio.create_task(desk.check(OPEN))
    await asyncio.sleep(0)
    await desk.start()
    await running
    assert desk.text == CLOSED and not desk.fault


async def test_what_another_instance_put_in_during_the_check_is_not_run_over(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = make_tailnet()
    desk = desk_of(t)
    putting = asyncio.create_task(desk.put(Change(OPEN, "local:ana")))
    await asyncio.sleep(0.01)
    policies.put(t, CLOSED, "other", "", NOW)
    with pytest.raises(Outdated):
        await putting
    assert desk.text == CLOSED


async def test_a_check_that_cannot_start_changes_nothing(
    file: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checker.sys, "executable", "/nonexistent")
    t = make_tailnet()
    with pytest.raises(checker.CheckFailed, match="no process can be started"):
        await desk_of(t).put(Change(OPEN, "local:ana"))
    write(file, OPEN)
    await desk_of(t, file).start()
    assert t.enforcement.document is NOBODY and said.events == ["policy_refused"]
