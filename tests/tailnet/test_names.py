"""Labels: every host name becomes one that is safe, and every node gets its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshbox.errors import Conflict
from meshbox.tailnet.names import FALLBACK, LABEL_LIMIT, sanitise, unique

LABEL = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@pytest.mark.parametrize(
    ("hostname", "label"),
    [
        ("lab1", "lab1"),
        ("DESKTOP-ABC123", "desktop-abc123"),
        ("Joe's Mac mini", "joes-mac-mini"),
        ("Zoë’s iPhone", "zoes-iphone"),
        ("my_host", "my-host"),
        ("a  --  b", "a-b"),
        ("-x-", "x"),
        ("Müller Büro", "muller-buro"),
        ("Straße", "strasse"),
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("Þór", "thor"),
        ("İstanbul", "istanbul"),
        ("ＡＢＣ", "abc"),
        ("host.local", "host"),
        ("host.lan", "host"),
        ("db1.example.com", "db1"),
        ("ip-10-0-0-1.ec2.internal", "ip-10-0-0-1"),
        ("lab1.", "lab1"),
        ("10.0.0.7", "10-0-0-7"),
        ("Mac OS 14.5", "mac-os-14-5"),
        ("a" * 10_000, "a" * 63),
        ("a" * 62 + " b", "a" * 62),
    ],
)
def test_a_host_name_becomes_the_label_people_expect(hostname: str, label: str) -> None:
    assert sanitise(hostname) == label


@pytest.mark.parametrize(
    "hostname",
    [
        "",
        " ",
        "-",
        "...",
        "localhost",
        "LOCALHOST",
        "localhost.localdomain",
        "😀",
        "小明",
        "ноутбук",
        "\u202e",
        "\x00",
    ],
)
def test_what_gives_no_name_is_a_node(hostname: str) -> None:
    assert sanitise(hostname) == FALLBACK


@pytest.mark.parametrize(
    ("hostname", "label"),
    [
        ("../x", "x"),
        ("<script>alert(1)</script>", "script-alert-1-script"),
        ("a\nb", "a-b"),
        ("moc\u202eelpmaxe", "moc-elpmaxe"),
        # An IDNA label shows as other letters than it has: "xn--pple-43d" is "аpple" in Cyrillic.
        ("xn--pple-43d", "xn-pple-43d"),
        ("XN--pple-43d.com", "xn-pple-43d"),
        ("x\u0301n--pple", "xn-pple"),
        # A Cyrillic letter is not passed off as its Latin twin.
        ("\u0430pple", "pple"),
    ],
)
def test_no_host_name_deceives(hostname: str, label: str) -> None:
    assert sanitise(hostname) == label


@given(st.text() | st.text(alphabet="xn-. aä'😀", max_size=80))
@example("\ufdfa" * 10_000)
@example("a." * 5000)
def test_every_host_name_gives_a_sound_label(hostname: str) -> None:
    label = sanitise(hostname)
    assert LABEL.fullmatch(label)
    assert len(label) <= LABEL_LIMIT
    # An administrator may type the very label, so it must stay as it is.
    assert sanitise(label) == label


def test_the_second_of_a_name_is_one() -> None:
    taken: set[str] = set()
    for expected in ("lab", "lab-1", "lab-2", "lab-3", "lab-4", "lab-5"):
        assert unique("lab", taken.__contains__) == expected
        taken.add(expected)


def test_a_name_cut_at_a_dash_does_not_double_it() -> None:
    label = "a" * 60 + "-bb"
    assert unique(label, {label}.__contains__) == "a" * 60 + "-1"


def test_a_released_name_is_given_again() -> None:
    taken = {"lab", "lab-1", "lab-2"}
    assert unique("lab", (taken - {"lab"}).__contains__) == "lab"


@given(st.sampled_from(["lab", "a" * 63, "a" * 61 + "-b"]), st.sets(st.integers(1, 300)))
def test_a_unique_name_is_free_and_sound_whatever_is_taken(label: str, numbers: set[int]) -> None:
    taken = {label, *(f"{label[: 62 - len(str(number))].rstrip('-')}-{number}" for number in numbers)}
    name = unique(label, taken.__contains__)
    assert name not in taken
    assert LABEL.fullmatch(name)
    assert len(name) <= LABEL_LIMIT
    assert sanitise(name) == name


def test_ten_thousand_nodes_of_one_name_cost_a_few_questions_each() -> None:
    taken: set[str] = set()
    asked = 0

    def is_taken(label: str) -> bool:
        nonlocal asked
        asked += 1
        return label in taken

    for _ in range(10_000):
        taken.add(unique("node", is_taken))
    assert "node-9999" in taken
    assert asked < 10_000 * 30


def test_there_is_an_end_to_it() -> None:
    with pytest.raises(Conflict, match="lab"):
        unique("lab", lambda label: True)
