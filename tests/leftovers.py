"""Tasks that a test left behind, on the loop that tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import Any

# What was cancelled, or is closing a connection, is done after a few turns of the loop.
PATIENCE_S = 1.0


async def end(tasks: AbstractSet[asyncio.Task[Any]]) -> None:
    """Let *tasks* end, and end those that do not. AssertionError where there were any."""
    _, left = await asyncio.wait(tasks, timeout=PATIENCE_S)
    said = sorted(repr(it) for it in left)
    for it in left:
        it.cancel()
    if left:
        await asyncio.wait(left, timeout=PATIENCE_S)
    assert not said, f"tasks that the test left: {said}"
