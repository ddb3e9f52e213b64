"""How projections that tell what was at each event are moved on: the events are folded from the last that is known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.loading import StreamFold
from jobledger.ledger.store.projection import Tale, TellingProjection
from jobledger.ledger.store.reading import EventReader
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.ledger.work"
# So many are folded before others of this process have a turn; or forgotten, which is far less for each.
STREAMS_A_TURN = 100
FORGOTTEN_A_TURN = 1_000


async def tell_events(
    connection: Connection, org: str, generation: int, position: int, end: int, projection: TellingProjection
) -> None:
    """Tell of the events from *position* to before *end*; in a transaction. Raises CorruptLedgerError."""
    found = await connection.fetch(
        statement(PACKAGE, "streams_to_tell"),
        *(org, position, end, sorted(projection.event_types), projection.every, projection.stream_prefix),
        sorted(projection.last_types),
    )
    # Whatever happened to these, nothing of it stays: their events need not be read.
    over = sorted(record["stream"] for record in found if record["is_over"])
    for begin in range(0, len(over), FORGOTTEN_A_TURN):
        for name, columns in projection.forgets(over[begin : begin + FORGOTTEN_A_TURN]):
            await connection.execute(projection.write_statements[name], org, generation, *columns)
    streams = sorted(record["stream"] for record in found if not record["is_over"])
    reader = EventReader()
    for begin in range(0, len(streams), STREAMS_A_TURN):
        await asyncio.sleep(0)
        some = streams[begin : begin + STREAMS_A_TURN]
        tales = await projection.go_on(connection, org, generation, some, position)
        await _fold(connection, reader, org, end, some, [tales[it] for it in some])
        for name, columns in projection.tells(list(tales.values())):
            await connection.execute(projection.write_statements[name], org, generation, *columns)


async def _fold(
    connection: Connection, reader: EventReader, org: str, end: int, streams: Sequence[str], tales: Sequence[Tale]
) -> None:
    """Give each tale its events before *end*."""
    versions = [it.version for it in tales]
    records = await connection.fetch(statement(PACKAGE, "events_to_tell"), org, streams, versions, end)
    if not records:
        return
    by_stream = dict(zip(streams, tales, strict=True))
    folds = {stream: StreamFold(it.aggregate) for stream, it in by_stream.items()}
    for header, position, event in reader.read(*zip(*records, strict=True)):
        fold = folds[header["stream"]]
        fold.take(event, position)
        by_stream[header["stream"]].take(position, header, None if fold.lost_at is not None else fold.aggregate)
