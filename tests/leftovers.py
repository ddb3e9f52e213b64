"""Tasks that a test left behind, on the loop that tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet
from typing import Any

# What was cancelled, or is closing a connection, is done after a few turns of the loop.
PATIENCE_S = 1.0


def is_lingering(task: asyncio.Task[Any]) -> bool:
    """Whether it is aiohttp's alone: a request that was answered, of which it waits some seconds for the rest of the body, though
    the connection and the server may be gone.
    """
    coroutine = task.get_coro()
    awaited = getattr(coroutine, "cr_await", None)
    names = [getattr(it, "__qualname__", "") for it in (coroutine, awaited)]
    return names == ["RequestHandler.start", "StreamReader.readany"]


async def end(tasks: AbstractSet[asyncio.Task[Any]]) -> None:
    """Let *tasks* end, and end those that do not. AssertionError where there were any, but for those that linger."""
    for it in filter(is_lingering, tasks):
        it.cancel()
    _, left = await asyncio.wait(tasks, timeout=PATIENCE_S)
    said = sorted(repr(it) for it in left)
    for it in left:
        it.cancel()
    if left:
        await asyncio.wait(left, timeout=PATIENCE_S)
    assert not said, f"tasks that the test left: {said}"
