"""The audit view: who did what to which job, when, by which dialect, from which address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.access import principal_stream
from jobledger.ledger.domain.denial import Denials, denied_streams, principal_denied
from jobledger.ledger.domain.job import job_id_of, job_stream
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.recorder import RANGES_A_PAGE, TYPE_RANGE
from jobledger.ledger.store.statement import statement
from jobledger.projections.page import Page

PACKAGE = "jobledger.projections"
SHOWN = (
    *("position", "recorded_at", "type", "stream", "job_id", "version"),
    *("by", "principal_id", "principal", "via", "from", "request", "reason"),
    *("outcome", "kind", "count", "asked"),
)
DONE, DENIED = "done", "denied"
DENIED_TYPE = Denials.Denied.type_name
# Of what was refused so many are looked at together, and so often for one page.
DENIED_A_LOOK = 1_000
LOOKS_A_PAGE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events are wanted; None lets all through. ``outcome`` is "done" or "denied".

    What a principal, or a job, has to do with an event that tells of attempts: they were its, or on it.
    """

    principal_id: int | None = None
    job_id: int | None = None
    type: str | None = None
    outcome: str | None = None


class AuditQuery:
    """What was done in every org."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, org: str, wanted: AuditFilter, *, begin: int, end: int, limit: int) -> Page:
        """Up to *limit* events with positions from *begin* to before *end*, in their order.

        ``next_after`` is how far was looked where there may be more: what is rare is looked for in some ranges a page, which may
        hold none. Raises DatabaseIsAwayError.
        """
        if wanted.job_id is not None or wanted.outcome == DENIED:
            records, following = await self._of_job_or_denied(org, wanted, begin, end, limit)
        else:
            records, following = await self._in_order(org, wanted, begin, end, limit)
        return Page(await self._shown(org, records), following)

    async def _in_order(
        self, org: str, wanted: AuditFilter, begin: int, end: int, limit: int
    ) -> tuple[list[asyncpg.Record], int | None]:
        """Of all events, in ranges where few of them are wanted."""
        is_looked_for = wanted.principal_id is not None or wanted.type is not None
        records: list[asyncpg.Record] = []
        for n in range(RANGES_A_PAGE):
            before = min(end, begin + TYPE_RANGE) if is_looked_for else end
            left = limit - len(records)
            found = await self._events(org, wanted, begin, before, left + 1)
            records += found[:left]
            if len(found) > left:
                return records, records[-1]["position"]
            begin = before
            if begin >= end:
                break
            if n == RANGES_A_PAGE - 1:
                return records, begin - 1
        return records, None

    async def _of_job_or_denied(
        self, org: str, wanted: AuditFilter, begin: int, end: int, limit: int
    ) -> tuple[list[asyncpg.Record], int | None]:
        """What was done to a job, by its stream, and what was refused, of all that was."""
        found: list[asyncpg.Record] = []
        if wanted.outcome != DENIED:
            found = await self._events(org, wanted, begin, end, limit + 1)
        if wanted.outcome != DONE and wanted.type in (None, DENIED_TYPE):
            denied, end_seen = await self._denied(org, wanted, begin, end, limit + 1)
            found = sorted((it for it in (*found, *denied) if it["position"] < end_seen), key=lambda it: it["position"])
        else:
            end_seen = end
        records = found[:limit]
        if len(found) > limit:
            return records, records[-1]["position"]
        return records, None if end_seen >= end else end_seen - 1

    async def _denied(
        self, org: str, wanted: AuditFilter, begin: int, end: int, limit: int
    ) -> tuple[list[asyncpg.Record], int]:
        """Up to *limit* of what was refused, and to before which position was looked."""
        found: list[asyncpg.Record] = []
        for _ in range(LOOKS_A_PAGE):
            records = await self._database.fetch(
                statement(PACKAGE, "audit_denied"), org, begin, end, DENIED_A_LOOK, _denied_streams(wanted)
            )
            found += [it for it in records if wanted.job_id is None or wanted.job_id in _jobs_asked_for(it)]
            if len(records) < DENIED_A_LOOK:
                return found, end
            begin = records[-1]["position"] + 1
            if len(found) >= limit:
                break
        return found, begin

    async def _events(self, org: str, wanted: AuditFilter, begin: int, end: int, limit: int) -> list[asyncpg.Record]:
        stream = None if wanted.job_id is None else job_stream(wanted.job_id)
        by = None if wanted.principal_id is None else principal_stream(wanted.principal_id)
        is_denied = None if wanted.outcome is None else wanted.outcome == DENIED
        sql, denied = statement(PACKAGE, "audit_events"), _denied_streams(wanted)
        return list(await self._database.fetch(sql, org, begin, end, limit, wanted.type, stream, by, denied, is_denied))

    async def _shown(self, org: str, records: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
        documents = [_document(it) for it in records]
        ids = sorted({it["principal_id"] for it in documents if it["principal_id"] is not None})
        found = await self._database.fetch(statement(PACKAGE, "names_of_principals"), org, ids) if ids else []
        names = {it["id"]: it["name"] for it in found}
        return [{**it, "principal": names.get(it["principal_id"])} for it in documents]


def _denied_streams(wanted: AuditFilter) -> str | None:
    """What the streams begin with that tell what the principal was refused."""
    return None if wanted.principal_id is None else denied_streams(wanted.principal_id)


def _jobs_asked_for(record: asyncpg.Record) -> set[int]:
    data = {} if record["body"] is None else orjson.loads(record["body"])["data"]
    return {it["job_id"] for it in data.get("asked", ()) if "job_id" in it}


def _document(record: asyncpg.Record) -> dict[str, Any]:
    header = orjson.loads(record["header"])
    content = {} if record["body"] is None else orjson.loads(record["body"])
    data = content.get("data", {})
    shown = {
        **{name: header[name] for name in ("position", "recorded_at", "type", "stream")},
        "job_id": job_id_of(header["stream"]),
        "version": header["version"],
        "by": header["by"],
        "principal_id": _number(header["by"]),
        "principal": None,
        **{name: content.get(name) for name in ("via", "from", "request")},
        "reason": data.get("reason"),
        "outcome": DONE,
        "kind": None,
        "count": None,
        "asked": None,
    }
    if header["type"] == DENIED_TYPE:
        shown |= {"outcome": DENIED, **{name: data.get(name) for name in ("kind", "count", "asked")}}
        # Of a failed login it is whose name was given: who that was is not known.
        shown["principal_id"] = principal_denied(header["stream"])
        jobs = _jobs_asked_for(record)
        shown["job_id"] = jobs.pop() if len(jobs) == 1 else None
    return shown


def _number(by: str) -> int | None:
    number = by.removeprefix("principal-")
    return int(number) if number.isdecimal() else None
