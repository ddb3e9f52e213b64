"""All streams of an org, folded from their events: each once, for all projections that are rebuilt, in ranges of streams.

A stream is folded apart from all others, so that ranges can be folded by several processes, and its rows are written once, as they
are in the end, however long it is. Nothing is remembered of a stream that is folded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import asyncpg
import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.event_types import CLASS_BY_TYPE
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.codec import LARGEST_CONTENT_BYTES
from jobledger.ledger.store.database import READER_SETTINGS, WRITER_SETTINGS, Connection, connect
from jobledger.ledger.store.loading import StreamFold
from jobledger.ledger.store.projection import (
    CatchUpProjection,
    Changed,
    CountingProjection,
    Happened,
    InlineProjection,
    Tale,
    TellingProjection,
)
from jobledger.ledger.store.reading import EventReader
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections.rebuild"
EVENTS_A_PAGE, BYTES_A_PAGE = 4_000, 8 * 1024 * 1024
STREAMS_A_WRITE = 1_000
# Streams of a kind with fewer events are one range. Of more, names differ by a number or a UUID.
EVENTS_A_RANGE = 5_000
DIGITS = "0123456789"
SIGNS = f"{DIGITS}abcdef"
# Others of this process have a turn after so many events.
EVENTS_A_TURN = 200
# Rows of another generation wait for no fsync: they count only once their generation is live, and what was committed before the
# COMMIT that makes it so is on the disk with it.
SCANNING_SETTINGS = {**READER_SETTINGS, "enable_bitmapscan": "off", "enable_sort": "off"}
FILLING_SETTINGS = {**WRITER_SETTINGS, "synchronous_commit": "off"}

# A stream's aggregate, the types of its events that are counted, and what is told of it.
Done: TypeAlias = tuple[Aggregate, list[str], list[Tale]]
# Streams from the first name to before the second.
Range: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """Which rows are to be made: of an org, in a generation, of these projections. Events are counted up to before *end*."""

    url: str
    org: str
    generation: int
    end: int
    projections: Sequence[str]


@dataclass(frozen=True, slots=True)
class Folded:
    """What was folded."""

    events: int = 0
    streams: int = 0

    def __add__(self, other: Folded) -> Folded:
        return Folded(self.events + other.events, self.streams + other.streams)


# Folds some ranges as a filling says, and tells of each range that it was done.
FoldStreams: TypeAlias = Callable[[Filling, Sequence[Range], Callable[[Folded], None]], Coroutine[Any, Any, None]]


async def kind_of(connection: Connection, org: str, stream: str) -> tuple[str, type[Aggregate]] | None:
    """The first stream from this one on, and the class of its aggregate. Raises CorruptLedgerError."""
    record = await connection.fetchrow(statement(PACKAGE, "first_stream_from"), org, stream)
    if record is None:
        return None
    event_class = CLASS_BY_TYPE.get(record["type"])
    if event_class is None or not issubclass(event_class, Aggregate.Created):
        raise CorruptLedgerError(f"{record['stream']} does not begin as it should.")
    return record["stream"], event_class.aggregate_class


def kind_name(stream: str) -> str:
    """What the names of all streams of this one's kind begin with."""
    prefix, dash, _ = stream.partition("-")
    return prefix + dash


async def ranges_of(connection: Connection, org: str, classes: frozenset[type[Aggregate]]) -> list[Range]:
    """All streams of aggregates of these classes. Raises CorruptLedgerError."""
    ranges: list[Range] = []
    begin = ""
    while (found := await kind_of(connection, org, begin)) is not None:
        stream, aggregate_class = found
        name = kind_name(stream)
        begin = name[:-1] + chr(ord(name[-1]) + 1) if name.endswith("-") else name + "\x01"
        if aggregate_class not in classes:
            continue
        bounds = [name, begin]
        if await connection.fetchval(statement(PACKAGE, "are_many_events"), org, name, begin, EVENTS_A_RANGE):
            signs = DIGITS if stream.removeprefix(name).isdecimal() else SIGNS
            bounds[1:1] = [name + first + second for first in signs for second in signs]
        ranges += pairwise(bounds)
    return ranges


