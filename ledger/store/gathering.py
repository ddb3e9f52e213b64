"""Questions of many who ask at the same time, put to the database in one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

MOST_AT_ONCE = 2
MOST_KEYS = 200


class Gathering(Generic[Key, Answer]):
    """Answers one question about many keys.

    What is asked while statements are under way waits for the next: an answer is never older than its question. ``ask`` gives
    the answers to some keys; those that it leaves out have None.
    """

    def __init__(self, ask: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Answer]]]) -> None:
        self._ask = ask
        self._waiting: dict[Key, asyncio.Future[Answer | None]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def answer(self, key: Key) -> Answer | None:
        """The answer about *key*. Raises what asking raises."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
            if len(self._asking) < MOST_AT_ONCE:
                task = asyncio.create_task(self._go_on())
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
        # Others may wait for the same one.
        return await asyncio.shield(waiting)

    async def _go_on(self) -> None:
        while self._waiting:
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
