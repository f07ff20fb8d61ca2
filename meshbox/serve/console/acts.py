"""What a button does: one request to the administration API, or the same one for each of several things.

The fields of a form become the request: those named in the braces of the path go there, all others into the
body. So a form of the console can do what the API can, with the API's own refusals, and nothing else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshbox.errors import Invalid, MeshboxError, Refused
from meshbox.policy.problem import PolicyError
from meshbox.serve.api.call import Call, Context, Json
from meshbox.serve.api.lookup import find_node
from meshbox.serve.console.asking import ask
from meshbox.serve.console.form import Form
from meshbox.serve.console.sessions import Notice
from meshbox.tailnet.tailnet import Tailnet

AT_ONCE = 1000
"""Things that one button may be for: each is a commit of its own, all together some seconds."""

OF_THE_FORM = frozenset({"act", "form_token", "confirm", "called"})


@dataclass(frozen=True, slots=True)
class Act:
    """`said` is told when it is done; `flags` are fields that are true when they are there, `lists` such with
    several values, apart by spaces or commas. With `each`, it is done for every value of that field. `then`
    is where to go next, "" the same screen. `is_question`: it changes nothing, and its answer is shown.
    `is_own`: the `node` must be the person's own. With `asks_twice` the form must repeat, in `confirm`, what
    the thing is `called`. `secret` says where in the answer a key is that is shown once, `command` what to
    type with it."""

    method: str
    path: str
    said: str = ""
    flags: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    each: str = ""
    then: str = ""
    is_question: bool = False
    is_own: bool = False
    asks_twice: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)
    secret: tuple[str, ...] = ()
    command: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(re.findall(r"{(\w+)}", self.path))


ACTS: Mapping[str, Act] = {
    "mine.rename": Act("POST", "/node/{node}/rename/{name}", "renamed", is_own=True),
    "mine.expire": Act(
        "POST", "/node/{node}/expire", "logged out", fixed={"disableExpiry": False}, is_own=True
    ),
    "mine.delete": Act("DELETE", "/node/{node}", "deleted", asks_twice=True, is_own=True),
    "node.approve": Act("POST", "/node/{node}/approve", "approved", each="node"),
    "node.delete": Act(
        "DELETE", "/node/{node}", "deleted", each="node", asks_twice=True, then="/console/machines"
    ),
    "node.expire": Act(
        "POST", "/node/{node}/expire", "logged out", each="node", fixed={"disableExpiry": False}
    ),
    "node.keep": Act(
        "POST", "/node/{node}/expire", "the key expires no more", each="node", fixed={"disableExpiry": True}
    ),
    "node.renew": Act("POST", "/node/{node}/renew", "the key is renewed", each="node"),
    "node.rename": Act("POST", "/node/{node}/rename/{name}", "renamed"),
    "node.tags": Act("POST", "/node/{node}/tags", "the tags are set", lists=("tags",), each="node"),
    "node.user": Act("POST", "/node/{node}/user", "the owner is changed", each="node"),
    "node.routes": Act("POST", "/node/{node}/approve_routes", "the routes are set", lists=("routes",)),
    "route.approve": Act("POST", "/route/approve", "the route is approved", lists=("routes",)),
    "auth.approve": Act("POST", "/auth/approve", "the device is in"),
    "auth.reject": Act("POST", "/auth/reject", "the device is turned away"),
    "ssh.approve": Act("POST", "/ssh/approve", "the login goes on"),
    "ssh.reject": Act("POST", "/ssh/reject", "the login is turned away"),
    "user.create": Act("POST", "/user", "{name} is there"),
    "user.rename": Act("POST", "/user/{user}/rename/{name}", "renamed to {name}", then="/console/users"),
    "user.role": Act("POST", "/user/{user}/role", "the role is {role}"),
    "user.delete": Act("DELETE", "/user/{user}", "the user is gone", asks_twice=True, then="/console/users"),
    "key.create": Act(
        "POST", "/preauthkey", "a pre-auth key; it is shown only now",
        flags=("reusable", "ephemeral", "preapproved"), lists=("aclTags",), secret=("preAuthKey", "key"),
        command="tailscale up --login-server {server_url} --auth-key {secret}",
    ),
    "key.expire": Act("POST", "/preauthkey/expire", "nobody joins with that key any more"),
    "key.delete": Act("DELETE", "/preauthkey", "the key is deleted"),
    "api.create": Act("POST", "/apikey", "an API key; it is shown only now", secret=("apiKey",)),
    "api.expire": Act("POST", "/apikey/expire", "the API key lets nobody in any more"),
    "api.delete": Act("DELETE", "/apikey/{prefix}", "the API key is deleted"),
    "policy.put": Act("PUT", "/policy", "the policy is in force"),
    "policy.check": Act("POST", "/policy/check", is_question=True),
    "policy.diff": Act("POST", "/policy/diff", is_question=True),
    "policy.explain": Act("POST", "/policy/explain", is_question=True),
    "policy.restore": Act("POST", "/policy/{version}/restore", "version {version} is in force again"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hand:
    """Who presses: the name in the audit, and the person when it is one."""

    actor: str
    user_id: int | None = None


async def perform(context: Context, hand: Hand, act: Act, form: Form) -> tuple[Notice, Json]:
    """Do it; what to say, and the API's last answer. Raises MeshboxError."""
    if act.asks_twice and form.text("confirm").strip() != form.text("called"):
        raise Invalid(f"nothing was deleted: type {form.text('called')} into the field to confirm")
    subjects = tuple(dict.fromkeys(form.all(act.each))) if act.each else ("",)
    if not subjects:
        raise Invalid("nothing is chosen; tick what it is about")
    if len(subjects) > AT_ONCE:
        raise Invalid(f"at most {AT_ONCE} at once")
    answer: Json = {}
    for done, subject in enumerate(subjects):
        try:
            answer = await _request(context, hand, act, form, subject)
        except MeshboxError as error:
            if len(subjects) == 1:
                raise
            raise Invalid(f"{told(error)} ({done} of {len(subjects)} were done)") from None
        if len(subjects) > 1:
            await asyncio.sleep(0)
    return _notice(context, act, form, len(subjects), answer), answer


