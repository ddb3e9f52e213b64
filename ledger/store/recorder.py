"""Reading what was recorded, by position, stream or type."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from jobledger.ledger.errors import InvalidCommandError, NotFoundError
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.head import Head, read_head
from jobledger.ledger.store.statement import ledger_statement

# Each a short transaction of its own.
SCAN_EVENTS = 2_000
TYPE_RANGE = 50_000
# How many ranges one page of a rare type looks through before it says how far it came.
RANGES_A_PAGE = 4


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in order, and the position after which to go on; None where the head, as it stood, was reached.

    Up to ``last_position`` nothing that was asked for is missing.
    """

    events: list[StoredEvent]
    next_after: int | None
    last_position: int

    def up_to(self, position: int) -> Page:
        """As if the ledger ended with that position."""
        if self.next_after is not None and self.next_after < position:
            return self
        return Page([it for it in self.events if it.position <= position], None, min(self.last_position, position))


def must_not_be_beyond(after: int, size: int) -> None:
    """Raise InvalidCommandError for a reader that has come further than a ledger of *size* events: it read another history."""
    if after >= size:
        raise InvalidCommandError(f"The ledger's last position is {size - 1}.", after=after, last_position=size - 1)


class Recorder:
    """The events of every org, as they are stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self, org: str) -> Head:
        """The org's head as it stands. Raises NotFoundError, DatabaseIsAwayError."""
        records = await self._database.fetch(ledger_statement("read_head"), org)
        if not records:
            raise NotFoundError(f"There is no org {org}.", org=org)
        return read_head(records[0])

    async def page(
        self, org: str, after: int, limit: int, *, type_name: str | None = None, stream: str | None = None
    ) -> Page:
        """Up to *limit* events with position > *after*, of a type or a stream only where one is named.

        A reader that goes on with ``next_after`` misses nothing: positions are dense and in commit order. Raises NotFoundError,
        InvalidCommandError for an *after* beyond the head, DatabaseIsAwayError.
        """
        head = await self.head(org)
        must_not_be_beyond(after, head.size)
        start = after + 1
        if type_name is not None:
            return await self._page_of_type(org, start, limit, type_name, stream, head)
        if stream is not None:
            records = await self._database.fetch(ledger_statement("stream_events"), org, stream, start, limit)
        else:
            records = await self._database.fetch(ledger_statement("events_after"), org, start, limit)
        events = [StoredEvent(*record) for record in records]
        if len(events) == limit:
            return Page(events, events[-1].position, events[-1].position)
        # What is seen of later commits is whole too, up to the last that is seen.
        return Page(events, None, max([head.size - 1, *(it.position for it in events[-1:])]))

    async def stream_page(self, org: str, stream: str, after_version: int, limit: int) -> list[StoredEvent]:
        """Up to *limit* events of a stream beyond a version of it. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(ledger_statement("stream_page"), org, stream, after_version, limit)
        return [StoredEvent(*record) for record in records]

    async def begun_by(self, org: str, streams: Sequence[str]) -> dict[str, str]:
        """Who began each of the streams, as headers say it in ``by``. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(ledger_statement("first_headers"), org, streams)
        return {it["stream"]: orjson.loads(it["header"])["by"] for it in records}

    async def _page_of_type(
        self, org: str, start: int, limit: int, type_name: str, stream: str | None, head: Head
    ) -> Page:
        events: list[StoredEvent] = []
        for _ in range(RANGES_A_PAGE):
            before = start + TYPE_RANGE
            wanted = limit - len(events)
            records = await self._database.fetch(
                ledger_statement("events_of_type"), org, start, before, type_name, stream, wanted
            )
            events += [StoredEvent(*record) for record in records]
            if len(records) == wanted:
                return Page(events, events[-1].position, events[-1].position)
            start = before
            if start >= head.size:
                return Page(events, None, max([head.size - 1, *(it.position for it in events[-1:])]))
        return Page(events, start - 1, start - 1)

    async def scan(
        self, org: str, *, start: int = 0, end: int | None = None, stream: str | None = None
    ) -> AsyncIterator[StoredEvent]:
        """Every event from *start* to before *end* (the head as it stands), in ranges that are each a transaction."""
        if end is None:
            end = (await self.head(org)).size
        while start < end:
            if stream is None:
                limit = min(SCAN_EVENTS, end - start)
                records = await self._database.fetch(ledger_statement("events_after"), org, start, limit)
            else:
                records = await self._database.fetch(ledger_statement("stream_events"), org, stream, start, SCAN_EVENTS)
            for record in records:
                if record["position"] >= end:
                    return
                yield StoredEvent(*record)
            if not records:
                return
            start = records[-1]["position"] + 1

    async def position_at(self, org: str, instant: datetime) -> int:
        """The last position recorded by *instant*, -1 if none was."""
        return await self._last_position(org, lambda recorded_at: recorded_at <= instant)

    async def position_before(self, org: str, instant: datetime) -> int:
        """The last position recorded before *instant*, -1 if none was."""
        return await self._last_position(org, lambda recorded_at: recorded_at < instant)

    async def _last_position(self, org: str, is_by_then: Callable[[datetime], bool]) -> int:
        """``recorded_at`` never falls, so halving finds it."""
        low, high = 0, (await self.head(org)).size
        while low < high:
            middle = (low + high) // 2
            records = await self._database.fetch(ledger_statement("recorded_at"), org, middle)
            if is_by_then(records[0]["recorded_at"]):
                low = middle + 1
            else:
                high = middle
        return low - 1
