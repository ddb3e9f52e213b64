"""Loading aggregates: from rows where they can be understood, and always from the events beyond them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.head import Head
from jobledger.ledger.store.projection import InlineProjection
from jobledger.ledger.store.statement import ledger_statement

# So many are loaded before others of this process have a turn.
STREAMS_A_TURN = 250


class Fold:
    """Events of several streams, each stream's in order, folded into *aggregates*.

    A stream of which contents are gone begins anew with the event that covers them.
    """

    def __init__(self, aggregates: dict[str, Aggregate]) -> None:
        self.aggregates = aggregates
        self._lost: dict[str, int] = {}

    def add(self, stored: StoredEvent, stream: str) -> None:
        """Fold one more event. Raises CorruptLedgerError."""
        self.take(None if stored.content is None else stored.event(), stored.position, stream)

    def take(self, event: Aggregate.Event | None, position: int, stream: str) -> None:
        """As ``add``, of an event that was read; None of one whose content is gone."""
        if event is None:
            self._lost[stream] = position
            return
        if stream in self._lost:
            if not event.begins_anew:
                return
            del self._lost[stream]
            before = None
        else:
            before = self.aggregates.get(stream)
        after = event.mutate(before)
        if after is None:
            raise CorruptLedgerError(f"{stream} does not begin as it should.")
        self.aggregates[stream] = after

    def finish(self) -> None:
        """Raise CorruptLedgerError if contents are gone that no event covers."""
        for position in self._lost.values():
            raise CorruptLedgerError(f"The content of position {position} is not in the store.")


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
