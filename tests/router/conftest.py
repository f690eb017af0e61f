"""A world of pods, names and one router, all on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.router.world import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Return a world that is empty yet."""
    new = World(tmp_path)
    await new.begin()
    try:
        yield new
    finally:
        await new.end()
