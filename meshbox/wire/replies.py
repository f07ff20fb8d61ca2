"""Answers to a registration and the people in a map (tailcfg.RegisterResponse, UserProfile).

Plain dictionaries for the encoder, with Go's omitempty already applied.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.wire.gojson import Json, omit_empty


@dataclass(frozen=True, slots=True)
class Person:
    """The owner of a node, as clients show them."""

    id: int
    login_name: str
    display_name: str
    picture_url: str = ""


def register_accepted(person: Person, is_approved: bool = True) -> Json:
    """The node is in: the client commits its key and asks for its map, which says whether it must wait for
    approval; `is_approved` here is only for its log."""
    profile = {"DisplayName": person.display_name} | omit_empty({"ProfilePicURL": person.picture_url})
    return _register_response(
        {
            "User": {"ID": person.id} | profile,
            "Login": {"ID": person.id, "Provider": "meshbox", "LoginName": person.login_name} | profile,
            "MachineAuthorized": is_approved,
        }
    )


def register_login(url: str) -> Json:
    """A person must visit `url`; the client asks again and waits."""
    return _register_response({"AuthURL": url})


def register_key_expired() -> Json:
    """The client makes a new node key and registers once more."""
    return _register_response({"NodeKeyExpired": True})


def register_refused(reason: str) -> Json:
    """`reason` is shown to the user verbatim; the client keeps trying."""
    return _register_response({"Error": reason})


def user_profile(user_id: int, login_name: str, display_name: str, picture_url: str = "") -> Json:
    """A client keeps its login over a restart only if it was told a LoginName for its own user."""
    return {"ID": user_id, "LoginName": login_name, "DisplayName": display_name} | omit_empty(
        {"ProfilePicURL": picture_url}
    )


def _register_response(said: Json) -> Json:
    return {
        "User": {"ID": 0, "DisplayName": ""},
        "Login": {"ID": 0, "Provider": "", "LoginName": "", "DisplayName": ""},
        "NodeKeyExpired": False,
        "MachineAuthorized": False,
        "AuthURL": "",
        "NodeKeySignature": None,
        "Error": "",
    } | said
