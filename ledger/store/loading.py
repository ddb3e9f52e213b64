"""Loading aggregates: from rows where they can be understood, and always from the events beyond them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from eventsourcing.domain import OriginatorIDError, OriginatorVersionError

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.head import Head
from jobledger.ledger.store.projection import InlineProjection
from jobledger.ledger.store.statement import ledger_statement

# So many are loaded before others of this process have a turn.
STREAMS_A_TURN = 250


class StreamFold:
    """Events of one stream, in order, folded into ``aggregate``.

    Where contents are gone it begins anew with the event that covers them; ``lost_at`` is the last position without one before.
    """

    __slots__ = ("aggregate", "lost_at")

    def __init__(self, aggregate: Aggregate | None = None) -> None:
        self.aggregate = aggregate
        self.lost_at: int | None = None

    def take(self, event: Aggregate.Event | None, position: int) -> None:
        """Fold one more event; None is one whose content is gone. Raises CorruptLedgerError where those before it are missing."""
        if event is None:
            self.lost_at = position
            return
        try:
            if self.lost_at is None:
                self.aggregate = event.mutate(self.aggregate)
            elif event.begins_anew:
                self.aggregate, self.lost_at = event.mutate(None), None
        except (OriginatorIDError, OriginatorVersionError) as error:
            raise CorruptLedgerError(f"Position {position} does not follow what is before it in its stream.") from error

    def finish(self, stream: str) -> Aggregate:
        """What they come to. Raises CorruptLedgerError if contents are gone that no event covers."""
        if self.lost_at is not None:
            raise CorruptLedgerError(f"The content of position {self.lost_at} is not in the store.")
        if self.aggregate is None:
            raise CorruptLedgerError(f"{stream} does not begin as it should.")
        return self.aggregate


class Fold:
    """Events of several streams, each stream's in order, folded into *aggregates*.

    A stream of which contents are gone begins anew with the event that covers them.
    """

    def __init__(self, aggregates: dict[str, Aggregate]) -> None:
        self.aggregates = aggregates
        self._lost: dict[str, StreamFold] = {}

    def add(self, stored: StoredEvent, stream: str) -> None:
        """Fold one more event. Raises CorruptLedgerError."""
        fold = self._lost.pop(stream, None) or StreamFold(self.aggregates.get(stream))
        fold.take(None if stored.content is None else stored.event(), stored.position)
        if fold.lost_at is not None:
            self._lost[stream] = fold
        else:
            self.aggregates[stream] = fold.finish(stream)

    def finish(self) -> None:
        """Raise CorruptLedgerError if contents are gone that no event covers."""
        for stream, fold in self._lost.items():
            fold.finish(stream)


async def load_aggregates(
    connection: Connection, org: str, head: Head, projections: Sequence[InlineProjection], streams: Sequence[str]
) -> dict[str, Aggregate]:
    """The aggregates of *streams* as of now: from a projection's row where there is one, then the events beyond it.

    A row spares reading a long stream; the events after its version are read all the same, so that what is decided on is
    always the newest, and nothing that this code does not know is passed over. Raises CorruptLedgerError.
    """
    aggregates: dict[str, Aggregate] = {}
    for begin in range(0, len(streams), STREAMS_A_TURN):
        if begin:
            await asyncio.sleep(0)
        some = streams[begin : begin + STREAMS_A_TURN]
        for projection in projections:
            # Rows of another release's fold may mean something else: the events always mean the same.
            if head.is_of_fold(projection.name, projection.fold_version):
                generation = head.generation(projection.name)
                aggregates.update(await projection.load(connection, org, generation, some))
        versions = [aggregates[stream].version if stream in aggregates else 0 for stream in some]
        fold = Fold(aggregates)
        for record in await connection.fetch(ledger_statement("stream_after"), org, some, versions):
            stored = StoredEvent(*record)
            fold.add(stored, stored.envelope()["stream"])
        fold.finish()
    return aggregates
