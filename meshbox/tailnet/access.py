"""A policy text held against the tailnet, before it is used."""

from __future__ import annotations

from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.reading import read
from meshbox.policy.trial import check_tests
from meshbox.policy.words import Known
from meshbox.policy.yamlform import read as read_text
from meshbox.tailnet.tailnet import Tailnet


def check_policy(t: Tailnet, text: str) -> Compiled:
    """A policy text read, compiled for this tailnet, and its own tests run. Raises PolicyError."""
    world = t.world()
    document = read(read_text(text), Known(world.domains, world.groups()))
    compiled = compile_policy(document, world)
    check_tests(compiled)
    return compiled
