"""The course of a rebuild: fill another generation, catch up, prove it equal, and put it in the live one's place.

Until the one COMMIT that sets what is live, nothing that anybody reads has changed: if we die anywhere before, what was made lies
there unread, and the next rebuild deletes it. No transaction takes long; readers and writers go on all the while, and writers wait
only for the last step.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import asyncpg
import orjson

from jobledger.ledger.errors import ConflictError, DatabaseIsAwayError, NotFoundError, UnavailableError
from jobledger.ledger.store.database import LOST_CONNECTION_ERRORS, WRITER_SETTINGS, Connection, connect
from jobledger.ledger.store.head import Head, read_head
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.projection import CatchUpProjection, Projection
from jobledger.ledger.store.statement import ledger_statement, statement
from jobledger.ledger.work.catch_up import CatchUp, move_rows
from jobledger.projections.rebuild.generations import Difference, Generations, Hashed
from jobledger.projections.rebuild.made_rows import MadeRows, live_generation
from jobledger.projections.rebuild.report import Rebuilt, Report, RowsDiffer
from jobledger.projections.rebuild.streams import PACKAGE, Filling, Folded, FoldStreams, fold_here, ranges_of

log = logging.getLogger(__name__)

# Any constant that no other lock in the database has: rebuilds of an org wait for nobody, the second is refused.
ADVISORY_LOCK = 1_785_031_291
# The last step takes over when no more events are left to apply: so many take a few hundredths of a second.
LAST_EVENTS = 300
EVENTS_A_ROUND = 2_000
# Where it grows about as fast as this catches up, what comes in one round is little enough after so many of them.
PATIENT_ROUNDS = 10
# A ledger that grows faster than this catches up is let stop for what is left after so many rounds.
MOST_ROUNDS = 200
MOST_LAST_EVENTS = 10_000
# How often the last step is tried, where the head's lock is not to be had.
ATTEMPTS = 5


class Rebuild:
    """Rebuilds projections of orgs, one org at a time in all the database.

    *fold_streams* folds what there is when it begins, in this process or in several.
    """

    def __init__(
        self,
        ledger: Ledger,
        fold_streams: FoldStreams | None = None,
        tell: Callable[[Folded, int], None] = lambda _folded, _events: None,
    ) -> None:
        self._ledger = ledger
        self._inline = ledger.projections
        self._catch_up = ledger.catch_up_projections
        self._fold_streams = fold_streams or fold_here(self._inline, self._catch_up)
        self._tell = tell

    async def rebuild(self, org: str, names: Sequence[str] | None = None) -> Report:
        """Rebuild the projections of these names, absent: all. When this returns without differences they are live, durably.

        Raises NotFoundError, ConflictError while another rebuild of the org is under way, DatabaseIsAwayError, UnavailableError,
        CorruptLedgerError: nothing was put in place.
        """
        known = {it.name: it for it in (*self._inline, *self._catch_up)}
        for name in names or ():
            if name not in known:
                raise NotFoundError(f"There is no projection {name}. There are {', '.join(known)}.", projection=name)
        wanted = set(known if names is None else names)
        # What is loaded by another's rows cannot be brought up to date without them.
        wanted |= {it.loaded_by for it in self._inline if it.name in wanted and it.loaded_by is not None}
        asked = [it for name, it in known.items() if name in wanted]
        try:
            async with self._locked(org) as keeper:
                return await _Course(self._ledger, keeper, org, asked, self._fold_streams, self._tell).run()
        except LOST_CONNECTION_ERRORS as error:
            raise DatabaseIsAwayError("The database was lost; nothing was put in place.", retry_after_s=5) from error

    @asynccontextmanager
    async def _locked(self, org: str) -> AsyncIterator[Connection]:
        """A connection that holds the lock of the org's rebuilds: if it is lost, so is the lock, and the rebuild."""
        keeper = await connect(self._ledger.database.url, WRITER_SETTINGS)
        try:
            if not await keeper.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", ADVISORY_LOCK, org):
                raise ConflictError(f"{org} is being rebuilt already.", org=org)
            yield keeper
        finally:
            keeper.terminate()


