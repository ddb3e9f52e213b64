"""The projection of jobs: one row a job, rendered from the aggregate after its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, TypeAlias

import asyncpg
import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.domain.job import Job, State, job_id_of, job_stream
from jobledger.ledger.domain.job_commands import FOLLOW_UPS, LAST_HEARTBEAT
from jobledger.ledger.domain.job_registration import JOBS_BY_EXTERNAL_ID
from jobledger.ledger.domain.job_removal import DELETED, LAST_ERASURE, become_residue, residue_of
from jobledger.ledger.domain.job_workflow_commands import ANCESTORS, DIAGRAMS_OF_JOBS
from jobledger.ledger.domain.retention import retained_until
from jobledger.ledger.store.columns import null_array, packed, plain_array, quoted_array, sparse_array
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
# When contents leave the store, so does what job_history tells of them, without waiting for it to come as far.
FORGETTING = ("forget_past", "forget_history", "forget_snapshots")
WRITES = ("register_jobs", "update_jobs", "rewrite_jobs", "remove_jobs", "write_residues", "count_jobs", *FORGETTING)
# Jobs are counted by blocks of so many bits' worth of ids, so that no page of a list is looked for job by job.
BLOCK_BITS = 12

# The members of a job in the order that the API shows them in, as the aggregate calls them and as the API does.
SHOWN = {
    "job_id": "id",
    "type": "type",
    "name": "name",
    "domain": "domain",
    "state": "state",
    "_version": "version",
    "priority": "priority",
    "stage": "stage",
    "progress": "progress",
    "figures": "figures",
    "message": "message",
    "reason": "reason",
    "datastream": "datastream",
    "preceding_job_id": "preceding_job_id",
    "required_job_ids": "required_job_ids",
    "retry_of_job_id": "retry_of_job_id",
    "source": "source",
    "external_id": "external_id",
    "heartbeat_timeout": "heartbeat_timeout",
    "start_timeout": "start_timeout",
    "registered_at": "registered_at",
    "scheduled_at": "scheduled_at",
    "started_at": "started_at",
    "ended_at": "ended_at",
    "last_report_at": "last_report_at",
    "_modified_on": "updated_at",
    "backup": "backup",
    "attributes": "attributes",
    "is_closed": "closed",
    "copies": "copies",
    "details": "details",
    "workflow": "workflow",
    "attachments": "attachments",
    "holds": "holds",
    "retentions": "retention",
    "location": "location",
    "extended_properties": "extended_properties",
    "attachment_names": "attachment_names",
}
# Those that change as a job goes.
COURSE = {
    name: SHOWN[name]
    for name in (
        *("state", "_version", "stage", "progress", "figures", "message", "reason"),
        *("started_at", "ended_at", "last_report_at", "_modified_on"),
    )
}
# Those that are decided about it, and of these those that can be erased alone: absent from most jobs.
PRIVATE = {name: SHOWN[name] for name in Job.PRIVATE_MEMBERS}
DECIDED = ("is_closed", "copies", "details", "workflow", "attachments", "holds", "retentions")
# What the ledger is to do itself is nothing to show: its events tell.
DECISIONS = {name: SHOWN[name] for name in DECIDED} | {"work": "work", "archives": "archives"}
REGISTRATION = {name: shown for name, shown in SHOWN.items() if name not in COURSE | DECISIONS | PRIVATE}
# What the API shows where nothing was decided.
UNDECIDED = {
    shown: dict(value) if isinstance(value := getattr(Job, name), Mapping) else value
    for name, shown in (DECISIONS | PRIVATE).items()
}
TIMES = ("registered_at", "scheduled_at", "started_at", "ended_at", "last_report_at", "updated_at")
# Each job has all of these as members of its own, and its row those that are not None; some under another name.
UNSAID = dict.fromkeys((*REGISTRATION, *COURSE))
RENAMED = tuple((shown, name) for name, shown in (REGISTRATION | COURSE).items() if shown != name)
# Those of ``TIMES`` as the aggregate calls them.
TIME_MEMBERS = tuple(name for name, shown in (REGISTRATION | COURSE).items() if shown in TIMES)
STATES = {it.value: it for it in State}


NOTHING_DECIDED = (None, None, None)
# A job's row, or what has its columns too.
Row: TypeAlias = asyncpg.Record | Mapping[str, Any]


def render(job: Job, members: Mapping[str, str]) -> bytes:
    """Some of the job's members as a JSON object, those that are None left out."""
    values = job.__dict__
    shown = {name: value for key, name in members.items() if (value := values[key]) is not None}
    return orjson.dumps(shown, option=orjson.OPT_UTC_Z)


