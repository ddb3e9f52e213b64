"""An org's newest events, read once in a process for all who follow it there."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from time import monotonic
from typing import Any

import asyncpg

from jobledger.ledger.domain.event_types import must_know
from jobledger.ledger.errors import CorruptLedgerError, DatabaseIsAwayError
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import ledger_statement

log = logging.getLogger(__name__)

# What one reading takes at most; one event alone may be larger.
READ_EVENTS, READ_BYTES = 2_000, 1024 * 1024
# What followers are given at a time.
STRETCH_BYTES = 64 * 1024
# How much is kept for those who are a little behind. It is rendered once in each form beside that.
WINDOW_STRETCHES, WINDOW_BYTES = 1_000, 4 * 1024 * 1024
# Under load events are gathered, the longer the more followers each reading wakes: so that to serve them never takes more
# than a part of the process's time. After a silence nothing is waited for.
PACE_S, PACE_A_FOLLOWER_S = 0.01, 0.0004
PAUSE_WHILE_AWAY_S = 0.5


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """An event that was found to be what it says, with what filters ask for."""

    stored: StoredEvent
    type_name: str
    stream: str


Form = Callable[[Sequence[LiveEvent]], bytes]


@dataclass(slots=True)
class Stretch:
    """All events from position *first* to before *end*, or those of them that a filter lets through."""

    first: int
    end: int
    events: Sequence[LiveEvent]
    size_bytes: int = 0
    _rendered: dict[Form, bytes] = field(default_factory=dict)

    def rendered(self, form: Form) -> bytes:
        """The events in this form; rendered once, whoever asks."""
        known = self._rendered.get(form)
        if known is None:
            known = self._rendered[form] = form(self.events)
        return known

    def since(self, position: int, is_wanted: Callable[[LiveEvent], bool] | None) -> Stretch:
        """What of it lies at or after *position* and is wanted; itself, where that is all."""
        if is_wanted is None and position <= self.first:
            return self
        events = [it for it in self.events if it.stored.position >= position and (is_wanted is None or is_wanted(it))]
        return Stretch(max(position, self.first), self.end, events)


def checked(org: str, stored: StoredEvent) -> LiveEvent:
    """The event, if it is of this org and place, of a type known here, and its content the one its header names.

    Raises CorruptLedgerError.
    """
    header = must_be_itself(org, stored)
    type_name, schema = header["type"], header["schema"]
    must_know(type_name, schema)
    if any(
        sign in it for it in (stored.header, stored.content or b"", stored.private or b"") for sign in (b"\n", b"\r")
    ):
        # It could not be sent as it is: in every form of a stream a line has its meaning.
        raise CorruptLedgerError(f"Position {stored.position} is not on one line.")
    return LiveEvent(stored, type_name, header["stream"])


def must_be_itself(org: str, stored: StoredEvent) -> dict[str, Any]:
    """The header of an event of this org and place, whose contents, as far as they are there, are those that it names.

    Raises CorruptLedgerError.
    """
    try:
        header = stored.envelope()
        told = header["org"], header["position"], header["stream"], header["type"], header["schema"]
        content_hash = header["content"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptLedgerError(f"The header of position {stored.position} cannot be read.") from error
    if told[:2] != (org, stored.position):
        raise CorruptLedgerError(f"The header of position {stored.position} is of another event.")
    if stored.content is not None and sha256(stored.content).hexdigest() != content_hash:
        raise CorruptLedgerError(f"The content of position {stored.position} is not the one its header names.")
    if stored.private is not None and sha256(stored.private).hexdigest() != header.get("private"):
        raise CorruptLedgerError(f"The private content of position {stored.position} is not the one its header names.")
    return header


def stretches(org: str, first: int, records: Sequence[asyncpg.Record]) -> list[Stretch]:
    """The rows of ``events_of_size`` from position *first* on. Raises CorruptLedgerError where one is missing or not right."""
    made: list[Stretch] = []
    for number, record in enumerate(records, first):
        stored = StoredEvent(*record)
        if stored.position != number:
            raise CorruptLedgerError(f"Position {number} is not in the store.")
        event = checked(org, stored)
        size_bytes = stored.size_bytes
        if not made or made[-1].size_bytes + size_bytes > STRETCH_BYTES:
            made.append(Stretch(number, number, []))
        stretch = made[-1]
        assert isinstance(stretch.events, list)
        stretch.events.append(event)
        stretch.end, stretch.size_bytes = number + 1, stretch.size_bytes + size_bytes
    return made


class Tail:
    """The window of an org's newest events, and the task that reads on whenever it hears that there are more.

    The window holds the positions from ``start`` to before ``end``, both of which only grow. ``known_size`` is how far the
    ledger is said to have come, ``error`` why nothing is read any more.
    """

    def __init__(self, org: str, start: int, database: Database) -> None:
        self.org = org
        self.end = start
        self.follower_count = 0
        self.error: Exception | None = None
        self._database = database
        self._window: list[Stretch] = []
        self._window_bytes = 0
        self._last_header: bytes | None = None
        self.known_size = start
        self._told = asyncio.Event()
        self._moved = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"tail of {org}")

    @property
    def start(self) -> int:
        """The first position in the window."""
        return self._window[0].first if self._window else self.end

    def hear(self, size: int) -> None:
        """Be told that the ledger has come to *size*. It need not be true: it is looked at."""
        if size > self.known_size:
            self.known_size = size
            self._told.set()

    def fail(self, error: Exception) -> None:
        """Read no more, and tell the followers why."""
        if self.error is None:
            self.error = error
        self._task.cancel()
        self._move()

    def stretch_at(self, position: int) -> Stretch:
        """The stretch with this position, which must be in the window."""
        return self._window[bisect_right(self._window, position, key=lambda it: it.first) - 1]

    async def wait_beyond(self, position: int, patience_s: float) -> bool:
        """Wait until the window reaches beyond *position*, or the tail failed; whether it did so in time."""
        try:
            async with asyncio.timeout(patience_s):
                while self.end <= position and self.error is None:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Read no more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            try:
                while self.end < self.known_size:
                    began_at = monotonic()
                    if not await self._read():
                        # Somebody said what is not so.
                        self.known_size = self.end
                    pace_s = PACE_S + PACE_A_FOLLOWER_S * self.follower_count
                    await asyncio.sleep(max(0.0, began_at + pace_s - monotonic()))
            except DatabaseIsAwayError:
                await asyncio.sleep(PAUSE_WHILE_AWAY_S)
                self._told.set()
            except Exception as error:
                if isinstance(error, CorruptLedgerError):
                    log.critical("The ledger of %s cannot be followed: %s", self.org, error)
                else:
                    log.exception("The ledger of %s cannot be followed", self.org)
                self.error = error
                self._move()
                return

    async def _read(self) -> bool:
        """Read on; whether there was anything. Raises DatabaseIsAwayError, CorruptLedgerError."""
        # The last one once more: it tells whether what comes is the history that was read so far.
        overlap = 0 if self._last_header is None else 1
        records = await self._database.fetch(
            ledger_statement("events_of_size"), self.org, self.end - overlap, READ_EVENTS, READ_BYTES
        )
        if overlap:
            if not records or records[0]["header"] != self._last_header:
                raise CorruptLedgerError(f"Position {self.end - 1} is not what it was: the database went back.")
            if len(records) == 1:
                # Those two together may be too large.
                records = await self._database.fetch(
                    ledger_statement("events_of_size"), self.org, self.end, READ_EVENTS, READ_BYTES
                )
            else:
                records = records[1:]
        new = stretches(self.org, self.end, records)
        if not new:
            return False
        self._window += new
        self._window_bytes += sum(it.size_bytes for it in new)
        self._last_header = new[-1].events[-1].stored.header
        self.end = new[-1].end
        while len(self._window) > WINDOW_STRETCHES or (self._window_bytes > WINDOW_BYTES and len(self._window) > 1):
            self._window_bytes -= self._window.pop(0).size_bytes
        self._move()
        return True

    def _move(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
