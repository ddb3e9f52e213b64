"""The audit view: who did what to which job, when, by which dialect, from which address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.access import principal_stream
from jobledger.ledger.domain.job import job_id_of, job_stream
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.recorder import RANGES_A_PAGE, TYPE_RANGE
from jobledger.ledger.store.statement import statement
from jobledger.projections.page import Page

PACKAGE = "jobledger.projections"
SHOWN = (
    *("position", "recorded_at", "type", "stream", "job_id", "version"),
    *("by", "principal_id", "principal", "via", "from", "request", "reason"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events are wanted; None lets all through."""

    principal_id: int | None = None
    job_id: int | None = None
    type: str | None = None


class AuditQuery:
    """What was done in every org."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, org: str, wanted: AuditFilter, *, begin: int, end: int, limit: int) -> Page:
        """Up to *limit* events with positions from *begin* to before *end*, in their order.

        ``next_after`` is how far was looked where there may be more: what is rare is looked for in some ranges a page, which may
        hold none. Raises DatabaseIsAwayError.
        """
        stream = None if wanted.job_id is None else job_stream(wanted.job_id)
        by = None if wanted.principal_id is None else principal_stream(wanted.principal_id)
        is_looked_for = stream is None and (by is not None or wanted.type is not None)
        records: list[asyncpg.Record] = []
        following: int | None = None
        for n in range(RANGES_A_PAGE):
            before = min(end, begin + TYPE_RANGE) if is_looked_for else end
            left = limit - len(records)
            found = await self._database.fetch(
                statement(PACKAGE, "audit_events"), org, begin, before, left + 1, wanted.type, stream, by
            )
            records += found[:left]
            if len(found) > left:
                following = records[-1]["position"]
                break
            begin = before
            if begin >= end:
                break
            if n == RANGES_A_PAGE - 1:
                following = begin - 1
        return Page(await self._shown(org, records), following)

    async def _shown(self, org: str, records: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
        documents = [_document(it) for it in records]
        ids = sorted({it["principal_id"] for it in documents if it["principal_id"] is not None})
        found = await self._database.fetch(statement(PACKAGE, "names_of_principals"), org, ids) if ids else []
        names = {it["id"]: it["name"] for it in found}
        return [{**it, "principal": names.get(it["principal_id"])} for it in documents]


def _document(record: asyncpg.Record) -> dict[str, Any]:
    header = orjson.loads(record["header"])
    content = {} if record["body"] is None else orjson.loads(record["body"])
    number = header["by"].removeprefix("principal-")
    return {
        **{name: header[name] for name in ("position", "recorded_at", "type", "stream")},
        "job_id": job_id_of(header["stream"]),
        "version": header["version"],
        "by": header["by"],
        "principal_id": int(number) if number.isdecimal() else None,
        "principal": None,
        **{name: content.get(name) for name in ("via", "from", "request")},
        "reason": content.get("data", {}).get("reason"),
    }
