"""Asking for holds, and for what another policy would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.policy import Policy, Rule
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.head import read_head
from jobledger.ledger.store.statement import ledger_statement, statement
from jobledger.projections.keeping import Keeping
from jobledger.projections.page import Page

PACKAGE = "jobledger.projections"
# Each a transaction of its own.
JOBS_A_RANGE = 50_000
FIRST_IDS = 20


class KeepingQuery:
    """What keeps the jobs of every org, as the projections have it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hold(self, org: str, number: int) -> dict[str, Any]:
        """One hold as a document, with the jobs that it lists. Raises NotFoundError, DatabaseIsAwayError."""
        page = await self.holds(org, number=number, limit=1)
        if not page.documents:
            raise NotFoundError(f"There is no hold {number}.", hold_id=number)
        return page.documents[0]

    async def holds(
        self, org: str, *, after: int = 0, limit: int, number: int | None = None, active: bool | None = None
    ) -> Page:
        """Up to *limit* holds with a number beyond *after*. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "list_holds"), org, after, limit + 1, number, active)
        shown = records[:limit]
        return Page([_shown_hold(it) for it in shown], shown[-1]["id"] if len(records) > limit else None)

    async def keeping(self, org: str) -> Keeping:
        """The org's policy and active holds. Raises NotFoundError, DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "keeping"), org)
        if not records:
            raise NotFoundError(f"There is no org {org}.", org=org)
        return Keeping.read(records[0])

    async def effects(self, org: str, rules: Sequence[Rule]) -> dict[str, Any]:
        """What these rules would do, in place of those in force, as counts and first ids. Raises DatabaseIsAwayError.

        ``lengthens``: jobs that ended and would be retained longer; ``releases``: that would be retained no more, of which there
        are none, as what was fixed at a job's end is never shortened; ``shortens``: jobs that have not ended and may be
        retained for fewer days once they have, of the types and states in ``fewer_days``.
        """
        keeping = await self.keeping(org)
        before, after = keeping.policy, keeping.policy.changed(rules, keeping.now)
        fewer = before.shortened_by(rules)
        types = sorted({it["type"] for it in fewer if "type" in it})
        named = sorted({it.type for it in (*before.rules, *after.rules) if it.type is not None})
        [head] = await self._database.fetch(ledger_statement("read_head"), org)
        last = read_head(head).numbers.get("job", 0)
        effects: dict[str, dict[str, Any]] = {
            it: {"count": 0, "ids": []} for it in ("lengthens", "releases", "shortens")
        }
        for begin in range(0, last, JOBS_A_RANGE):
            records = await self._database.fetch(
                statement(PACKAGE, "policy_effects"),
                *(org, begin, begin + JOBS_A_RANGE, _windows(before), _windows(after), keeping.now),
                *(types, any("type" not in it for it in fewer), named, FIRST_IDS),
            )
            for record in records:
                effect = effects[record["effect"]]
                effect["count"] += record["job_count"]
                effect["ids"] = [*effect["ids"], *record["ids"]][:FIRST_IDS]
        return {**effects, "fewer_days": fewer}


def _windows(policy: Policy) -> str:
    return orjson.dumps(policy.data["windows"]).decode()


def _shown_hold(record: asyncpg.Record) -> dict[str, Any]:
    return {
        **{name: record[name] for name in ("id", "name", "version", "reason")},
        "filter": None if record["filter"] is None else orjson.loads(record["filter"]),
        "job_count": record["job_count"],
        **({} if record["job_ids"] is None else {"job_ids": record["job_ids"]}),
        "active": record["released_at"] is None,
        **{name: record[name] for name in ("placed_at", "released_at", "release_reason")},
    }