def render_decided(job: Job, members: Mapping[str, str]) -> str | None:
    """As ``render``, of members that only some jobs have: those that are as in any other job are left out, None for none."""
    if not job.is_decided:
        return None
    values = job.__dict__
    shown = {name: values[key] for key, name in members.items() if key in values and values[key] != UNDECIDED[name]}
    return orjson.dumps(shown, option=orjson.OPT_UTC_Z).decode() if shown else None


def shown_job(row: Row) -> dict[str, Any]:
    """The job as the API shows it, from the parts of its row."""
    members = UNDECIDED | orjson.loads(row["registration"]) | orjson.loads(row["course"])
    for part in (row["decisions"], row["private"]):
        if part is not None:
            members |= orjson.loads(part)
    return {name: members.get(name) for name in SHOWN.values()}


def search_text(job: Job) -> str:
    """What a search by ``q`` looks through: names and ids, in lower case, a line each."""
    datastream = job.datastream or {}
    parts = (job.type, job.name, job.external_id, datastream.get("name"))
    return "\n".join(part for part in parts if part).lower()


def job_from_row(row: Row) -> Job:
    """The aggregate that the row was rendered from."""
    members = {**UNSAID, **orjson.loads(row["registration"]), **orjson.loads(row["course"])}
    for shown, name in RENAMED:
        members[name] = members.pop(shown)
    members["state"] = STATES[members["state"]]
    decisions, private = row["decisions"], row["private"]
    if decisions is not None or private is not None:
        decided = (orjson.loads(decisions) if decisions else {}) | (orjson.loads(private) if private else {})
        members |= {name: decided[shown] for name, shown in (DECISIONS | PRIVATE).items() if shown in decided}
        members["is_decided"] = True
    for name in TIME_MEMBERS:
        if (value := members[name]) is not None:
            members[name] = datetime.fromisoformat(value)
    job = Job.__new__(Job)
    job.__base_init__(job_stream(row["id"]), row["version"], members["registered_at"])
    job.__dict__.update(members)
    job.body_hash = row["body_hash"]
    if row["final_at"] is not None:
        job.final_at = row["final_at"]
    job.imported = row["imported"]
    return job


def residue_row(job: Job) -> tuple[Any, ...]:
    """The row of a job that is gone, in the order of ``write_residues``."""
    residue = orjson.dumps(residue_of(job)).decode()
    return job.job_id, job.version, job.domain, job.gone, job.modified_on, residue


def job_from_residue(row: asyncpg.Record) -> Job:
    """The aggregate that the row was rendered from."""
    job = Job.__new__(Job)
    job.__base_init__(job_stream(row["id"]), row["version"], row["gone_at"])
    become_residue(job, row["gone"], orjson.loads(row["residue"]))
    return job


def decided_columns(job: Job) -> tuple[bool | None, bool | None, datetime | None]:
    """What is decided about a job and filtered by: whether it is closed, held by name, and until when users retain it."""
    if not job.is_decided:
        return NOTHING_DECIDED
    untils = [it for name in job.retentions if (it := retained_until(job, name)) is not None]
    return job.is_closed or None, bool(job.holds) or None, max(untils, default=None)


def registered_row(job: Job) -> tuple[Any, ...]:
    """The whole row of a job, in the order of ``register_jobs``."""
    return (
        job.job_id,
        job.version,
        job.state.value,
        job.type,
        job.domain,
        None if job.datastream is None else str(job.datastream["id"]),
        job.source,
        job.external_id,
        job.body_hash,
        job.preceding_job_id,
        job.scheduled_at,
        job.started_at,
        job.ended_at,
        job.due_at,
        job.begins_at,
        job.final_at,
        job.imported,
        *decided_columns(job),
        render_decided(job, DECISIONS),
        render_decided(job, PRIVATE),
        search_text(job).encode(),
        render(job, REGISTRATION),
        render(job, COURSE),
    )