class LeftBehindError(Exception):
    """So many events came while the head's lock was waited for that applying them would hold it for long."""


class _Course:
    def __init__(
        self,
        ledger: Ledger,
        keeper: Connection,
        org: str,
        asked: Sequence[Projection],
        fold_streams: FoldStreams,
        tell: Callable[[Folded, int], None],
    ) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._org = org
        self._asked = asked
        self._inline = [it for it in ledger.projections if it in asked]
        self._catch_up = [it for it in ledger.catch_up_projections if it in asked]
        self._fold_streams = fold_streams
        self._tell = tell

    async def run(self) -> Report:
        """Rebuild. See ``Rebuild.rebuild``."""
        began_at = monotonic()
        await self._move_live_on()
        head = await self._head()
        await self._delete_others(head)
        generation = await self._keeper.fetchval(statement(PACKAGE, "next_generation"), self._org)
        made = MadeRows(self._keeper, head, generation, self._org, self._inline, self._catch_up)
        report = Report(self._org)
        await self._fill(made, head.size)
        report.folding_s = monotonic() - began_at
        try:
            await self._come_near(made)
            await self._compare_all(made)
            await self._come_near(made)
            await self._must_not_differ(made)
            report.last_step_s = await self._put_in_place(made)
        except RowsDiffer as found:
            report.differences = list(found.differences)
        for it in self._asked:
            tables = {table.name: made.tables[table.name].hashed for table in it.tables}
            report.projections.append(Rebuilt(it.name, generation, it.fold_version, made.is_compared(it), tables))
        report.events, report.position, report.took_s = made.events, made.position, monotonic() - began_at
        # Whoever still reads the old rows does so in a snapshot that has them.
        await self._delete_others(await self._head())
        return report

    async def _head(self) -> Head:
        record = await self._keeper.fetchrow(ledger_statement("read_head"), self._org)
        if record is None:
            raise NotFoundError(f"There is no org {self._org}.", org=self._org)
        return read_head(record)

    async def _delete_others(self, head: Head) -> None:
        """Delete all rows that are not live: what was so before, and what rebuilds that died have made."""
        every: tuple[Projection, ...] = (*self._ledger.projections, *self._ledger.catch_up_projections)
        for projection in every:
            live = live_generation(head, projection)
            if live == 0:
                # None is live yet, and at any moment one may be.
                continue
            await self._keeper.execute(statement(PACKAGE, "forget_tracking"), self._org, projection.name, live)
            for table in projection.tables:
                await Generations(self._org, table).delete_others(self._keeper, live)

    async def _fill(self, made: MadeRows, size: int) -> None:
        """Fold all that there is, in one scan for all projections."""
        classes = frozenset(it.aggregate_class for it in self._asked)
        async with self._ledger.database.reader() as reader:
            ranges = await ranges_of(reader, self._org, classes)
        names = [it.name for it in self._asked]
        filling = Filling(
            url=self._ledger.database.url, org=self._org, generation=made.generation, end=size, projections=names
        )
        folded = Folded()

        def tell(more: Folded) -> None:
            nonlocal folded
            folded += more
            self._tell(folded, size)

        await self._fold_streams(filling, ranges, tell)
        made.events, made.position = folded.events, size
        for projection in self._catch_up:
            await made.track(projection, size)

    async def _come_near(self, made: MadeRows) -> None:
        """Apply what was appended meanwhile, until little is left."""
        for number in range(MOST_ROUNDS):
            size = (await self._head()).size
            if size - made.position <= (LAST_EVENTS if number < PATIENT_ROUNDS else EVENTS_A_ROUND):
                break
            async with self._keeper.transaction():
                await made.apply(min(size, made.position + EVENTS_A_ROUND))
        await self._move_live_on()

    async def _move_live_on(self) -> None:
        """Count into the live rows what others have not yet: those made must not be ahead by what nobody compares again."""
        mover = CatchUp(self._ledger)
        for projection in self._catch_up:
            while await mover.move_on(self._keeper, self._org, projection):
                pass

    async def _compare_all(self, made: MadeRows) -> None:
        """Compare all rows with the live ones, some at a time. Those that differ may have changed meanwhile."""
        for table in made.tables.values():
            table.hashed, table.pending, table.touched = Hashed(), set(), set()
            after: str | None = None
            while True:
                async with self._ledger.database.reader() as reader:
                    until = await table.generations.bound(reader, table.live, table.made, after)
                    found = await table.generations.compare_between(reader, table.live, table.made, after, until)
                table.hashed.add(found.made)
                if table.is_compared:
                    table.pending |= found.differing
                if until is None:
                    break
                after = until

    async def _must_not_differ(self, made: MadeRows) -> None:
        """Raise RowsDiffer where more rows differ than events were appended that could have changed them: before the lock."""
        for _ in range(ATTEMPTS):
            size = (await self._head()).size
            if size > made.position:
                async with self._keeper.transaction():
                    await made.apply(min(size, made.position + EVENTS_A_ROUND))
            differences = await self._differences(made)
            if not differences:
                return
            if (await self._head()).size == made.position:
                # Else rows may be among them that were only changed meanwhile.
                break
        raise RowsDiffer(differences)

    async def _differences(self, made: MadeRows) -> list[Difference]:
        head = await self._head()
        differences = []
        for table in made.tables.values():
            if len(table.pending - table.touched) > head.size - made.position:
                # A row that came and went meanwhile is no event's any more.
                found = await table.generations.compare_among(
                    self._keeper, table.live, table.made, table.pending - table.touched
                )
                wrong = found.differing
                if len(wrong) > head.size - made.position:
                    differences.append(await table.generations.difference(self._keeper, table.live, table.made, wrong))
        return differences

    async def _put_in_place(self, made: MadeRows) -> float:
        """Under the head's lock: apply the rest, compare what may differ, set what is live. How long the lock was held, in s."""
        for attempt in range(ATTEMPTS):
            if attempt:
                # Others have appended while we waited.
                await self._come_near(made)
            try:
                return await self._take_place(made)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, LeftBehindError) as error:
                log.info("%s was not rebuilt at attempt %d: %s", self._org, attempt + 1, type(error).__name__)
        raise UnavailableError("The ledger's head is too busy to put the rebuilt rows in place.", retry_after_s=30)

    async def _take_place(self, made: MadeRows) -> float:
        position, tables = made.position, {name: it.copy() for name, it in made.tables.items()}
        try:
            async with self._keeper.transaction():
                # Before the head's lock, so that nobody waits for it with that in hand.
                live_positions = {it.name: await self._hold_tracking(made, it) for it in self._catch_up}
                record = await self._keeper.fetchrow(ledger_statement("lock_head"), self._org)
                assert record is not None
                locked_at, head = monotonic(), read_head(record)
                if head.size - made.position > MOST_LAST_EVENTS:
                    raise LeftBehindError
                for it in self._catch_up:
                    begin = live_positions[it.name]
                    if made.is_compared(it) and begin is not None and begin < head.size:
                        live = live_generation(head, it)
                        await move_rows(self._keeper, self._org, live, begin, head.size, self._ledger, [it])
                await made.apply(head.size)
                await made.must_be_equal()
                own = {it.name: {"gen": made.generation, "fold": it.fold_version} for it in self._asked}
                live_now = orjson.dumps({**head.projections, **own}).decode()
                # Until the COMMIT that follows the old rows are live, after it the new: for each reading statement by the head
                # in its own snapshot, for each writer under this lock.
                await self._keeper.execute(statement(PACKAGE, "set_live"), self._org, live_now)
        except BaseException:
            made.position, made.tables = position, tables
            raise
        return monotonic() - locked_at

    async def _hold_tracking(self, made: MadeRows, projection: CatchUpProjection) -> int | None:
        live = made.tables[projection.tables[0].name].live
        position: int | None = await self._keeper.fetchval(
            statement(PACKAGE, "hold_tracking"), self._org, live, projection.name
        )
        return position
