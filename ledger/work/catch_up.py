"""Projections that follow the ledger are moved on, in each server, whenever something was appended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic

from jobledger.ledger.errors import (
    NotFoundError,
    ProjectionIsBehindError,
    ReleaseDiffersError,
)
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.head import read_head
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.loading import load_aggregates
from jobledger.ledger.store.projection import CatchUpProjection, CountingProjection, Happened, TellingProjection
from jobledger.ledger.store.statement import ledger_statement, statement
from jobledger.ledger.work.telling import tell_events

log = logging.getLogger(__name__)

PACKAGE = "jobledger.ledger.work"
# One transaction takes so many events: far less than a second.
EVENTS_A_PASS = 5_000
# After an append others are waited for so long: they are then counted in one go.
GATHERING_S = 0.25
# What other servers appended and did not live to count is found by this.
POLL_S = 5.0
# While another server moves it on, it is looked again after this.
PAUSE_S = 0.02
PATIENCE_S = 2.0
FAILURES_A_LOG_LINE = 12


class CatchUp:
    """Moves the projections that follow the ledger on; those who read them wait for it here.

    Any number of servers may do so at once: whoever has the lock of the tracking position's row counts, once, and moves it in the
    same transaction. If a process dies in the midst of it nothing has happened.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._passes: dict[str, asyncio.Task[None]] = {}
        # Orgs that appended while they were moved on: perhaps after it was looked how far.
        self._again: set[str] = set()
        self._poll: asyncio.Task[None] | None = None
        self._failures = 0

    @property
    def projections(self) -> Sequence[CatchUpProjection]:
        """Those that it moves on."""
        return self._ledger.catch_up_projections

    async def start(self) -> None:
        """Begin to follow."""
        self._ledger.told_of_appends.append(self._hear)
        self._poll = asyncio.create_task(self._run(), name="catch-up")

    async def stop(self) -> None:
        """Stop; what is being counted is counted by the next that looks."""
        if self._poll is not None:
            self._ledger.told_of_appends.remove(self._hear)
        tasks = [it for it in (self._poll, *self._passes.values()) if it is not None]
        self._poll = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def wait_for(self, org: str, projection: str, patience_s: float = PATIENCE_S) -> int:
        """Wait until the projection has come as far as the org's ledger stands now; the position before which all is counted.

        Raises ProjectionIsBehindError if it does not in time, ReleaseDiffersError, NotFoundError, DatabaseIsAwayError.
        """
        deadline = monotonic() + patience_s
        size = (await self._ledger.recorder.head(org)).size
        own = next(it for it in self.projections if it.name == projection)
        while True:
            position = await self._position(org, own)
            if position is not None and position >= size:
                return position
            left_s = deadline - monotonic()
            if left_s <= 0:
                raise ProjectionIsBehindError(
                    f"{projection} has not come as far as the ledger yet.", retry_after_s=2, projection=projection
                )
            task = self._begin(org, gathering_s=0.0)
            await asyncio.wait([task], timeout=left_s)
            if task.done():
                await asyncio.sleep(PAUSE_S)

    async def _position(self, org: str, projection: CatchUpProjection) -> int | None:
        records = await self._ledger.database.fetch(statement(PACKAGE, "read_tracking"), org, projection.name)
        if not records:
            raise NotFoundError(f"There is no org {org}.", org=org)
        fold = records[0]["fold"]
        if fold is not None and fold != projection.fold_version:
            raise ReleaseDiffersError(
                f"The ledger's projection {projection.name} is of another release than this server.",
                retry_after_s=30,
                projection=projection.name,
            )
        position: int | None = records[0]["position"]
        return position

    def _hear(self, org: str, _size: int) -> None:
        if org in self._passes:
            self._again.add(org)
        elif self.projections:
            self._begin(org, gathering_s=GATHERING_S)

    def _begin(self, org: str, *, gathering_s: float) -> asyncio.Task[None]:
        """The task that moves the org's projections on until they have come as far as its ledger."""
        task = self._passes.get(org)
        if task is None:
            task = self._passes[org] = asyncio.create_task(self._follow(org, gathering_s), name=f"catch-up of {org}")
        return task

    async def _follow(self, org: str, gathering_s: float) -> None:
        try:
            if gathering_s:
                await asyncio.sleep(gathering_s)
            self._again.discard(org)
            for projection in self.projections:
                while await self._ledger.database.write(lambda c, it=projection: self.move_on(c, org, it)):  # type: ignore[misc]  # the default binds the loop's value
                    pass
            self._failures = 0
        except Exception as error:
            # It is tried again with the next append, reader or poll.
            if self._failures % FAILURES_A_LOG_LINE == 0:
                log.warning("Projections of %s were not moved on: %s: %s", org, type(error).__name__, error)
            self._failures += 1
        finally:
            del self._passes[org]
            if self._poll is not None and org in self._again:
                self._begin(org, gathering_s=GATHERING_S)

    async def move_on(self, connection: Connection, org: str, projection: CatchUpProjection) -> bool:
        """Count the next events, in a transaction of its own; whether there may be more."""
        async with connection.transaction():
            record = await connection.fetchrow(
                statement(PACKAGE, "lock_tracking"), org, projection.name, projection.fold_version
            )
            if record is None:
                return await self._adopt(connection, org, projection)
            end = min(record["size"], record["position"] + EVENTS_A_PASS)
            if end <= record["position"]:
                return False
            await move_rows(connection, org, record["gen"], record["position"], end, self._ledger, [projection])
            # If we die before the COMMIT that follows, none of these was counted.
            return bool(end < record["size"])

    async def _adopt(self, connection: Connection, org: str, projection: CatchUpProjection) -> bool:
        """Begin to track a projection that the org has not been followed by; whether that was why there was nothing to lock."""
        await connection.execute(statement(PACKAGE, "adopt_projection"), org, projection.name, projection.fold_version)
        begun = await connection.execute(statement(PACKAGE, "begin_tracking"), org, projection.name)
        return begun == "INSERT 0 1"

    async def _run(self) -> None:
        while True:
            try:
                for projection in self.projections:
                    behind = await self._ledger.database.fetch(
                        statement(PACKAGE, "orgs_behind"), projection.name, projection.fold_version
                    )
                    for record in behind:
                        # One after another: a release that brings a projection must not take all connections for it.
                        await asyncio.wait([self._begin(record["org"], gathering_s=0.0)])
            except Exception as error:
                log.info("It could not be seen which projections are behind: %s", type(error).__name__)
            await asyncio.sleep(POLL_S)


