"""What the parts of the control server share: one of each, put together by `app`.

`wall()` is the time of day (dates on the wire, in the store); `steady()` is the monotonic clock
(deadlines). A setting that a reload may change is read from here when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meshbox.config import Limits
from meshbox.serve.guard import Guard
from meshbox.serve.metrics import Metrics
from meshbox.serve.turns import Turns
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.tailnet import Tailnet


@dataclass(slots=True)
class Core:
    """`later(seconds, function)` and `soon(function)` are the event loop's."""

    tailnet: Tailnet
    mapper: Mapper
    metrics: Metrics
    guard: Guard
    turns: Turns
    server_url: str
    limits: Limits
    wall: Callable[[], float]
    steady: Callable[[], float]
    soon: Callable[[Callable[[], None]], object]
    later: Callable[[float, Callable[[], None]], object]
