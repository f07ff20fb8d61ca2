"""A screen: a function from what is asked for to what is shown, and the acts its buttons stand for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meshbox.serve.api.call import Call, Context, Json
from meshbox.serve.console.asking import ask
from meshbox.serve.console.form import NOTHING, Form
from meshbox.serve.console.rights import Right
from meshbox.serve.pages.page import CONSOLE_PATH
from meshbox.tailnet.tailnet import Tailnet

ROOT = CONSOLE_PATH

Tab = Literal["mine", "overview", "machines", "waiting", "users", "keys", "access", "names", "activity"]


@dataclass(frozen=True, slots=True)
class Sight:
    """A request for a screen by somebody who is signed in; `user_id` is None for an API key. After a button,
    `given` is the form that was sent, and `answers` what a question among the acts brought, by its name."""

    context: Context
    actor: str
    now: float
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    given: Form = NOTHING
    answers: Mapping[str, Json] = field(default_factory=dict)
    user_id: int | None = None

    @property
    def tailnet(self) -> Tailnet:
        return self.context.tailnet

    async def ask(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Json:
        """The API's answer. Raises MeshboxError."""
        return await ask(Call(self.context, self.actor, self.now, {}, query or {}, {}), method, path)


@dataclass(frozen=True, slots=True)
class Screen:
    template: str
    title: str
    tab: Tab
    values: Mapping[str, Any] = field(default_factory=dict)


Function = Callable[[Sight], Screen | Awaitable[Screen]]


@dataclass(frozen=True, slots=True)
class Address:
    """`acts` are the names of what its forms may do; `form_limit` is in bytes; `needs` lets one see it."""

    path: str
    function: Function
    acts: tuple[str, ...]
    form_limit: int
    needs: Right

    @property
    def acts_need(self) -> Right:
        """Whoever may only look presses no button, but for what is one's own."""
        return Right.OWN if self.needs is Right.OWN else Right.ALL


SCREENS: list[Address] = []

FORM_LIMIT = 64 << 10


def screen(
    path: str, acts: tuple[str, ...] = (), form_limit: int = FORM_LIMIT, needs: Right = Right.LOOK
) -> Callable[[Function], Function]:
    """Register the screen at `path` below /console."""

    def register(function: Function) -> Function:
        SCREENS.append(Address(ROOT + path, function, acts, form_limit, needs))
        return function

    return register
