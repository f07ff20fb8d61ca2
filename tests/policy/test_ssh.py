from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.policy.ssh import CHECK_URL
from tests.policy.sshworld import (
    ANA,
    BENS,
    BOTH,
    CATS,
    DB,
    DEVICES,
    LAPTOP,
    PEOPLE,
    PHONE,
    PLAIN,
    WEB,
    as_client,
    compiled,
    rule,
)

ACCEPT = {
    "accept": True,
    "allowAgentForwarding": True,
    "allowLocalPortForwarding": True,
    "allowRemotePortForwarding": True,
}
LOCALPART = "localpart:*@example.com"


def principals(*numbers: int) -> list[dict[str, str]]:
    v4 = [{"nodeIP": f"100.64.0.{number}"} for number in numbers]
    return v4 + [{"nodeIP": f"fd7a:115c:a1e0::{number:x}"} for number in numbers]


def written(*rules: dict[str, Any], to: int, **sections: Any) -> list[Any]:
    return compiled(*rules, **sections).rules(to)


def test_a_rule_in_wire_form() -> None:
    one = rule("group:staff", "tag:web", "ubuntu", acceptEnv=["TERM", "LC_*"])
    assert written(one, to=WEB) == [
        {
            "principals": principals(LAPTOP, PHONE, BENS),
            "sshUsers": {"root": "", "ubuntu": "ubuntu"},
            "action": ACCEPT,
            "acceptEnv": ["TERM", "LC_*"],
        }
    ]
    assert written(one, to=BOTH) == written(one, to=WEB)
    for other in (DB, PLAIN, LAPTOP, BENS):
        assert written(one, to=other) == []


def test_no_rules_are_an_empty_list_and_never_nothing() -> None:
    assert compiled().policy(WEB) == {"rules": []}


@pytest.mark.parametrize(
    ("users", "names"),
    [
        (["root"], {"root": "root"}),
        (["autogroup:nonroot"], {"root": "", "*": "="}),
        (["autogroup:nonroot", "root"], {"root": "root", "*": "="}),
        (["tag:foo", "localpart:"], {"root": "", "tag:foo": "tag:foo", "localpart:": "localpart:"}),
        (["localpart:*@"], {"root": "", "localpart:*@": "localpart:*@"}),
    ],
)
def test_login_names(users: list[str], names: dict[str, str]) -> None:
    (one,) = written(rule("ana@example.com", "tag:web", *users), to=WEB)
    assert one["sshUsers"] == names


def test_a_check_says_only_where_to_ask_and_comes_first() -> None:
    accept, check = (
        rule("group:staff", "tag:web", "root"),
        rule("group:staff", "tag:web", "root", action="check"),
    )
    actions = [one["action"] for one in written(accept, {**check, "checkPeriod": "1h"}, to=WEB)]
    assert actions == [{"holdAndDelegate": CHECK_URL}, ACCEPT]


def test_own_devices_only() -> None:
    for one in (
        rule("autogroup:member", "autogroup:self", "root"),
        rule("autogroup:member", "autogroup:member", "root"),
    ):
        assert [part["principals"] for part in written(one, to=LAPTOP)] == [principals(LAPTOP, PHONE)]
        assert [part["principals"] for part in written(one, to=BENS)] == [principals(BENS)]
        assert written(one, to=WEB) == []
    (own,) = written(rule("ana@example.com", "ana@example.com", "root"), to=PHONE)
    assert own["principals"] == principals(LAPTOP, PHONE)
    assert written(rule("ana@example.com", "ana@example.com", "root"), to=BENS) == []


def test_every_tag_counts_a_device_once_more() -> None:
    (one,) = written(rule("autogroup:tagged", "tag:other", "root"), to=PLAIN)
    assert len(one["principals"]) == 2 * 5


