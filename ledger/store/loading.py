"""Loading aggregates: from rows where they can be understood, and always from the events beyond them."""

from __future__ import annotations

from collections.abc import Sequence

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.head import Head
from jobledger.ledger.store.projection import InlineProjection
from jobledger.ledger.store.statement import ledger_statement


async def load_aggregates(
    connection: Connection, org: str, head: Head, projections: Sequence[InlineProjection], streams: Sequence[str]
) -> dict[str, Aggregate]:
    """The aggregates of *streams* as of now: from a projection's row where there is one, then the events beyond it.

    A row spares reading a long stream; the events after its version are read all the same, so that what is decided on is
    always the newest, and nothing that this code does not know is passed over. Raises CorruptLedgerError.
    """
    aggregates: dict[str, Aggregate] = {}
    for projection in projections:
        # Rows of another release's fold may mean something else: the events always mean the same.
        if head.is_of_fold(projection.name, projection.fold_version):
            aggregates.update(await projection.load(connection, org, head.generation(projection.name), streams))
    versions = [aggregates[stream].version if stream in aggregates else 0 for stream in streams]
    for record in await connection.fetch(ledger_statement("stream_after"), org, streams, versions):
        event = StoredEvent(*record).event()
        before = aggregates.get(event.originator_id)
        after = event.mutate(before)
        if after is None:
            raise CorruptLedgerError(f"{event.originator_id} does not begin as it should.")
        aggregates[event.originator_id] = after
    return aggregates
