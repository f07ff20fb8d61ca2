"""A policy made to cost: it is checked elsewhere, and everybody else is served meanwhile."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.hostile.stand import standing, watched

RULES, TESTS = 4000, 500
CPU = 2.5
"""Seconds of the server's own work, of which the two healthy nodes take their share."""


def costly() -> str:
    """Each test asks each rule about each login: many seconds of work, over two devices."""
    rules = [
        {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": [f"u{number}"]}
        for number in range(RULES)
    ]
    tests = [{"src": "healthy@", "dst": ["healthy@"], "accept": [f"u{RULES - 1}", "none"]}] * TESTS
    return json.dumps({"ssh": rules, "sshTests": tests})


async def test_a_costly_policy_delays_nobody_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "costly.hujson"
    file.write_text(costly())
    async with standing(tmp_path) as stand, watched(stand):
        spent = stand.cpu()
        setting = asyncio.create_task(stand.refused("policy", "set", str(file)))
        await asyncio.sleep(1.0)
        code, told = await stand.refused("policy", "check", str(file))
        assert code == 4 and "another policy is being checked" in told
        code, told = await setting
        assert code == 2 and ("failed" in told or "took" in told), told[:500]
        assert stand.cpu() - spent < CPU
        assert (await stand.ask("policy", "get"))["version"] == "0"
