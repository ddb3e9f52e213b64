"""Asking for jobs as they stood: at a position of the ledger, or at a time, which is the last position recorded by then.

Which jobs a page holds is found in the rows of ``job_history``; each of them is then folded from its events up to the position,
from the last snapshot on: what is shown is what the events say, and nothing private that was erased since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.access import ORG_STREAM, Org, Principal, principal_stream
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.hold import PREFIX as HOLD_PREFIX
from jobledger.ledger.domain.hold import FilterHold, Hold
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_removal import ALL
from jobledger.ledger.domain.policy import NO_POLICY
from jobledger.ledger.errors import GoneError, InvalidCommandError, NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.loading import StreamFold
from jobledger.ledger.store.reading import EventReader
from jobledger.ledger.store.recorder import Recorder
from jobledger.ledger.store.statement import statement
from jobledger.projections.job_history import EVENTS_A_SNAPSHOT, job_from_snapshot
from jobledger.projections.job_query import JobFilter, JobPage
from jobledger.projections.keeping import Keeping
from jobledger.projections.page import Page

PACKAGE = "jobledger.projections"
# Where no more jobs than this stood in the states that are asked for, these alone are looked at; else most pages fill up soon.
MOST_IN_STATES = 20_000
IDS_AT_ONCE = 1_000
# So many times as many as a page has are looked at before those that stood in some states are counted: mostly it is full by then.
FIRST_LOOK = 12
LARGEST_VERSION = LARGEST_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Moment:
    """A position of a ledger, -1 for before all, and the instant by which it is said what was retained then."""

    position: int
    now: datetime


class PastQuery:
    """The jobs of every org as they were. *domains* are those that the asker may see, None for all."""

    def __init__(self, database: Database, recorder: Recorder) -> None:
        self._database = database
        self._recorder = recorder
        # It remembers what events are made of.
        self._events = EventReader()

    async def moment(self, org: str, as_of: int | datetime) -> Moment:
        """The moment that is asked of. Raises InvalidCommandError for one that is yet to come, NotFoundError."""
        head = await self._recorder.head(org)
        if isinstance(as_of, datetime):
            now = (await self._database.fetch("SELECT greatest($1::timestamptz, clock_timestamp())", head.recorded_at))[
                0
            ][0]
            if as_of > now:
                raise InvalidCommandError("as_of is a time that has not come yet.", parameter="as_of")
            return Moment(await self._recorder.position_at(org, as_of), as_of)
        if as_of >= head.size:
            last = head.size - 1
            raise InvalidCommandError(
                f"as_of is beyond the ledger: its last position is {last}.", parameter="as_of", last_position=last
            )
        [stored] = [it async for it in self._recorder.scan(org, start=as_of, end=as_of + 1)]
        return Moment(as_of, datetime.fromisoformat(stored.envelope()["recorded_at"]))

    async def keeping(self, org: str, moment: Moment) -> Keeping:
        """What was said then of how long jobs are kept. Raises DatabaseIsAwayError, CorruptLedgerError."""
        said = await self._streams(org, ORG_STREAM, ORG_STREAM + "\x01", moment)
        begun = said.get(ORG_STREAM)
        holds = await self._streams(org, HOLD_PREFIX, HOLD_PREFIX[:-1] + ".", moment)
        active = [
            FilterHold(it.hold_id, it.name, it.filter)
            for it in holds.values()
            if isinstance(it, Hold) and it.filter is not None and it.released_at is None
        ]
        policy = begun.policy if isinstance(begun, Org) else NO_POLICY
        return Keeping(policy, tuple(sorted(active, key=lambda it: it.hold_id)), moment.now)

    async def job(self, org: str, job_id: int, moment: Moment, domains: frozenset[str] | None) -> bytes:
        """One job as it stood, as a JSON object. ``job_history`` must have come so far.

        Raises NotFoundError where it was not there yet; GoneError where it was gone already, or its contents have left the store
        since; DatabaseIsAwayError.
        """
        [job] = (await self._jobs(org, [job_id], moment)).values()
        if job is None:
            visible = None if domains is None else sorted(domains)
            residues = await self._database.fetch(statement(PACKAGE, "past_residue"), org, job_id, visible)
            for residue in residues:
                held = orjson.loads(residue["residue"]).get("archives", {})
                ids = [int(it) for it, told in held.items() if told.get("erased") != ALL]
                there = await self._database.fetch(statement(PACKAGE, "archives_there"), org, ids) if ids else []
                archives = [it["id"] for it in there]
                raise GoneError(
                    f"Job {job_id} was {residue['gone']}: what it was is in the store no more.",
                    job_id=job_id,
                    gone=residue["gone"],
                    gone_at=residue["gone_at"],
                    **({"archives": archives} if archives else {}),
                )
        elif isinstance(job, Job) and (domains is None or job.domain in domains):
            if job.gone is None:
                return _written((await self.keeping(org, moment)).shown_of(job))
            raise GoneError(f"Job {job_id} was {job.gone}.", job_id=job_id, gone=job.gone, gone_at=job.modified_on)
        raise NotFoundError(f"There was no job {job_id} then.", job_id=job_id, position=moment.position)

    async def page(
        self,
        org: str,
        wanted: JobFilter,
        moment: Moment,
        domains: frozenset[str] | None,
        *,
        after: int = 0,
        limit: int = 100,
    ) -> JobPage:
        """Up to *limit* jobs with an id beyond *after*, as they stood. ``job_history`` must have come so far. Raises
        DatabaseIsAwayError.
        """
        keeping = await self.keeping(org, moment)
        found: list[int] = []
        near = range(after + 1, min(after + FIRST_LOOK * limit, LARGEST_ID) + 1)
        if wanted.states is not None and near:
            found += await self._ids(org, wanted, moment, keeping, domains, after, limit + 1, near)
            after = near[-1]
        while len(found) <= limit:
            among = await self._next_in_states(org, wanted, moment, after)
            found += await self._ids(org, wanted, moment, keeping, domains, after, limit + 1 - len(found), among)
            if among is None or len(among) < IDS_AT_ONCE:
                break
            after = among[-1]
        ids = found[:limit]
        jobs = await self._jobs(org, ids, moment)
        # One whose contents left the store meanwhile is in no list any more.
        shown = [it for it in jobs.values() if isinstance(it, Job) and it.gone is None]
        written = [_written(keeping.shown_of(it)) for it in shown]
        return JobPage(written, ids[-1] if len(found) > limit else None)

    async def _next_in_states(self, org: str, wanted: JobFilter, moment: Moment, after: int) -> list[int] | None:
        """The next that stood in the states that are asked for; None where all are to be looked at."""
        if wanted.states is None:
            return None
        records = await self._database.fetch(
            statement(PACKAGE, "past_jobs_in_states"),
            *(org, moment.position, list(wanted.states), MOST_IN_STATES + 1, after, IDS_AT_ONCE),
        )
        if records[0]["found"] > MOST_IN_STATES:
            return None
        return [it["id"] for it in records if it["id"] is not None]

    async def _ids(
        self,
        org: str,
        wanted: JobFilter,
        moment: Moment,
        keeping: Keeping,
        domains: frozenset[str] | None,
        after: int,
        limit: int,
        among: Sequence[int] | None,
    ) -> list[int]:
        """The next that the filter lets through, among some or all."""
        records = await self._database.fetch(
            statement(PACKAGE, "list_past_jobs"),
            *(org, moment.position, after, limit, among, None if domains is None else sorted(domains)),
            None if wanted.states is None else list(wanted.states),
            *(wanted.type, wanted.domain, wanted.datastream_id, wanted.source, wanted.external_id),
            *(wanted.scheduled_from, wanted.scheduled_to, wanted.started_from, wanted.started_to),
            *(wanted.ended_from, wanted.ended_to, None if wanted.q is None else wanted.q.lower()),
            *(wanted.closed, wanted.held, wanted.retained, moment.now),
            orjson.dumps([it.filter.data for it in keeping.filter_holds]).decode(),
            orjson.dumps(keeping.policy.data["windows"]).decode(),
        )
        return [it["id"] for it in records]

    async def principals(
        self, org: str, moment: Moment, *, after: int = 0, limit: int, name: str | None = None
    ) -> Page:
        """Up to *limit* principals with a number beyond *after*, and what each could do then. Raises DatabaseIsAwayError."""
        # Principals stay, and so do their names: those of now are those of then, but for later ones.
        records = await self._database.fetch(statement(PACKAGE, "list_principals"), org, after, limit + 1, None, name)
        numbers = [it["id"] for it in records[:limit]]
        streams = [principal_stream(it) for it in numbers]
        sql, most = statement(PACKAGE, "past_events"), LARGEST_VERSION
        count = len(streams)
        folded = self._fold(
            await self._database.fetch(sql, org, streams, [0] * count, [most] * count, moment.position), {}
        )
        found = [it for stream in streams if isinstance(it := folded.get(stream), Principal)]
        is_last = len(records) <= limit or len(found) < len(streams)
        return Page([_shown_principal(it, moment) for it in found], None if is_last else numbers[-1])

    async def _jobs(self, org: str, ids: Sequence[int], moment: Moment) -> dict[int, Job | NotThere | None]:
        """How these jobs stood: None where contents are gone that it takes to tell."""
        bases: dict[int, tuple[Job | None, int, int]] = dict.fromkeys(ids, (None, 0, EVENTS_A_SNAPSHOT))
        for record in await self._database.fetch(statement(PACKAGE, "past_bases"), org, moment.position, ids):
            job_id, version = record["id"], record["version"]
            # What is private is in no snapshot: a job that ever had any is folded from its beginning.
            job = None if record["has_private"] else job_from_snapshot(job_id, version, record["job"])
            bases[job_id] = (job, 0 if job is None else version, version + EVENTS_A_SNAPSHOT)
        records = await self._database.fetch(
            statement(PACKAGE, "past_events"),
            org,
            [job_stream(it) for it in ids],
            [version for _, version, _ in bases.values()],
            # At the last of them there would be another snapshot.
            [before for *_, before in bases.values()],
            moment.position,
        )
        begun = {job_stream(job_id): job for job_id, (job, *_) in bases.items() if job is not None}
        folded = self._fold(records, begun)
        jobs: dict[int, Job | NotThere | None] = {}
        for job_id in ids:
            found = folded.get(job_stream(job_id), NOT_THERE)
            assert found is None or isinstance(found, Job | NotThere)
            jobs[job_id] = found
        return jobs

    async def _streams(self, org: str, begin: str, before: str, moment: Moment) -> Mapping[str, Aggregate | None]:
        """The aggregates of all streams of a kind, of which there are few."""
        sql = statement(PACKAGE, "past_streams")
        return self._fold(await self._database.fetch(sql, org, begin, before, moment.position), {})

    def _fold(self, records: Sequence[asyncpg.Record], begun: Mapping[str, Aggregate]) -> dict[str, Any]:
        """What the events come to, by stream; None where contents are gone."""
        folds = {stream: StreamFold(it) for stream, it in begun.items()}
        for header, position, event in self._events.read(*zip(*records, strict=True)) if records else ():
            fold = folds.get(header["stream"])
            if fold is None:
                fold = folds[header["stream"]] = StreamFold()
            fold.take(event, position)
        return {stream: None if it.lost_at is not None else it.aggregate for stream, it in folds.items()}


class NotThere:
    """Of a job that was not registered yet."""


NOT_THERE = NotThere()


def _shown_principal(principal: Principal, moment: Moment) -> dict[str, Any]:
    names = ("name", "roles", "capabilities", "home_domain", "domains", "is_disabled")
    return {
        "id": principal.principal_id,
        **{name: getattr(principal, name) for name in names},
        "has_password": principal.password is not None,
        "tokens": sum(it.is_alive(moment.now) for it in principal.tokens.values()),
        "version": principal.version,
        "added_at": principal.created_on,
    }


def _written(job: dict[str, Any]) -> bytes:
    return orjson.dumps(job, option=orjson.OPT_UTC_Z)
