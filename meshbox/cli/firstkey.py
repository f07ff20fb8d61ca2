"""The first user and a key, asked for as an administrator would: what joining a first device needs."""

from __future__ import annotations

from meshbox.cli.client import Api
from meshbox.cli.lives import expiry

KEY_LIFE = "24h"
FIRST_USER = "admin"


def first_key(api: Api) -> tuple[str, str]:
    """(name of the first user, a fresh key). The user is made when there is none at all."""
    users = api.get("user")["users"]
    user = users[0] if users else api.post("user", body={"name": FIRST_USER})["user"]
    wish = {"user": user["id"], "reusable": True, "expiration": expiry(KEY_LIFE)}
    return str(user["name"]), str(api.post("preauthkey", body=wish)["preAuthKey"]["key"])