def updated_row(job: Job) -> tuple[Any, ...]:
    """What may change in a job's row, in the order of ``update_jobs``."""
    return (
        job.job_id,
        job.version,
        job.state.value,
        job.started_at,
        job.ended_at,
        job.due_at,
        job.begins_at,
        job.final_at,
        *decided_columns(job),
        render_decided(job, DECISIONS),
        render_decided(job, PRIVATE),
        render(job, COURSE),
    )


def rewritten_row(job: Job) -> tuple[Any, ...]:
    """As ``updated_row``, and what is changed seldom, in the order of ``rewrite_jobs``."""
    return (*updated_row(job), search_text(job).encode(), render(job, REGISTRATION))


def is_registered_otherwise(before: Aggregate | None, after: Job) -> bool:
    """Whether what was registered is another now."""
    return isinstance(before, Job) and (before.name != after.name or before.priority != after.priority)


def moved_jobs(changes: Iterable[Changed]) -> Counter[tuple[str, date, str, int]]:
    """By how many the jobs of each state, day, domain and block of ids become more, or fewer."""
    moves: Counter[tuple[str, date, str, int]] = Counter()
    for before, after in ((it.before, it.after) for it in changes):
        assert isinstance(after, Job)
        if isinstance(before, Job) and before.gone is None:
            if before.state is after.state and before.begins_at == after.begins_at and after.gone is None:
                # As nearly always.
                continue
            moves[_counted_by(before)] -= 1
        if after.gone is None:
            moves[_counted_by(after)] += 1
    return moves


def _counted_by(job: Job) -> tuple[str, date, str, int]:
    return job.state.value, job.begins_at.date(), job.domain, job.job_id >> BLOCK_BITS


def is_wholly_gone(job: Job) -> bool:
    """Whether its contents have left the store, and not only what is private."""
    return job.gone not in (None, DELETED)


