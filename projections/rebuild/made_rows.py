"""The rows of another generation on their way: brought up to date event by event, and compared with the live ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.head import Head
from jobledger.ledger.store.loading import Fold
from jobledger.ledger.store.projection import (
    CatchUpProjection,
    Changed,
    CountingProjection,
    Happened,
    InlineProjection,
    Projection,
    TellingProjection,
)
from jobledger.ledger.store.statement import ledger_statement, statement
from jobledger.ledger.work.catch_up import PACKAGE as WORK
from jobledger.ledger.work.telling import tell_events
from jobledger.projections.rebuild.generations import Compared, Difference, Generations, Hashed
from jobledger.projections.rebuild.report import RowsDiffer
from jobledger.projections.rebuild.streams import PACKAGE, kind_name, kind_of


def live_generation(head: Head, projection: Projection) -> int:
    """The live generation of a projection; 0, which no rows have, of one that the org has not yet."""
    return head.projections.get(projection.name, {"gen": 0})["gen"]


@dataclass(slots=True)
class MadeTable:
    """A table of a projection on its way: what was made, and the keys whose rows are not known to be equal to the live ones."""

    generations: Generations
    live: int
    made: int
    is_compared: bool
    hashed: Hashed
    pending: set[str] = field(default_factory=set)
    # Keys whose live rows may have changed since all rows were compared.
    touched: set[str] = field(default_factory=set)

    def take(self, keys: set[str], before: Compared, after: Compared) -> None:
        """The rows with these keys were brought up to date."""
        self.hashed.add(before.made, -1)
        self.hashed.add(after.made)
        self.touched |= keys
        if self.is_compared:
            self.pending -= keys
            self.pending |= after.differing

    def copy(self) -> MadeTable:
        """As it is now, whatever becomes of it."""
        return replace(
            self,
            hashed=Hashed(self.hashed.rows, self.hashed.hash),
            pending=set(self.pending),
            touched=set(self.touched),
        )


class MadeRows:
    """What is made of an org's projections in a generation: all events before ``position`` are in its rows."""

    def __init__(
        self,
        connection: Connection,
        head: Head,
        generation: int,
        org: str,
        inline: Sequence[InlineProjection],
        catch_up: Sequence[CatchUpProjection],
    ) -> None:
        self.generation = generation
        self.position = 0
        self.events = 0
        self.tables: dict[str, MadeTable] = {}
        self._connection = connection
        self._org = org
        self._inline = inline
        self._catch_up = catch_up
        self._asked: list[Projection] = [*inline, *catch_up]
        self._inline_classes = frozenset(it.aggregate_class for it in inline)
        self._counting = [it for it in catch_up if isinstance(it, CountingProjection)]
        self._telling = [it for it in catch_up if isinstance(it, TellingProjection)]
        self._types = frozenset(type_name for it in self._counting for type_name in it.event_types)
        self._told_classes = frozenset(it.aggregate_class for it in self._telling)
        self._kinds: dict[str, type[Aggregate]] = {}
        for projection in self._asked:
            is_compared = head.is_of_fold(projection.name, projection.fold_version)
            live = live_generation(head, projection)
            for table in projection.tables:
                self.tables[table.name] = MadeTable(Generations(org, table), live, generation, is_compared, Hashed())

    def is_compared(self, projection: Projection) -> bool:
        """Whether there are live rows of the same fold, which those made must be equal to."""
        return all(self.tables[it.name].is_compared for it in projection.tables)

    async def track(self, projection: CatchUpProjection, position: int) -> None:
        """Note how far the rows of a projection have come."""
        await self._connection.execute(
            statement(WORK, "move_tracking"), self._org, self.generation, projection.name, position
        )

    async def must_be_equal(self) -> None:
        """Raise RowsDiffer if anything that is not known to be equal to the live rows is not. Under the head's lock."""
        differences: list[Difference] = []
        for table in self.tables.values():
            if table.pending:
                found = await table.generations.compare_among(self._connection, table.live, table.made, table.pending)
                if found.differing:
                    differences.append(
                        await table.generations.difference(self._connection, table.live, table.made, found.differing)
                    )
        if differences:
            raise RowsDiffer(differences)

    async def apply(self, end: int) -> None:
        """Bring the rows from ``position`` to before *end*; in a transaction. Raises CorruptLedgerError."""
        records = await self._connection.fetch(statement(PACKAGE, "streams_of_range"), self._org, self.position, end)
        streams: dict[str, None] = {}
        happened: list[tuple[str, str]] = []
        for record in records:
            aggregate_class, is_counted = await self._class_of(record["stream"]), record["type"] in self._types
            if is_counted or aggregate_class in self._inline_classes or aggregate_class in self._told_classes:
                streams[record["stream"]] = None
            if is_counted:
                happened.append((record["stream"], record["type"]))
        changes = await self._changes(list(streams))
        keys: dict[str, set[str]] = {}
        for projection in self._asked:
            for changed in changes.values():
                if type(changed.after) is projection.aggregate_class:
                    for table, key in projection.keys(changed):
                        keys.setdefault(table, set()).add(key)
        before = await self._compare_among(keys)
        for inline in self._inline:
            mine = [
                it
                for it in changes.values()
                if type(it.after) is inline.aggregate_class
                and (it.before is None or it.before.version != it.after.version)
            ]
            # What is removed makes room for what is registered: names that only one may have.
            for name, columns in reversed(inline.writes(mine) if mine else ()):
                await self._connection.execute(inline.write_statements[name], self._org, self.generation, *columns)
        for projection in self._counting:
            told = [
                Happened(type_name, changes[stream].after)
                for stream, type_name in happened
                if type_name in projection.event_types
            ]
            for name, columns in projection.counts(told):
                await self._connection.execute(projection.write_statements[name], self._org, self.generation, *columns)
        for telling in self._telling:
            await tell_events(self._connection, self._org, self.generation, self.position, end, telling)
        for catch_up in self._catch_up:
            await self.track(catch_up, end)
        after = await self._compare_among(keys)
        for name, found in after.items():
            self.tables[name].take(keys[name], before[name], found)
        self.events += len(records)
        self.position = end

    async def _compare_among(self, keys: Mapping[str, set[str]]) -> dict[str, Compared]:
        found = {}
        for name, some in keys.items():
            table = self.tables[name]
            found[name] = await table.generations.compare_among(self._connection, table.live, table.made, some)
        return found

    async def _class_of(self, stream: str) -> type[Aggregate]:
        name = kind_name(stream)
        if name not in self._kinds:
            found = await kind_of(self._connection, self._org, stream)
            assert found is not None
            self._kinds[name] = found[1]
        return self._kinds[name]

    async def _changes(self, streams: Sequence[str]) -> dict[str, Changed]:
        """Each stream's aggregate as the rows that are made have it, and as it is now."""
        rows: dict[str, Aggregate] = {}
        for inline in self._inline:
            own = [it for it in streams if self._kinds[kind_name(it)] is inline.aggregate_class]
            if own:
                rows.update(await inline.load(self._connection, self._org, self.generation, own))
        now = {stream: it.working_copy([]) for stream, it in rows.items()}
        versions = [rows[stream].version if stream in rows else 0 for stream in streams]
        fold = Fold(now)
        for record in await self._connection.fetch(ledger_statement("stream_after"), self._org, streams, versions):
            stored = StoredEvent(*record)
            fold.add(stored, stored.envelope()["stream"])
        fold.finish()
        return {stream: Changed(rows.get(stream), now[stream]) for stream in streams}
