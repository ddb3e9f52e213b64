"""Deleting and erasing jobs: what leaves, what stays, and what may not.

An event that removes a whole job carries its residue, so that what is folded stays right without the contents before it. The
contents themselves are removed in the append's transaction, by the one function that may, which asks for that event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from jobledger.ledger.domain.access import ORG_STREAM, Org
from jobledger.ledger.domain.archive_commands import register_work
from jobledger.ledger.domain.command import Effect, Find, UnitOfWork
from jobledger.ledger.domain.hold import hold_stream
from jobledger.ledger.domain.hold_commands import ALL_FILTER_HOLDS, active_holds
from jobledger.ledger.domain.job import FINAL_STATES, Job, State, job_stream
from jobledger.ledger.domain.job_bytes import moved_bytes
from jobledger.ledger.domain.job_commands import FOLLOW_UPS, JobTransition, discard_follow_ups, visible_job
from jobledger.ledger.domain.job_decisions import must_not_be_running
from jobledger.ledger.domain.job_registration import JOBS_BY_EXTERNAL_ID
from jobledger.ledger.domain.policy_commands import must_give_reason
from jobledger.ledger.domain.retention import must_be_free, reasons_to_keep
from jobledger.ledger.errors import InvalidCommandError, JobIsNotFinalError, NotFoundError

# The effects by which what an event covers is removed, private contents alone or whole ones; a row is its (stream, version).
REMOVE_PRIVATE, REMOVE_CONTENTS = "remove_private", "remove_contents"
# A question: a job's last erasure, if nothing private was recorded of it since.
LAST_ERASURE = "last_erasure"
PRIVATE, ALL = "private", "all"
SCOPES = (PRIVATE, ALL)
DELETED, ERASED, PURGED = "deleted", "erased", "purged"

TIMES = ("registered_at", "scheduled_at", "started_at", "ended_at", "final_at")
RESIDUE = ("job_id", "type", "domain", "state", "imported", "preceding_job_id", "required_job_ids", "archives", *TIMES)


def utc_texts(instants: Iterable[datetime]) -> list[str]:
    """RFC 3339 in UTC with Z; of some at once, as each alone takes as long as several."""
    in_utc = [it if it.tzinfo is UTC else it.astimezone(UTC) for it in instants]
    texts: list[str] = orjson.loads(orjson.dumps(in_utc, option=orjson.OPT_UTC_Z))
    return texts


def residue_of(job: Job) -> dict[str, Any]:
    """What stays known of a job that goes, as plain members: id, type, domain, state, times, preceding and required ids, bytes."""
    if job.residue is not None:
        return job.residue
    known = job.__dict__  # where there is none of a name, the class has None
    members = {name: value for name in RESIDUE if (value := known.get(name)) is not None}
    moved = moved_bytes(job)
    if moved is not None:
        members["bytes"] = moved
    told = [name for name in TIMES if name in members]
    members.update(zip(told, utc_texts([members[name] for name in told]), strict=True))
    members["state"] = str(job.state)
    members["id"] = members.pop("job_id")
    return members


def become_residue(job: Job, gone: str, residue: dict[str, Any]) -> None:
    """Make the job what is left of it: the same, whatever was known of it before."""
    version, modified_on, pending = job._version, job._modified_on, job._pending_events  # the package's own members
    job.__dict__.clear()
    members: dict[str, Any] = {**UNKNOWN, **residue}
    for name in TIMES:
        if (value := members[name]) is not None:
            members[name] = datetime.fromisoformat(value)
    del members["id"]
    members.pop("bytes", None)
    members.update(
        job_id=residue["id"], state=State(residue["state"]), is_decided=True, gone=gone, name="", progress=0.0
    )
    members["residue"] = residue
    job.__base_init__(job_stream(residue["id"]), version, members["registered_at"])
    job.__dict__.update(members)
    job._modified_on, job._pending_events = modified_on, pending


# The members that each job has of its own, from its registration on.
REGISTERED = frozenset(
    {"priority", "datastream", "stage", "preceding_job_id", "required_job_ids", "retry_of_job_id", "source"}
    | {"external_id", "body_hash", "scheduled_at", "heartbeat_timeout", "start_timeout", "backup", "attributes"}
    | {"figures", "message", "started_at", "ended_at", "reason", "last_report_at"}
)
UNKNOWN = dict.fromkeys((*REGISTERED, *TIMES))


class Removal(Job.Decision):
    """Base of the events that carry a residue: the fold of the stream may begin here, without the contents before."""

    residue: dict[str, Any] | None = None
    gone: ClassVar[str]

    @property
    def begins_anew(self) -> bool:
        """Whether what is folded needs nothing that came before."""
        return self.residue is not None

    def mutate(self, aggregate: Any) -> Any:
        """As any event; with a residue also where nothing before it is there any more."""
        if aggregate is None and self.residue is not None:
            begun = Job.__new__(Job)
            begun.__base_init__(self.originator_id, self.originator_version - 1, self.timestamp)
            aggregate = begun
        return super().mutate(aggregate)

    def apply(self, aggregate: Job) -> None:
        """Be no more than the residue, where there is one."""
        super().apply(aggregate)
        if self.residue is not None:
            become_residue(aggregate, self.gone, self.residue)


class Deleted(Removal):
    """The job was deleted: it is in no list any more, and its private contents are gone."""

    type_name: ClassVar[str] = "job.deleted"
    gone: ClassVar[str] = DELETED
    residue: dict[str, Any] | None = None
    reason: str | None = None


class Erased(Removal):
    """Contents of the job's events were removed for good: of ``scope`` private their private parts, of ``scope`` all the whole."""

    type_name: ClassVar[str] = "job.erased"
    gone: ClassVar[str] = ERASED
    scope: str = PRIVATE
    residue: dict[str, Any] | None = None
    reason: str | None = None

    def apply(self, aggregate: Job) -> None:
        """Know nothing private of it; of scope all, nothing but the residue."""
        super().apply(aggregate)
        if self.residue is None:
            for name in (*Job.PRIVATE_MEMBERS, "attachments"):
                aggregate.__dict__.pop(name, None)
        if aggregate.archives is not None:
            aggregate.archives = {name: {**it, "erased": self.scope} for name, it in aggregate.archives.items()}
            if aggregate.residue is not None:
                aggregate.residue = {**aggregate.residue, "archives": aggregate.archives}


