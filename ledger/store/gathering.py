"""Questions of many who ask at the same time, put to the database in one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from time import monotonic
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

MOST_AT_ONCE = 2
# One that takes longer is stuck, and keeps nobody from asking beside it; but for so many.
STUCK_AFTER_S = 1.0
MOST_WITH_STUCK = 4
MOST_KEYS = 200


class Gathering(Generic[Key, Answer]):
    """Answers one question about many keys.

    What is asked while statements are under way waits for the next: an answer is never older than its question. ``ask`` gives
    the answers to some keys; those that it leaves out have None.
    """

    def __init__(self, ask: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Answer]]]) -> None:
        self._ask = ask
        self._waiting: dict[Key, asyncio.Future[Answer | None]] = {}
        # Each with when its statement was sent.
        self._asking: dict[asyncio.Task[None], float] = {}

    async def answer(self, key: Key) -> Answer | None:
        """The answer about *key*. Raises what asking raises."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._has_room():
                task = asyncio.create_task(self._go_on())
                self._asking[task] = monotonic()
        # Others may wait for the same one.
        return await asyncio.shield(waiting)

    def _has_room(self) -> bool:
        alive_since = monotonic() - STUCK_AFTER_S
        alive = sum(sent_at > alive_since for sent_at in self._asking.values())
        return alive < MOST_AT_ONCE and len(self._asking) < MOST_WITH_STUCK

    async def _go_on(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            while self._waiting:
                self._asking[task] = monotonic()
                await self._ask_about_some()
        finally:
            # Here and not when the task is done, which is a moment later: who asks in between would wait for nobody.
            del self._asking[task]

    async def _ask_about_some(self) -> None:
        keys = list(self._waiting)[:MOST_KEYS]
        waiting = {key: self._waiting.pop(key) for key in keys}
        try:
            answers = await self._ask(keys)
        except BaseException as error:
            for one in waiting.values():
                one.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
                one.exception()  # is looked at here, should nobody be left to look
            if not isinstance(error, Exception):
                raise
        else:
            for key, one in waiting.items():
                one.set_result(answers.get(key))
