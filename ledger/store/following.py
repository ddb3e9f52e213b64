"""Following a ledger: each follower goes on from its own place, at its own speed, and misses nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from jobledger.ledger.errors import (
    CorruptLedgerError,
    DatabaseIsAwayError,
    InvalidCommandError,
    TooManyFollowersError,
    UnavailableError,
)
from jobledger.ledger.store.announcement import Listener
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.recorder import Recorder, must_not_be_beyond
from jobledger.ledger.store.statement import ledger_statement
from jobledger.ledger.store.tail import READ_BYTES, READ_EVENTS, LiveEvent, Stretch, Tail, checked, stretches

log = logging.getLogger(__name__)

# Of one org in one process.
MOST_FOLLOWERS = 1_000
POLL_S = 1.0
# A new tail begins with its first follower, if that is no further behind.
MOST_EVENTS_BACK = 1_000
# So many of those who are behind read at once: requests must never wait for them.
READING_BEHIND_AT_ONCE = 2
# A page of those who are behind and want only some events; each may be 1 MiB large.
FILTERED_EVENTS = 50


class Follower:
    """One reader of an org's ledger; ``position`` is the next that it has not been given yet."""

    def __init__(
        self, following: Following, tail: Tail, position: int, type_name: str | None, stream: str | None
    ) -> None:
        self.position = position
        self._following = following
        self._tail = tail
        self._type_name = type_name
        self._stream = stream
        self._is_wanted = self._lets_through if type_name is not None or stream is not None else None

    @property
    def is_behind(self) -> bool:
        """Whether there are events that it has not been given, as far as is known here."""
        return self.position < self._tail.known_size

    async def next(self, patience_s: float) -> Stretch | None:
        """The stretch that follows, with those events that are wanted, perhaps none; None where nothing came in time.

        Raises CorruptLedgerError where the ledger cannot be followed from here.
        """
        deadline = monotonic() + patience_s
        tail = self._tail
        if tail.error is None and self.position < tail.start:
            try:
                return await self._following.read_behind(tail.org, self)
            except DatabaseIsAwayError:
                await asyncio.sleep(min(1.0, max(0.0, deadline - monotonic())))
                return None
        if not await tail.wait_beyond(self.position, deadline - monotonic()):
            return None
        if tail.error is not None:
            raise tail.error
        if self.position < tail.start:
            return await self.next(deadline - monotonic())
        stretch = tail.stretch_at(self.position).since(self.position, self._is_wanted)
        self.position = stretch.end
        return stretch

    async def read(self, recorder: Recorder, database: Database, org: str) -> Stretch:
        """What follows, from the store. Raises DatabaseIsAwayError, CorruptLedgerError."""
        first = self.position
        if self._is_wanted is None:
            records = await database.fetch(ledger_statement("events_of_size"), org, first, READ_EVENTS, READ_BYTES)
            read = stretches(org, first, records)
            events = [event for stretch in read for event in stretch.events]
            end = first + len(events)
        else:
            try:
                page = await recorder.page(
                    org, first - 1, FILTERED_EVENTS, type_name=self._type_name, stream=self._stream
                )
            except InvalidCommandError as error:
                raise CorruptLedgerError(f"Position {first - 1} is gone: the database went back.") from error
            events = [checked(org, stored) for stored in page.events]
            end = page.last_position + 1
        if end <= first:
            raise CorruptLedgerError(f"Position {first} is not in the store.")
        self.position = end
        return Stretch(first, end, events)

    def _lets_through(self, event: LiveEvent) -> bool:
        return self._type_name in (None, event.type_name) and self._stream in (None, event.stream)


class Following:
    """All who follow ledgers in this process. With nobody it does nothing at all."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder
        self._tails: dict[str, Tail] = {}
        self._reading_behind = asyncio.Semaphore(READING_BEHIND_AT_ONCE)
        self._poll_now = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False

    def hear(self, org: str, size: int) -> None:
        """Be told that an org's ledger has come to *size*."""
        tail = self._tails.get(org)
        if tail is not None:
            tail.hear(size)

    @asynccontextmanager
    async def follow(
        self, org: str, after: int | None, *, type_name: str | None = None, stream: str | None = None
    ) -> AsyncIterator[Follower]:
        """A follower of what lies beyond *after*, None for the head as it stands; of a type or a stream only where named.

        Raises InvalidCommandError for an *after* beyond the head, TooManyFollowersError, NotFoundError, DatabaseIsAwayError.
        """
        size = (await self._recorder.head(org)).size
        if after is None:
            after = size - 1
        must_not_be_beyond(after, size)
        if self._is_closed:
            raise UnavailableError("The server is stopping.", retry_after_s=2)
        tail = self._tails.get(org)
        if tail is None or tail.error is not None:
            begin = after + 1 if size - after <= MOST_EVENTS_BACK else size
            tail = self._tails[org] = Tail(org, begin, self._database)
        elif tail.follower_count >= MOST_FOLLOWERS:
            raise TooManyFollowersError(
                f"{MOST_FOLLOWERS} follow this ledger here already.", retry_after_s=5, limit=MOST_FOLLOWERS
            )
        tail.hear(size)
        tail.follower_count += 1
        self._begin()
        try:
            yield Follower(self, tail, after + 1, type_name, stream)
        finally:
            tail.follower_count -= 1
            if tail.follower_count == 0:
                if self._tails.get(org) is tail:
                    del self._tails[org]
                if not self._tails:
                    self._end()
                await tail.close()

    async def read_behind(self, org: str, follower: Follower) -> Stretch:
        """What follows for one that is behind the tail's window. Raises DatabaseIsAwayError, CorruptLedgerError."""
        async with self._reading_behind:
            return await follower.read(self._recorder, self._database, org)

    async def close(self) -> None:
        """End everything; who still follows is told so."""
        self._is_closed = True
        for tail in list(self._tails.values()):
            tail.fail(UnavailableError("The server is stopping.", retry_after_s=2))
        tasks = self._end()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self) -> None:
        if not self._tasks:
            listener = Listener(self._database.url, self.hear, self._poll_now.set)
            self._tasks = [
                asyncio.create_task(listener.run(), name="listener"),
                asyncio.create_task(self._poll(), name="poll of heads"),
            ]

    def _end(self) -> list[asyncio.Task[None]]:
        ended, self._tasks = self._tasks, []
        for task in ended:
            task.cancel()
        return ended

    async def _poll(self) -> None:
        """Look each second how far the ledgers have come: announcements may be lost."""
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._poll_now.wait()
            except TimeoutError:
                pass
            self._poll_now.clear()
            try:
                await self._look()
            except DatabaseIsAwayError:
                pass
            except Exception:
                log.exception("The heads of ledgers could not be read")

    async def _look(self) -> None:
        ends = {org: tail.end for org, tail in self._tails.items()}
        for record in await self._database.fetch(ledger_statement("sizes"), list(ends)):
            org, size = record["org"], record["size"]
            tail = self._tails.get(org)
            if tail is None:
                continue
            if size < ends[org] <= tail.end:
                tail.fail(CorruptLedgerError(f"Position {ends[org] - 1} is gone: the database went back."))
            else:
                tail.hear(size)
