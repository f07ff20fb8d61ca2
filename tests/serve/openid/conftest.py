"""A running server and its provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fake.provider import FakeProvider
from tests.fake.server import serving
from tests.serve.openid.house import House, settings


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    provider = FakeProvider(time.time)
    await provider.open()
    async with serving(settings(tmp_path, provider.issuer)) as server:
        # The look at the start shall not come between what a test breaks.
        await asyncio.gather(*server.app._tasks)
        yield House(server, provider)
    await provider.close()