def told(error: MeshboxError) -> str:
    """In a sentence."""
    return error.told if isinstance(error, PolicyError) else str(error)


async def _request(context: Context, hand: Hand, act: Act, form: Form, subject: str) -> Json:
    places = {name: subject if name == act.each else form.text(name).strip() for name in act.places}
    for name, value in places.items():
        if not value:
            raise Invalid(f"{name}: is missing")
    if act.is_own:
        # Asked of the very text that the API is given: another spelling could be another's machine.
        _require_own(context.tailnet, hand.user_id, places["node"])
    body: dict[str, Any] = {
        name: form.text(name) for name in form.fields if name not in OF_THE_FORM and name not in places
    }
    for name in act.flags:
        body[name] = name in form
    for name in act.lists:
        body[name] = [word for value in form.all(name) for word in re.split(r"[\s,]+", value) if word]
    call = Call(context, hand.actor, context.clock(), places, {}, body | dict(act.fixed))
    return await ask(call, act.method, act.path)


def _require_own(t: Tailnet, user_id: int | None, named: str) -> None:
    """The machine belongs to the person. Raises Refused, NotFound."""
    if user_id is None or find_node(t, named).user_id != user_id:
        raise Refused("this machine is not yours")


def _notice(context: Context, act: Act, form: Form, count: int, answer: Json) -> Notice:
    words = {name: form.text(name) for name in form.fields}
    said = act.said.format_map(words)
    secret: Any = answer if act.secret else ""
    for name in act.secret:
        secret = secret[name]
    command = act.command.format(server_url=context.server_url, secret=secret) if act.command else ""
    return Notice(f"{count} machines: {said}" if count > 1 else said[:1].upper() + said[1:], secret, command)