async def move_rows(
    connection: Connection,
    org: str,
    generation: int,
    position: int,
    end: int,
    ledger: Ledger,
    projections: Sequence[CatchUpProjection],
) -> None:
    """Bring a generation of some projections from *position* to before *end*: count the events, and tell of them.

    To be called in a transaction, by whoever alone writes this generation. Raises CorruptLedgerError.
    """
    counting = [it for it in projections if isinstance(it, CountingProjection)]
    if counting:
        await _count_events(connection, org, generation, position, end, ledger, counting)
    for projection in projections:
        if isinstance(projection, TellingProjection):
            await tell_events(connection, org, generation, position, end, projection)
        await connection.execute(statement(PACKAGE, "move_tracking"), org, generation, projection.name, end)


async def _count_events(
    connection: Connection,
    org: str,
    generation: int,
    position: int,
    end: int,
    ledger: Ledger,
    projections: Sequence[CountingProjection],
) -> None:
    types = sorted({type_name for it in projections for type_name in it.event_types})
    found = await connection.fetch(statement(PACKAGE, "happened"), org, position, end, types)
    streams = sorted({record["stream"] for record in found})
    record = await connection.fetchrow(ledger_statement("read_head"), org)
    assert record is not None
    aggregates = await load_aggregates(connection, org, read_head(record), ledger.projections, streams)
    happened = [Happened(record["type"], aggregates[record["stream"]]) for record in found]
    for projection in projections:
        counted = [it for it in happened if it.type_name in projection.event_types]
        for name, columns in projection.counts(counted):
            await connection.execute(projection.write_statements[name], org, generation, *columns)