@dataclass(slots=True, kw_only=True, eq=False)
class RemoveJob(JobTransition):
    """Base of what removes a job, or parts of it. It goes under the head's lock: what it removes, its event must cover first."""

    needs_lock: ClassVar[bool] = True
    reason: str | None = None

    def streams(self) -> Iterable[str]:
        """The job, and the org for its policy."""
        return (job_stream(self.job_id), ORG_STREAM)

    def finds(self) -> Iterable[Find]:
        """The holds over filters."""
        return (ALL_FILTER_HOLDS,)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """Those of these holds."""
        return [hold_stream(number) for numbers in answers for number in numbers]

    def must_be_free(self, unit: UnitOfWork, job: Job) -> None:
        """Raise JobIsHeldError or JobIsRetainedError, with every reason, if anything keeps the job."""
        org = unit.see(Org, ORG_STREAM)
        assert org is not None
        must_be_free(job, reasons_to_keep(job, org.policy, active_holds(unit), unit.now))

    def remove(self, unit: UnitOfWork, job: Job, event_class: type[Removal], **members: Any) -> None:
        """Record the event, and remove what it covers in the same transaction."""
        if members.get("residue") is not None and job.external_id is not None:
            unit.outdate(JOBS_BY_EXTERNAL_ID, (job.source or "", job.external_id))
        job.trigger_event(event_class, timestamp=unit.now, reason=self.reason, **members)
        unit.outdate(LAST_ERASURE, job.job_id)
        is_whole = event_class is Erased and members["scope"] == ALL
        unit.affect(Effect(REMOVE_CONTENTS if is_whole else REMOVE_PRIVATE, (job.id, job.version)))


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteJob(RemoveJob):
    """Delete the job; those scheduled behind it are discarded. One that was deleted or erased before is done, nothing appended.

    The result is ``{"id", "state", "version", "deleted": true, "discarded": [ids that the caller may see]}``.
    """

    capability: ClassVar[str] = "jobs.delete"
    is_counted: ClassVar[bool] = False

    def finds(self) -> Iterable[Find]:
        """Its follow-ups, and the holds over filters."""
        return (Find(FOLLOW_UPS, (self.job_id,)), ALL_FILTER_HOLDS)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """Those of all of them."""
        follow_ups, holds = answers
        return [*(job_stream(job_id) for job_id, _preceding in follow_ups), *map(hold_stream, holds)]

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, JobIsRunningError, JobIsHeldError, JobIsRetainedError."""
        must_give_reason(self.reason)
        job = unit.get(Job, job_stream(self.job_id))
        discarded: list[Job] = []
        if job is None or job.gone in (None, PURGED) or not self.caller.sees(job.domain):
            job = visible_job(unit, self.caller, self.job_id)
            must_not_be_running(job)
            self.must_be_free(unit, job)
            self.remove(unit, job, Deleted, residue=residue_of(job))
            discarded = discard_follow_ups(unit, job)
            if discarded or job.preceding_job_id is not None:
                # Else it was behind none, and none is behind it.
                unit.outdate(FOLLOW_UPS)
        return {
            "id": self.job_id,
            "state": str(job.state),
            "version": job.version,
            "deleted": True,
            "discarded": [it.job_id for it in discarded if self.caller.sees(it.domain)],
        }


@dataclass(slots=True, kw_only=True, eq=False)
class EraseJob(RemoveJob):
    """Erase what is private of the job, or, once it is final, all of it; also of one that was deleted.

    The result is ``{"id", "state", "version", "erased": scope}``. A job erased whole is done, nothing appended; so is, of scope
    private, one erased before of which nothing private was recorded since, unless another reason is given. Where archives hold the
    job, it also has ``"archives": [ids]``, ``"erasing_job_id"``, the job that erases it in their files, and, where copies of
    these were sent elsewhere, which nothing here reaches, ``"copies_elsewhere": [{"archive_id", "host", "port", "path"}]``.
    """

    capability: ClassVar[str] = "jobs.erase"
    scope: str = PRIVATE

    def finds(self) -> Iterable[Find]:
        """The holds over filters; of scope private its last erasure."""
        last_erasure = (Find(LAST_ERASURE, (self.job_id,)),) if self.scope == PRIVATE else ()
        return (ALL_FILTER_HOLDS, *last_erasure)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """Those of the holds."""
        holds, *_ = answers
        return map(hold_stream, holds)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, JobIsNotFinalError, JobIsHeldError, JobIsRetainedError, InvalidCommandError."""
        must_give_reason(self.reason)
        if self.scope not in SCOPES:
            raise InvalidCommandError(f"A scope is one of {', '.join(SCOPES)}.", scope=self.scope)
        job = unit.get(Job, job_stream(self.job_id))
        if job is None or not self.caller.sees(job.domain):
            raise NotFoundError(f"There is no job {self.job_id}.", job_id=self.job_id)
        # What is private of a deleted job is gone with it, of an erased one everything.
        archives = {
            int(name): it for name, it in (job.archives or {}).items() if it.get("erased") not in (ALL, self.scope)
        }
        is_done = job.gone == ERASED or (
            self.scope == PRIVATE and (job.gone is not None or self._is_repeated(unit, job))
        )
        told: dict[str, Any] = {}
        if not is_done or archives:
            if self.scope == ALL and job.gone is None and job.state not in FINAL_STATES:
                raise JobIsNotFinalError(f"Job {self.job_id} has not ended.", job_id=self.job_id, state=str(job.state))
            self.must_be_free(unit, job)
            self.remove(unit, job, Erased, scope=self.scope, residue=residue_of(job) if self.scope == ALL else None)
            if archives:
                told = self._reach(unit, archives)
        return {"id": self.job_id, "state": str(job.state), "version": job.version, "erased": self.scope, **told}

    def _reach(self, unit: UnitOfWork, archives: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
        order = {"erase_of": self.job_id, "scope": self.scope, "archives": sorted(archives)}
        job_id = register_work(unit, self.caller, order).job_id
        told: dict[str, Any] = {"archives": sorted(archives), "erasing_job_id": job_id}
        elsewhere = [
            {"archive_id": number, **it["copied_to"]} for number, it in sorted(archives.items()) if "copied_to" in it
        ]
        return {**told, "copies_elsewhere": elsewhere} if elsewhere else told

    def _is_repeated(self, unit: UnitOfWork, job: Job) -> bool:
        erasure: tuple[int, str] | None = unit.found(Find(LAST_ERASURE, (self.job_id,)))
        if erasure is None or self.reason is None:
            return False
        # What the batch itself decided of the job may be private.
        version, reason = erasure
        return version == job.version and _substance(reason) == _substance(self.reason)


def _substance(reason: str) -> str:
    """A reason without what makes no other of it: spaces, upper and lower case."""
    return " ".join(reason.split()).casefold()
