"""/api/v1/user: who nodes belong to."""

from __future__ import annotations

from meshbox.errors import Invalid
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_user
from meshbox.serve.api.shapes import user_json
from meshbox.tailnet import signin, users
from meshbox.tailnet.users import UserWish


@endpoint("GET", "/user", Audience.ADMINISTRATOR)
def list_users(call: Call) -> Listing:
    """`name` wins over `email`, that over `id`; a filter that fits nobody gives an empty list."""
    found = list(call.tailnet.users.values())
    for field in ("name", "email", "id"):
        wanted = call.query.get(field)
        if wanted:
            found = [user for user in found if str(getattr(user, field)) == wanted]
            break
    return Listing("users", found, user_json)


@endpoint("GET", "/user/{user}", Audience.ADMINISTRATOR)
def show_user(call: Call) -> Json:
    return {"user": user_json(find_user(call.tailnet, call.path["user"]))}


@endpoint("POST", "/user", Audience.ADMINISTRATOR)
def create_user(call: Call) -> Json:
    wish = UserWish(
        name=call.wants("name"),
        display_name=call.text("displayName"),
        email=call.text("email"),
        picture_url=call.text("pictureUrl"),
    )
    return {"user": user_json(users.create(call.tailnet, wish, call.actor, call.now))}


@endpoint("POST", "/user/{user}/rename/{name}", Audience.ADMINISTRATOR)
def rename_user(call: Call) -> Json:
    user = find_user(call.tailnet, call.path["user"])
    return {"user": user_json(users.rename(call.tailnet, user.id, call.path["name"], call.actor, call.now))}


@endpoint("POST", "/user/{user}/role", Audience.ADMINISTRATOR)
def set_role(call: Call) -> Json:
    user = find_user(call.tailnet, call.path["user"])
    changed = users.set_role(call.tailnet, user.id, call.wants("role"), call.actor, call.now)
    return {"user": user_json(changed)}


@endpoint("POST", "/user/{user}/groups", Audience.ADMINISTRATOR)
def set_groups(call: Call) -> Json:
    """Replaces them all; `groups` must be there, so that a body with a typing error does not empty them."""
    if "groups" not in call.body:
        raise Invalid("groups: is missing; send [] to take the user out of all")
    user = find_user(call.tailnet, call.path["user"])
    changed = users.set_groups(call.tailnet, user.id, call.texts("groups"), call.actor, call.now)
    return {"user": user_json(changed)}


@endpoint("POST", "/user/{user}/identity", Audience.ADMINISTRATOR)
async def link_user(call: Call) -> Json:
    """Who signs in as this user; an empty `subject` is nobody. Without `issuer` it is the server's own
    provider, which is asked how it writes itself."""
    if "subject" not in call.body:
        raise Invalid("subject: is missing; send an empty one to have nobody sign in as this user")
    subject, issuer = call.text("subject"), call.text("issuer")
    if subject and not issuer:
        if call.context.sign_in is None:
            raise Invalid("issuer: is missing, and this server has no sign-in provider (oidc.issuer)")
        issuer = await call.context.sign_in.issuer()
    user = find_user(call.tailnet, call.path["user"])
    return {"user": user_json(signin.link(call.tailnet, user.id, issuer, subject, call.actor, call.now))}


@endpoint("DELETE", "/user/{user}", Audience.ADMINISTRATOR)
def delete_user(call: Call) -> Json:
    users.delete(call.tailnet, find_user(call.tailnet, call.path["user"]).id, call.actor, call.now)
    return {}