class JobsProjection:
    """See ``InlineProjection``."""

    name = "jobs"
    fold_version = 4
    aggregate_class: type[Aggregate] = Job
    write_statements = MappingProxyType({name: statement(PACKAGE, name) for name in WRITES})
    finds = frozenset({JOBS_BY_EXTERNAL_ID, FOLLOW_UPS, LAST_HEARTBEAT, DIAGRAMS_OF_JOBS, ANCESTORS, LAST_ERASURE})
    loaded_by = None
    tables = (
        ProjectedTable("job"),
        ProjectedTable("job_residue"),
        ProjectedTable("job_count", key=("block",), row=("state", "day", "domain"), condition="jobs <> 0"),
    )

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Job)
        number = changed.after.job_id
        return [("job", str(number)), ("job_residue", str(number)), ("job_count", str(number >> BLOCK_BITS))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        registered: list[tuple[Any, ...]] = []
        updated: list[tuple[Any, ...]] = []
        rewritten: list[tuple[Any, ...]] = []
        gone: list[tuple[Any, ...]] = []
        removed: list[int] = []
        forgotten: list[int] = []
        for before, job in ((it.before, it.after) for it in changes):
            assert isinstance(job, Job)
            if job.gone is not None:
                gone.append(residue_row(job))
                if isinstance(before, Job) and before.gone is None:
                    removed.append(job.job_id)
                if isinstance(before, Job) and is_wholly_gone(job) and not is_wholly_gone(before):
                    forgotten.append(job.job_id)
            elif before is None:
                registered.append(registered_row(job))
            elif is_registered_otherwise(before, job):
                rewritten.append(rewritten_row(job))
            else:
                updated.append(updated_row(job))
        writes: list[tuple[str, Sequence[Any]]] = []
        for name, rows, texts in (
            ("register_jobs", registered, 3),
            ("update_jobs", updated, 1),
            ("rewrite_jobs", rewritten, 3),
        ):
            if rows:
                columns = list(zip(*rows, strict=True))
                plain, values, encoded = columns[:3], columns[3:-texts], columns[-texts:]
                parameters = [*map(plain_array, plain), *map(sparse_array, values)]
                writes.append((name, [*parameters, *(it for column in encoded for it in packed(column))]))
        if removed:
            writes.append(("remove_jobs", [plain_array(removed)]))
        writes += [(name, [plain_array(forgotten)]) for name in FORGETTING if forgotten]
        if gone:
            ids, versions, domains, kinds, times, residues = zip(*gone, strict=True)
            literals = [
                plain_array(ids),
                plain_array(versions),
                quoted_array(domains),
                plain_array(kinds),
                null_array(times),
            ]
            writes.append(("write_residues", [*literals, *packed([it.encode() for it in residues])]))
        moves = [(*key, number) for key, number in sorted(moved_jobs(changes).items()) if number]
        if moves:
            states, days, domains, *numbers = zip(*moves, strict=True)
            counted = [plain_array(states), plain_array(days), domains, *map(plain_array, numbers)]
            writes.append(("count_jobs", counted))
        return writes

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``.

        Jobs by external id: ``{(source, external_id): (id, body hash, position)}``. Follow-ups: ``[(id, preceding
        id)]``, nearest first. Ancestors: a set of ids. Last erasure: ``(version, reason)`` or None. Diagrams of jobs: their
        ids, each once. Last heartbeat: an instant or None.
        """
        subjects = [subject for find in finds for subject in find.subjects]
        if kind == JOBS_BY_EXTERNAL_ID:
            known = await self._by_external_id(connection, org, generation, subjects)
            return [{it: known[it] for it in find.subjects if it in known} for find in finds]
        if kind == FOLLOW_UPS:
            behind: dict[Any, list[tuple[int, int]]] = {}
            for record in await connection.fetch(statement(PACKAGE, "follow_ups"), org, generation, subjects):
                behind.setdefault(record["root"], []).append((record["id"], record["preceding_job_id"]))
            return [behind.get(find.subjects[0], []) for find in finds]
        if kind == LAST_ERASURE:
            records = await connection.fetch(statement(PACKAGE, "last_erasures"), org, subjects)
            erasures = {record["job_id"]: (record["version"], record["reason"]) for record in records}
            return [erasures.get(find.subjects[0]) for find in finds]
        if kind == ANCESTORS:
            above: dict[Any, set[int]] = {}
            for record in await connection.fetch(statement(PACKAGE, "ancestors"), org, generation, subjects):
                above.setdefault(record["root"], set()).add(record["id"])
            return [above.get(find.subjects[0], set()) for find in finds]
        if kind == DIAGRAMS_OF_JOBS:
            rows = await connection.fetch(statement(PACKAGE, "diagrams_of_jobs"), org, generation, subjects)
            diagrams = {row["id"]: row["diagram_id"] for row in rows}
            return [sorted({diagrams[it] for it in find.subjects if it in diagrams}) for find in finds]
        records = await connection.fetch(statement(PACKAGE, "last_heartbeats"), org, subjects)
        beats = {record["job_id"]: record["beat_at"] for record in records}
        return [beats.get(find.subjects[0]) for find in finds]

    async def _by_external_id(
        self, connection: Connection, org: str, generation: int, names: Sequence[Any]
    ) -> dict[Any, tuple[int, str, int]]:
        sources, external_ids = zip(*names, strict=True)
        records = await connection.fetch(
            statement(PACKAGE, "jobs_by_external_id"), org, generation, list(sources), list(external_ids)
        )
        return {(r["source"], r["external_id"]): (r["id"], r["body_hash"], r["position"]) for r in records}

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``."""
        ids = [job_id for job_id in map(job_id_of, streams) if job_id is not None]
        if not ids:
            return {}
        records = await connection.fetch(statement(PACKAGE, "load_jobs"), org, generation, ids)
        jobs = {job.id: job for job in map(job_from_row, records)}
        missing = [job_id for job_id in ids if job_stream(job_id) not in jobs]
        if missing:
            residues = await connection.fetch(statement(PACKAGE, "load_residues"), org, generation, missing)
            jobs |= {job.id: job for job in map(job_from_residue, residues)}
        return jobs
