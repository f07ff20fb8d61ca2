"""Answers to a registration, read in the order in which clients read them."""

from __future__ import annotations

import orjson
import pytest

from meshbox.wire.gojson import Json
from meshbox.wire.replies import (
    Person,
    register_accepted,
    register_key_expired,
    register_login,
    register_refused,
    user_profile,
)

ANA = Person(7, "ana@example.org", "Ana", "https://example.org/ana.png")


def what_the_client_does(reply: Json) -> str:
    """controlclient.Direct.doLogin, in its order."""
    if reply["Error"]:
        return f"shows {reply['Error']}"
    if reply["NodeKeySignature"]:
        return "signs again"
    if reply["NodeKeyExpired"]:
        return "makes a new key"
    if reply["AuthURL"]:
        return f"opens {reply['AuthURL']}"
    return "is in"


@pytest.mark.parametrize(
    ("reply", "does"),
    [
        (register_accepted(ANA), "is in"),
        (register_login("https://ctl/register/x"), "opens https://ctl/register/x"),
        (register_key_expired(), "makes a new key"),
        (register_refused("auth key expired"), "shows auth key expired"),
    ],
)
def test_each_answer_leads_the_client_to_one_act(reply: Json, does: str) -> None:
    assert what_the_client_does(reply) == does
    assert orjson.loads(orjson.dumps(reply)) == reply


def test_an_accepted_node_learns_whose_it_is() -> None:
    reply = register_accepted(ANA)
    assert reply["User"] == {"ID": 7, "DisplayName": "Ana", "ProfilePicURL": ANA.picture_url}
    assert reply["Login"] == {
        "ID": 7,
        "Provider": "meshbox",
        "LoginName": "ana@example.org",
        "DisplayName": "Ana",
        "ProfilePicURL": ANA.picture_url,
    }
    assert reply["MachineAuthorized"] is True


def test_a_profile_leaves_out_a_picture_there_is_not() -> None:
    assert user_profile(7, "ana", "Ana") == {"ID": 7, "LoginName": "ana", "DisplayName": "Ana"}
    assert user_profile(7, "ana", "Ana", "https://p")["ProfilePicURL"] == "https://p"