def test_local_parts_split_a_rule_by_person() -> None:
    one = rule("autogroup:member", "tag:web", LOCALPART, "ubuntu")
    common = {"root": "", "ubuntu": "ubuntu"}
    parts = [(part["principals"], part["sshUsers"]) for part in written(one, to=WEB)]
    assert parts == [
        (principals(LAPTOP, PHONE), common),
        (principals(LAPTOP, PHONE), {"ana": "ana"}),
        (principals(BENS), common),
        (principals(CATS), common),
    ]


def test_sources_of_a_local_part_hear_what_concerns_themselves() -> None:
    one = rule("autogroup:member tag:db", "tag:web", LOCALPART)
    assert [part["principals"] for part in written(one, to=LAPTOP)] == [principals(LAPTOP, PHONE)] * 2
    assert [part["principals"] for part in written(one, to=BENS)] == [principals(BENS)]
    assert [part["principals"] for part in written(one, to=DB)] == [principals(DB)]
    assert written(one, to=WEB)[-1]["principals"] == principals(DB, BOTH)
    assert written(one, to=PLAIN) == []
    assert written(rule("autogroup:member", "tag:unused", LOCALPART), to=LAPTOP) == []


def test_a_login_called_root_opens_no_root() -> None:
    one = rule("autogroup:member", "tag:web", LOCALPART)
    assert compiled(one).outcome(CATS, WEB, "root") is None


def test_postures_narrow_the_sources() -> None:
    postures = {"posture:desk": ["node:os == 'linux'"], "posture:other": ["node:os == 'windows'"]}
    plain = rule("ana@example.com", "tag:web", "root")
    named, free = {**plain, "srcPosture": ["posture:other", "posture:desk"]}, {**plain, "srcPosture": []}
    default = {"postures": postures, "defaultSrcPosture": ["posture:other"]}
    assert [part["principals"] for part in written(named, to=WEB, postures=postures)] == [principals(LAPTOP)]
    assert written(plain, to=WEB, **default) == []
    assert [part["principals"] for part in written(named, to=WEB, **default)] == [principals(LAPTOP)]
    assert [part["principals"] for part in written(free, to=WEB, **default)] == [principals(LAPTOP, PHONE)]


def test_recorders() -> None:
    one = rule("ana@example.com", "tag:web", "root", recorder=["tag:db"])
    addresses = [
        "100.64.0.6:80", "[fd7a:115c:a1e0::6]:80", "100.64.0.7:80", "[fd7a:115c:a1e0::7]:80",
    ]  # fmt: skip
    (part,) = written(one, to=WEB)
    told = {"NotifyURL": "https://unused/machine/ssh/recording"}
    assert part["action"] == {**ACCEPT, "recorders": addresses, "onRecordingFailure": told}
    (part,) = written({**one, "enforceRecorder": True}, to=WEB)
    assert set(part["action"]["onRecordingFailure"]) == {
        "NotifyURL", "RejectSessionWithMessage", "TerminateSessionWithMessage",
    }  # fmt: skip


def test_an_enforced_recorder_that_nobody_runs_opens_nothing() -> None:
    one = rule("ana@example.com", "tag:web", "root", recorder=["tag:unused"])
    assert written(one, to=WEB)[0]["action"] == ACCEPT
    (part,) = written({**one, "enforceRecorder": True}, to=WEB)
    assert part["action"]["reject"] is True and "accept" not in part["action"]


def test_the_rule_that_decides_says_how_long_a_check_holds() -> None:
    ssh = compiled(
        rule("group:staff", "tag:web", "ubuntu", action="check", checkPeriod="1h"),
        rule("ana@example.com", "tag:web", "root", action="check", checkPeriod="always"),
        rule("group:staff", "tag:web", "root"),
    )
    first, second = ssh.decide(LAPTOP, WEB, "ubuntu"), ssh.decide(LAPTOP, WEB, "root")
    assert first and second
    assert (first.check_period, second.check_period) == (3600.0, 0.0)
    assert ssh.accepted(first) == ACCEPT
    assert ssh.outcome(BENS, WEB, "root") == "accept"
    assert ssh.decide(BENS, DB, "root") is None


