"""What the history of jobs must tell, by a fold of all events that notes how each job stands after each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.retention import retained_until
from jobledger.projections.job_history import job_from_snapshot

WITHOUT_END = 2**63 - 1


@dataclass
class Pasts:
    """How the jobs of one org stood: by id, from each position on at which that changed; None where it was in no list."""

    standings: defaultdict[int, list[tuple[int, Any]]] = field(default_factory=lambda: defaultdict(list))
    registered: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    snapshots: dict[tuple[int, int], tuple[int, bool, Job]] = field(default_factory=dict)
    private: set[int] = field(default_factory=set)

    def take(self, position: int, header: Mapping[str, Any], aggregate: Aggregate | None) -> None:
        """The next event of a stream; None where its content is gone."""
        stream = header["stream"]
        if not stream.startswith("job-"):
            return
        job_id = int(stream[4:])
        if aggregate is None:
            return
        assert isinstance(aggregate, Job)
        if "private" in header:
            self.private.add(job_id)
        standing = _standing(aggregate)
        told = self.standings[job_id]
        if not told or told[-1][1] != standing:
            told.append((position, standing))
        if header["version"] == 1:
            datastream = None if aggregate.datastream is None else str(aggregate.datastream["id"])
            self.registered[job_id] = (
                *(position, aggregate.registered_at, aggregate.type, aggregate.domain, datastream),
                *(aggregate.source, aggregate.external_id, aggregate.scheduled_at, aggregate.imported),
            )
        if header["version"] % 64 == 0 and aggregate.gone is None:
            copy = aggregate.working_copy([])
            self.snapshots[job_id, header["version"]] = (position, job_id in self.private, copy)


def _standing(job: Job) -> Any:
    if job.gone is not None:
        return None
    untils = [it for name in job.retentions if (it := retained_until(job, name)) is not None]
    names = (job.type, job.name, job.external_id, (job.datastream or {}).get("name"))
    return (
        *(str(job.state), job.started_at, job.ended_at, job.final_at, job.is_closed or None, bool(job.holds) or None),
        max(untils, default=None),
        "\n".join(it for it in names if it).lower(),
    )


async def audit_history(
    connection: asyncpg.Connection[asyncpg.Record],
    org: str,
    generation: int,
    aggregates: Mapping[str, Aggregate],
    pasts: Pasts,
) -> None:
    """The live rows tell what stood up to their tracking position, and nothing of what has left the store."""
    position = await connection.fetchval(
        "SELECT position FROM tracking WHERE org = $1 AND gen = $2 AND projection = 'job_history'", org, generation
    )
    end = position or 0
    there = {
        it.job_id for it in aggregates.values() if isinstance(it, Job) and it.gone in (None, "deleted")
    } & pasts.registered.keys()
    rows = await connection.fetch("SELECT * FROM job_past WHERE org = $1 AND gen = $2", org, generation)
    expected = {it: row for it, row in pasts.registered.items() if it in there and row[0] < end}
    assert {it["id"]: tuple(it)[3:] for it in rows} == expected, f"the past of {org} is wrong"
    rows = await connection.fetch("SELECT * FROM job_history WHERE org = $1 AND gen = $2", org, generation)
    stood: dict[tuple[int, int], Any] = {}
    for job_id in there:
        told = [it for it in pasts.standings[job_id] if it[0] < end]
        for (begin, standing), following in zip(told, [*told[1:], None], strict=False):
            if standing is not None:
                until = WITHOUT_END if following is None else following[0]
                level = 63 if following is None else (until - begin).bit_length() - 1
                stood[job_id, begin] = (until, level, *standing)
    found = {(it["id"], it["from_position"]): tuple(map(_in_time, tuple(it)[4:])) for it in rows}
    assert found == stood, (
        f"the history of {org} is wrong: {[it for it in found.items() if it not in stood.items()][:2]}"
    )
    rows = await connection.fetch("SELECT * FROM job_snapshot WHERE org = $1 AND gen = $2", org, generation)
    kept = {it: told for it, told in pasts.snapshots.items() if it[0] in there and told[0] < end}
    assert {(it["id"], it["version"]) for it in rows} == kept.keys()
    for row in rows:
        _, has_private, job = kept[row["id"], row["version"]]
        assert row["has_private"] is has_private
        assert _members(job_from_snapshot(row["id"], row["version"], row["job"])) == _members(job)


def _in_time(value: Any) -> Any:
    """Postgres's infinity comes without a zone."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _members(job: Job) -> dict[str, Any]:
    apart = (*Job.PRIVATE_MEMBERS, "_pending_events")
    return {name: it for name, it in vars(job).items() if it != getattr(Job, name, ...) and name not in apart}
