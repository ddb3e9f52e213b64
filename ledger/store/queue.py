"""An org's queue: the commands that wait to be decided, and who waits for what becomes of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

from jobledger.ledger.domain.command import Command, Outcome
from jobledger.ledger.errors import CallerIsOutdatedError, QueueIsFullError

MOST_WAITING = 4_096
LONGEST_WAIT_FOR_ROOM_S = 2.0
# So many are considered for one batch.
MOST_CANDIDATES = 1_000


@dataclass(slots=True)
class Waiting:
    """A queued command and who waits for what becomes of it."""

    command: Command
    outcome: asyncio.Future[Outcome]
    queued_at: float

    def answer(self, decision: Outcome | Exception) -> None:
        """Give the caller what was decided on the head, if it is still there."""
        belief = self.command.caller.belief
        if belief is not None and not isinstance(decision, CallerIsOutdatedError):
            belief.is_confirmed = True
        if isinstance(decision, Exception):
            self.refuse(decision)
        elif not self.outcome.done():
            self.outcome.set_result(decision)

    def refuse(self, error: BaseException) -> None:
        """Tell the caller why not, if it is still there."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            # A caller that went away asks nobody: its refusal is no unseen error.
            self.outcome.exception()


def refuse_all(waiting: Iterable[Waiting], error: BaseException) -> None:
    """Tell all of them why not."""
    for one in waiting:
        one.refuse(error)


class CommandQueue:
    """Bounded, in order of arrival."""

    def __init__(self) -> None:
        self._queue: deque[Waiting] = deque()
        self._room = asyncio.Event()
        self._room.set()
        # Set whenever a command arrives.
        self.arrival = asyncio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def next_command(self) -> Command:
        """The command that is to be decided next."""
        return self._queue[0].command

    @property
    def is_full(self) -> bool:
        """Whether one more must wait for room."""
        return len(self._queue) >= MOST_WAITING

    async def wait_for_room(self) -> None:
        """Return when one more can be put. Raises QueueIsFullError when there was no room for 2 s."""
        give_up_at = monotonic() + LONGEST_WAIT_FOR_ROOM_S
        while self.is_full:
            self._room.clear()
            try:
                async with asyncio.timeout(give_up_at - monotonic()):
                    await self._room.wait()
            except TimeoutError:
                raise QueueIsFullError("Too many requests are waiting.", retry_after_s=2) from None

    def put(self, command: Command) -> asyncio.Future[Outcome]:
        """Queue a command; the future tells what becomes of it."""
        waiting = Waiting(command, asyncio.get_running_loop().create_future(), monotonic())
        self._queue.append(waiting)
        self.arrival.set()
        return waiting.outcome

    def take(self) -> Waiting:
        """The next command, which is no longer queued."""
        taken = self._queue.popleft()
        if len(self._queue) < MOST_WAITING and not self._room.is_set():
            self._room.set()
        return taken

    def put_back(self, waiting: Sequence[Waiting]) -> None:
        """Queue these again, before all others."""
        self._queue.extendleft(reversed(waiting))
