"""A look at how the database stands, on a connection of its own: it is not kept waiting by what the others do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import asyncpg
import orjson

from jobledger.ledger.errors import DatabaseIsAwayError
from jobledger.ledger.store.database import LOST_CONNECTION_ERRORS, READER_SETTINGS, Connection, connect
from jobledger.ledger.store.migration import known_migrations
from jobledger.ledger.store.projection import CatchUpProjection, InlineProjection
from jobledger.ledger.store.statement import ledger_statement

# A survey that takes longer finds the database away.
PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a projection is behind, at most in any org: ``events`` not yet counted, and ``seconds`` since there are some and it
    has not moved on.
    """

    events: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look found.

    ``clock_offset_s`` is this machine's clock less the database's. ``missing_migrations`` are those of this release that are not
    applied, or were applied with other contents; later ones than this release knows do no harm, as migrations only add.
    ``other_folds`` are the projections of which an org's live rows are of another release. ``lags``: those that follow ledgers.
    """

    clock_offset_s: float
    missing_migrations: tuple[str, ...]
    other_folds: tuple[str, ...]
    event_count: int
    lags: Mapping[str, Lag] = field(default_factory=dict)


class Surveyor:
    """Looks at the database whenever it is asked to, one look at a time."""

    def __init__(
        self,
        url: str,
        projections: Sequence[InlineProjection],
        catch_up_projections: Sequence[CatchUpProjection] = (),
    ) -> None:
        self._url = url
        self._projections = projections
        self._catch_up_projections = catch_up_projections
        self._connection: Connection | None = None

    @cached_property
    def _migrations(self) -> dict[str, str]:
        return {f"{it.name} {it.checksum}": it.name for it in known_migrations()}

    async def survey(self) -> Survey:
        """What there is to see. Raises DatabaseIsAwayError within about a second."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._look()
        except (*LOST_CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            self._drop()
            raise DatabaseIsAwayError(f"The database does not answer: {type(error).__name__}.") from error
        except BaseException:
            # Cut off in the midst of a question: its answer must not be taken for the next one's.
            self._drop()
            raise

    async def close(self) -> None:
        """Close the connection."""
        self._drop()

    async def _look(self) -> Survey:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._url, {**READER_SETTINGS, "enable_seqscan": "on"})
        before = datetime.now(UTC)
        record = await self._connection.fetchrow(ledger_statement("survey"))
        after = datetime.now(UTC)
        assert record is not None
        middle = before + (after - before) / 2
        applied = set(record["applied"])
        folds = [orjson.loads(text) for text in record["folds"]]
        return Survey(
            clock_offset_s=(middle - record["clock"]).total_seconds(),
            missing_migrations=tuple(name for mark, name in self._migrations.items() if mark not in applied),
            other_folds=tuple(
                it.name
                for it in self._projections
                if any(fold.get(it.name, {}).get("fold") != it.fold_version for fold in folds)
            )
            + tuple(
                it.name
                for it in self._catch_up_projections
                if any(fold.get(it.name, {}).get("fold", it.fold_version) != it.fold_version for fold in folds)
            ),
            event_count=record["event_count"],
            lags={name: Lag(*lag) for name, lag in orjson.loads(record["lags"] or b"{}").items()},
        )

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
