"""Asking for rollups: a page of the groups that a filter lets through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.projections.durations import percentile_s
from jobledger.projections.rollups import Group

PACKAGE = "jobledger.projections"
SHOWN = (
    *("day", "type", "domain", "state", "jobs"),
    *("timed_jobs", "duration_total", "duration_p50", "duration_p95", "bytes"),
)
MEDIAN, MOST = Fraction(50, 100), Fraction(95, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupFilter:
    """Which groups are wanted; None lets all through. ``day_from`` is included, ``day_to`` is not."""

    day_from: date | None = None
    day_to: date | None = None
    type: str | None = None
    domain: str | None = None
    states: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RollupPage:
    """Some groups in order, as the API shows them, and the one after which to go on; None at the end."""

    rollups: Sequence[dict[str, Any]]
    next_after: Group | None


class RollupQuery:
    """The rollups of every org. *domains* are those that the asker may see, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        org: str,
        wanted: RollupFilter,
        domains: frozenset[str] | None,
        *,
        after: Group | None = None,
        limit: int = 100,
    ) -> RollupPage:
        """Up to *limit* groups beyond *after*. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(
            statement(PACKAGE, "list_rollups"),
            org,
            wanted.day_from,
            wanted.day_to,
            wanted.type,
            wanted.domain,
            None if wanted.states is None else list(wanted.states),
            None if domains is None else sorted(domains),
            *(after or (None, None, None, None)),
            limit + 1,
        )
        shown = records[:limit]
        following = None
        if len(records) > limit:
            last = shown[-1]
            following = (last["day"], last["type"], last["domain"], last["state"])
        return RollupPage([_shown(it) for it in shown], following)


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    told = orjson.loads(row["durations"] or b"{}")
    durations = {int(bucket): jobs for bucket, jobs in told.items()}
    return {
        "day": row["day"].isoformat(),
        "type": row["type"],
        "domain": row["domain"],
        "state": row["state"],
        "jobs": row["jobs"],
        "timed_jobs": row["timed_jobs"],
        "duration_total": int(row["duration_ms"]) / 1000,
        "duration_p50": percentile_s(durations, MEDIAN),
        "duration_p95": percentile_s(durations, MOST),
        "bytes": int(row["bytes"]),
    }