def allows(one: dict[str, Any], source: int, destination: int, login: str) -> bool:
    """A rule as the documents put it, for one pair and one name."""
    return (
        means(one["src"], source)
        and (reaches(one, source, destination) or concerns_itself(one, source, destination))
        and any(opens(user, source, login) for user in one["users"])
    )


def means(selectors: list[str], number: int) -> bool:
    return any(_means(selector, number) for selector in selectors)


def _means(selector: str, number: int) -> bool:
    it = DEVICES[number]
    login = PEOPLE[it.user_id].login if it.user_id else ""
    return {
        "autogroup:member": bool(login),
        "autogroup:tagged": bool(it.tags),
        "group:staff": login in ("ana@example.com", "ben@elsewhere.org"),
        "user:*@example.com": login.endswith("@example.com"),
    }.get(selector, selector == login or selector in it.tags)


def reaches(one: dict[str, Any], source: int, destination: int) -> bool:
    if DEVICES[destination].tags:
        return means(
            [word for word in one["dst"] if word.startswith(("tag:", "autogroup:tagged"))], destination
        )
    own = {"autogroup:self", "autogroup:member", "ana@example.com"} & set(one["dst"])
    return bool(own) and DEVICES[source].user_id == DEVICES[destination].user_id


def concerns_itself(one: dict[str, Any], source: int, destination: int) -> bool:
    has_destination = bool(set(one["dst"]) - {"tag:unused"})
    if LOCALPART not in one["users"] or not has_destination or not means(one["src"], destination):
        return False
    if source == destination:
        return True
    same = DEVICES[source].user_id == DEVICES[destination].user_id
    return same and not DEVICES[source].tags and not DEVICES[destination].tags


def opens(user: str, source: int, login: str) -> bool:
    if user == "autogroup:nonroot":
        return login != "root"
    if user == LOCALPART:
        return login == "ana" and DEVICES[source].user_id == ANA
    return user == login


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    people = ["autogroup:member", "group:staff", "user:*@example.com", "ana@example.com", "ben@elsewhere.org"]
    tags = ["tag:web", "tag:db", "tag:other"]
    action = draw(st.sampled_from(["accept", "check"]))
    kind = draw(st.sampled_from(["self", "one", "tags", "tags"]))
    if kind == "one":
        src, dst = ["ana@example.com"], ["ana@example.com"]
    elif kind == "self":
        src = draw(st.lists(st.sampled_from(people), min_size=1, max_size=2))
        own = draw(st.sampled_from(["autogroup:self", "autogroup:member"]))
        dst = [own, *draw(st.lists(st.sampled_from(tags), max_size=1))]
    else:
        from_tags = [] if action == "check" else [*tags, "autogroup:tagged"]
        src = draw(st.lists(st.sampled_from(people + from_tags), min_size=1, max_size=3))
        dst = draw(
            st.lists(st.sampled_from([*tags, "autogroup:tagged", "tag:unused"]), min_size=1, max_size=2)
        )
    users = st.sampled_from(["root", "autogroup:nonroot", "ubuntu", LOCALPART, "ana"])
    return rule(" ".join(src), " ".join(dst), *draw(st.lists(users, min_size=1, max_size=3)), action=action)


@settings(max_examples=150, deadline=None)
@given(st.lists(rules(), max_size=4))
def test_rules_decide_as_the_documents_say(several: list[dict[str, Any]]) -> None:
    ssh = compiled(*several)
    for destination in DEVICES:
        sent = ssh.rules(destination)
        for source, it in DEVICES.items():
            for login in ("root", "ubuntu", "ana", "zoe"):
                fits = {one["action"] for one in several if allows(one, source, destination, login)}
                wanted = "check" if "check" in fits else "accept" if fits else None
                assert as_client(sent, it, login) == wanted, (source, destination, login)
                assert ssh.outcome(source, destination, login) == wanted
