"""What the auditor reads of projections: their live rows are those of a fold of all events."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg

from jobledger.ledger.domain.access import Org, Principal
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.archive import Archive
from jobledger.ledger.domain.copy import Copy
from jobledger.ledger.domain.diagram import Diagram
from jobledger.ledger.domain.hold import Hold
from jobledger.ledger.domain.job import DEFAULT_DOMAIN, Job
from jobledger.ledger.domain.job_work import is_open_work
from jobledger.ledger.domain.queue import Queue
from jobledger.ledger.domain.schedule import Schedule
from jobledger.ledger.domain.template import Template
from jobledger.projections.access import rendered_row
from jobledger.projections.archives import archive_row, archived_job_rows
from jobledger.projections.copies import MEMBERS as COPY_MEMBERS
from jobledger.projections.copies import copy_row
from jobledger.projections.diagrams import diagram_row, template_row, version_rows
from jobledger.projections.holds import hold_row
from jobledger.projections.job_copies import job_copy_rows, requirement_rows
from jobledger.projections.jobs import registered_row, residue_row
from jobledger.projections.policy import policy_row
from jobledger.projections.schedules import schedule_row
from jobledger.projections.work import work_row

JOB_COLUMNS = (
    "id, version, state, type, domain, datastream_id, source, external_id, body_hash, preceding_job_id, scheduled_at,"
    " started_at, ended_at, due_at, begins_at, final_at, imported, is_closed, is_held, retained_until, decisions, private, q,"
    " registration, course"
)
PRINCIPAL_COLUMNS = (
    "id, version, name, roles, capabilities, home_domain, domains, is_disabled, is_administrator, password,"
    " tokens, added_at"
)
COPY_COLUMNS = ", ".join(("id", "version", *COPY_MEMBERS, "registered_at", "updated_at"))
JOB_COPY_COLUMNS = "copy_id, job_id, state, is_deleted, domain, begins_at, level, client_id, subclient_id"
DIAGRAM_COLUMNS = "id, version, name, description, active, is_deleted, created_at, updated_at"
VERSION_COLUMNS = "id, number, content, saved_at, is_deleted"
TEMPLATE_COLUMNS = "id, version, name, diagram_id, defaults, is_deleted, created_at, updated_at"
RESIDUE_COLUMNS = "id, version, domain, gone, gone_at, residue"
HOLD_COLUMNS = "id, version, name, reason, placed_at, released_at, release_reason, job_ids, filter"
CRITERIA = (
    *("type", "domain", "datastream_id", "source", "external_id", "state"),
    *(f"{name}_{end}" for name in ("registered", "scheduled", "started", "ended") for end in ("from", "to")),
)
SCHEDULE_COLUMNS = (
    "id, version, number, kind, expression, action, created_by, created_at, since, next_at, paused_at, deleted_at, last_due_at,"
    " last_executed_at, last_job_id, fires, missed"
)
WORK_COLUMNS = "id, kind, claim, reported_at, scheduled_at"
DOMAIN_COLUMNS = "name, first_at, first_id"
QUEUE_COLUMNS = "id, version, name, owner, durable, created_at, deleted_at"
ARCHIVE_COLUMNS = "id, version, requested_at, requested_by, domains, told, verified_at, completed_at, deleted_at"
ARCHIVED_JOB_COLUMNS = (
    "archive_id, job_id, held_version, type, domain, state, registered_at, scheduled_at, started_at, ended_at, final_at, imported,"
    " gone, is_purged, places"
)
JSON_COLUMNS = (20, 21, 23, 24)  # of a job's: decisions, private, registration and course


async def audit_rows(
    connection: asyncpg.Connection[asyncpg.Record], head: asyncpg.Record, aggregates: Collection[Aggregate]
) -> None:
    """The live rows of each projection are those of a fold from the first event: invariant 5."""
    live = json.loads(head["projections"])
    every_job = [it for it in aggregates if isinstance(it, Job)]
    jobs = [registered_row(it) for it in every_job if it.gone is None]
    await _compare(connection, "job", JOB_COLUMNS, head["org"], live["jobs"]["gen"], jobs, JSON_COLUMNS)
    await _audit_counts(connection, head["org"], live["jobs"]["gen"], aggregates)
    await _audit_copies(connection, head["org"], live, aggregates)
    await _audit_diagrams(connection, head["org"], live, aggregates)
    residues = [residue_row(it) for it in every_job if it.gone is not None]
    await _compare(connection, "job_residue", RESIDUE_COLUMNS, head["org"], live["jobs"]["gen"], residues)
    if head["size"]:
        policy = [(1, *policy_row(org)) for org in aggregates if isinstance(org, Org)]
        columns = "1, version, begun_at, policy"
        await _compare(connection, "org_policy", columns, head["org"], live["policy"]["gen"], policy)
    holds = [it for it in aggregates if isinstance(it, Hold)]
    rows = [(*hold_row(it)[:7], None if it.job_ids is None else list(it.job_ids), hold_row(it)[8]) for it in holds]
    await _compare(connection, "hold", HOLD_COLUMNS, head["org"], live["holds"]["gen"], rows)
    criteria = [(it.hold_id, *(it.filter and getattr(it.filter, name) for name in CRITERIA)) for it in holds]
    columns = f"id, {', '.join(CRITERIA)}"
    await _compare(connection, "hold", columns, head["org"], live["holds"]["gen"], criteria)
    schedules = [schedule_row(it) for it in aggregates if isinstance(it, Schedule)]
    await _compare(connection, "schedule", SCHEDULE_COLUMNS, head["org"], live["schedules"]["gen"], schedules)
    work = [work_row(it) for it in every_job if is_open_work(it)]
    await _compare(connection, "job_work", WORK_COLUMNS, head["org"], live["work"]["gen"], work)
    first: dict[str, tuple[datetime, int]] = {}
    for job in every_job:
        place = (job.registered_at, job.job_id)
        first[job.domain] = min(first.get(job.domain, place), place)
    domains = [(name, *place) for name, place in first.items() if name != DEFAULT_DOMAIN]
    await _compare(connection, "job_domain", DOMAIN_COLUMNS, head["org"], live["domains"]["gen"], domains)
    queues = [
        (it.queue_id, it.version, it.name, it.owner, it.durable, it.created_at, it.deleted_at)
        for it in aggregates
        if isinstance(it, Queue)
    ]
    await _compare(connection, "queue", QUEUE_COLUMNS, head["org"], live["queues"]["gen"], queues)
    archives = [archive_row(it) for it in aggregates if isinstance(it, Archive)]
    archives = [(*it[:4], json.loads(it[4]), *it[5:]) for it in archives]
    await _compare(connection, "archive", ARCHIVE_COLUMNS, head["org"], live["archives"]["gen"], archives)
    held = [row for it in every_job for row in archived_job_rows(it)]
    await _compare(connection, "archived_job", ARCHIVED_JOB_COLUMNS, head["org"], live["archived_jobs"]["gen"], held)
    principals = [
        (
            *(it.principal_id, it.version, it.name, it.roles, it.capabilities, it.home_domain, it.domains),
            *(it.is_disabled, it.has_standing_to_manage, it.password, rendered_row(it)[7], it.created_on),
        )
        for it in aggregates
        if isinstance(it, Principal)
    ]
    generation = live["access"]["gen"]
    await _compare(connection, "principal", PRINCIPAL_COLUMNS, head["org"], generation, principals, keyed_columns=(10,))


async def _audit_copies(
    connection: asyncpg.Connection[asyncpg.Record], org: str, live: dict[str, Any], aggregates: Collection[Aggregate]
) -> None:
    """The copies, which jobs are on them, and who requires whom."""
    copies = [copy_row(it) for it in aggregates if isinstance(it, Copy)]
    await _compare(connection, "storage_copy", COPY_COLUMNS, org, live["copies"]["gen"], copies)
    jobs = [it for it in aggregates if isinstance(it, Job)]
    for table, columns, rows_of in (
        ("job_copy", JOB_COPY_COLUMNS, job_copy_rows),
        ("job_requirement", "required_id, job_id", requirement_rows),
    ):
        folded = [row for job in jobs for row in rows_of(job)]
        await _compare(connection, table, columns, org, live["job_copies"]["gen"], folded)


async def _audit_diagrams(
    connection: asyncpg.Connection[asyncpg.Record], org: str, live: dict[str, Any], aggregates: Collection[Aggregate]
) -> None:
    """The diagrams with their versions, and the templates."""
    diagrams = [it for it in aggregates if isinstance(it, Diagram)]
    templates = [template_row(it) for it in aggregates if isinstance(it, Template)]
    generation = live["diagrams"]["gen"]
    await _compare(connection, "diagram", DIAGRAM_COLUMNS, org, generation, [diagram_row(it) for it in diagrams])
    versions = [row for it in diagrams for row in version_rows(it)]
    await _compare(connection, "diagram_version", VERSION_COLUMNS, org, generation, versions)
    await _compare(connection, "template", TEMPLATE_COLUMNS, org, live["templates"]["gen"], templates)


async def _audit_counts(
    connection: asyncpg.Connection[asyncpg.Record], org: str, generation: int, aggregates: Collection[Aggregate]
) -> None:
    """Of each state, day, domain and block of 4096 ids it is known how many jobs begin on it."""
    jobs = [it for it in aggregates if isinstance(it, Job) and it.gone is None]
    counted = Counter(
        (
            it.state,
            (it.started_at or it.scheduled_at or it.registered_at).astimezone(UTC).date(),
            it.domain,
            it.job_id // 4096,
        )
        for it in jobs
    )
    records = await connection.fetch(
        "SELECT state, day, domain, block, jobs FROM job_count WHERE org = $1 AND gen = $2 AND jobs <> 0",
        org,
        generation,
    )
    found = {(it["state"], it["day"], it["domain"], it["block"]): it["jobs"] for it in records}
    assert found == counted, f"{org} is counted wrong"


async def _compare(
    connection: asyncpg.Connection[asyncpg.Record],
    table: str,
    columns: str,
    org: str,
    generation: int,
    folded: Iterable[Sequence[Any]],
    json_columns: Sequence[int] = (),
    keyed_columns: Sequence[int] = (),
) -> None:
    records = await connection.fetch(f"SELECT {columns} FROM {table} WHERE org = $1 AND gen = $2", org, generation)
    stored = _canonical(map(tuple, records), json_columns, keyed_columns)
    expected = _canonical(folded, json_columns, keyed_columns)
    if _hash(stored) != _hash(expected):
        differences = [(a, b) for a, b in zip(stored, expected, strict=False) if a != b][:3]
        raise AssertionError(f"{table} of {org}: {len(stored)} rows, {len(expected)} folded; first: {differences}")


def _canonical(rows: Iterable[Sequence[Any]], json_columns: Sequence[int], keyed_columns: Sequence[int]) -> list[str]:
    """The rows in order of their ids; instants in UTC, JSON with its members in the order they stand in, or, where Postgres
    keeps none, in that of their names.
    """

    def told(number: int, value: Any) -> Any:
        if value and number in keyed_columns:
            return json.dumps(json.loads(value), sort_keys=True)
        return json.loads(value) if value and number in json_columns else value

    return [
        json.dumps([told(number, it) for number, it in enumerate(row)], default=_plain)
        for row in sorted(rows, key=lambda row: (row[0], row[1]))
    ]


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, UUID):
        return str(value)
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat()


def _hash(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()