class StreamFolder:
    """Folds ranges of streams and writes their rows, with a connection to read and one to write."""

    def __init__(
        self,
        filling: Filling,
        inline: Sequence[InlineProjection],
        catch_up: Sequence[CatchUpProjection],
        reader: Connection,
        writer: Connection,
    ) -> None:
        self._filling = filling
        self._inline = inline
        self._counting = [it for it in catch_up if isinstance(it, CountingProjection)]
        self._telling = [it for it in catch_up if isinstance(it, TellingProjection)]
        self._types = frozenset(type_name for it in self._counting for type_name in it.event_types)
        self._events = EventReader()
        self._reader = reader
        self._writer = writer
        self._writing: asyncio.Task[None] | None = None

    async def fold(self, bounds: Range) -> Folded:
        """Fold the streams of a range; their rows are written when this returns. Raises CorruptLedgerError."""
        events = streams = 0
        done: list[Done] = []
        telling: Sequence[TellingProjection] = ()
        try:
            current, fold, counted, tales = "", StreamFold(), list[str](), list[Tale]()
            page = await self._page(bounds[0], -1, bounds[1])
            while page:
                # The next page comes while this one is folded.
                following = asyncio.create_task(self._page_after(page, bounds[1]))
                try:
                    for n, (header, position, event) in enumerate(self._events.read(*zip(*page, strict=True))):
                        if n % EVENTS_A_TURN == 0:
                            await asyncio.sleep(0)
                        stream = header["stream"]
                        if stream != current:
                            if current:
                                done.append((fold.finish(current), counted, tales))
                            telling = [it for it in self._telling if stream.startswith(it.stream_prefix)]
                            current, fold, counted, tales = (
                                stream,
                                StreamFold(),
                                [],
                                [it.begin(stream) for it in telling],
                            )
                            streams += 1
                        if event is not None and fold.lost_at is None:
                            fold.aggregate = event.mutate(fold.aggregate)
                        else:
                            fold.take(event, position)
                        if header["type"] in self._types and position < self._filling.end:
                            counted.append(header["type"])
                        if tales and position < self._filling.end:
                            for it, tale in zip(telling, tales, strict=True):
                                if header["type"] in it.event_types or header["version"] % it.every == 0:
                                    tale.take(position, header, None if fold.lost_at is not None else fold.aggregate)
                    events += len(page)
                    if len(done) >= STREAMS_A_WRITE:
                        await self._write(done)
                        done = []
                    page = await following
                finally:
                    if not following.done():
                        following.cancel()
                        await asyncio.wait([following])
            if current:
                done.append((fold.finish(current), counted, tales))
            await self._write(done)
        finally:
            await self._written()
        return Folded(events, streams)

    async def _page(self, stream: str, version: int, before: str) -> list[asyncpg.Record]:
        return await self._reader.fetch(
            statement(PACKAGE, "events_of_streams"),
            self._filling.org,
            stream,
            version,
            before,
            EVENTS_A_PAGE,
            BYTES_A_PAGE,
        )

    async def _page_after(self, page: Sequence[asyncpg.Record], before: str) -> list[asyncpg.Record]:
        """What follows a page; nothing, with no question asked, where it was not full."""
        if len(page) < EVENTS_A_PAGE:
            # The one that would have been too much is at most so large.
            room = BYTES_A_PAGE - 2 * LARGEST_CONTENT_BYTES
            if sum(len(it["body"] or b"") + len(it["private"] or b"") for it in page) <= room:
                return []
        last = orjson.loads(page[-1]["header"])
        return await self._page(last["stream"], last["version"], before)

    async def _write(self, done: Sequence[Done]) -> None:
        """Begin to write the rows of these; those before have been written."""
        await self._written()
        if done:
            self._writing = asyncio.create_task(self._write_rows(done))
            await asyncio.sleep(0)

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    async def _write_rows(self, done: Sequence[Done]) -> None:
        org, generation = self._filling.org, self._filling.generation
        for inline in self._inline:
            changes = [Changed(None, it) for it, *_ in done if type(it) is inline.aggregate_class]
            for begin in range(0, len(changes), STREAMS_A_WRITE):
                for name, columns in inline.writes(changes[begin : begin + STREAMS_A_WRITE]):
                    await self._writer.execute(inline.write_statements[name], org, generation, *columns)
        for projection in self._counting:
            happened = [Happened(it, aggregate) for aggregate, types, _ in done for it in types]
            for name, columns in projection.counts([it for it in happened if it.type_name in projection.event_types]):
                await self._writer.execute(projection.write_statements[name], org, generation, *columns)
        for n, telling in enumerate(self._telling):
            told = [tales for aggregate, _, tales in done if type(aggregate) is telling.aggregate_class]
            for name, columns in telling.tells([it[n] for it in told]) if told else ():
                await self._writer.execute(telling.write_statements[name], org, generation, *columns)


async def open_folder(
    filling: Filling, inline: Sequence[InlineProjection], catch_up: Sequence[CatchUpProjection]
) -> tuple[StreamFolder, Callable[[], None]]:
    """What folds ranges as *filling* says, on connections of its own; and what lets go of these."""
    reader = await connect(filling.url, SCANNING_SETTINGS)
    try:
        writer = await connect(filling.url, FILLING_SETTINGS)
    except BaseException:
        reader.terminate()
        raise

    def close() -> None:
        reader.terminate()
        writer.terminate()

    asked = frozenset(filling.projections)
    folder = StreamFolder(
        filling, [it for it in inline if it.name in asked], [it for it in catch_up if it.name in asked], reader, writer
    )
    return folder, close


def fold_here(inline: Sequence[InlineProjection], catch_up: Sequence[CatchUpProjection]) -> FoldStreams:
    """What folds in this process, range after range."""

    async def fold_streams(filling: Filling, ranges: Sequence[Range], tell: Callable[[Folded], None]) -> None:
        folder, close = await open_folder(filling, inline, catch_up)
        try:
            for bounds in ranges:
                tell(await folder.fold(bounds))
        finally:
            close()

    return fold_streams
