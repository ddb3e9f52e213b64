"""The steps by which the ledger makes an archive, and purges what one holds. Each carries its claim's number: see ``job_work``."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from jobledger.ledger.domain.access import ORG_STREAM, Org
from jobledger.ledger.domain.archive import CHANGED, GONE, HELD, RETAINED, Archive, archive_stream
from jobledger.ledger.domain.command import Effect, Find, UnitOfWork
from jobledger.ledger.domain.hold import hold_stream
from jobledger.ledger.domain.hold_commands import ALL_FILTER_HOLDS, active_holds
from jobledger.ledger.domain.job import FINAL_STATES, Job, job_stream
from jobledger.ledger.domain.job_archive import Archived, Purged, last_change
from jobledger.ledger.domain.job_commands import visible_job
from jobledger.ledger.domain.job_registration import JOBS_BY_EXTERNAL_ID
from jobledger.ledger.domain.job_removal import LAST_ERASURE, PURGED, REMOVE_CONTENTS, residue_of
from jobledger.ledger.domain.job_work import WorkStep, must_hold
from jobledger.ledger.domain.retention import HOLD, reasons_to_keep
from jobledger.ledger.errors import InvalidCommandError, NotFoundError

# Decided under the head's lock, which others wait for.
MOST_PURGED_AT_ONCE = 250


class HeldJob(NamedTuple):
    """A job that an archive holds, up to a version, and where in the file."""

    job_id: int
    version: int
    places: list[list[int]]


@dataclass(slots=True, kw_only=True, eq=False)
class ArchiveStep(WorkStep):
    """Base of what a job of the ledger's does about an archive."""

    archive_id: int
    is_counted: ClassVar[bool] = False
    # Whether it may be about an archive that was deleted.
    takes_deleted: ClassVar[bool] = False

    def streams(self) -> Iterable[str]:
        """The job that does it, and the archive."""
        return (job_stream(self.job_id), archive_stream(self.archive_id))

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, GoneError, ClaimIsLostError, JobIsFinalError."""
        must_hold(visible_job(unit, self.caller, self.job_id), self.claim)
        archive = unit.get(Archive, archive_stream(self.archive_id))
        if archive is None:
            raise NotFoundError(f"There is no archive {self.archive_id}.", archive_id=self.archive_id)
        if not self.takes_deleted:
            archive.must_be_here()
        return self.tell(unit, archive)

    @abstractmethod
    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """What the step comes to."""


@dataclass(slots=True, kw_only=True, eq=False)
class SelectJobs(ArchiveStep):
    """These jobs are to be archived, up to these versions. Nothing is appended where the selection has gone beyond them already."""

    ids: Sequence[int]
    versions: Sequence[int]
    last_id: int
    skipped: Mapping[str, int]
    is_last: bool

    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """Select them."""
        if not archive.is_selected and (self.last_id > archive.last_selected_id or self.is_last):
            archive.trigger_event(
                Archive.Selected,
                timestamp=unit.now,
                ids=list(self.ids),
                versions=list(self.versions),
                last_id=self.last_id,
                skipped=dict(self.skipped),
                is_last=self.is_last or None,
            )
        return {"selected": archive.selected, "is_selected": archive.is_selected}


@dataclass(slots=True, kw_only=True, eq=False)
class NoteWritten(ArchiveStep):
    """The files are written, under names that carry the claim's number, and durable: they may have their own names now."""

    files: Mapping[str, Mapping[str, Any]]
    counts: Mapping[str, int]

    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """Note it, unless another claim's were accepted before."""
        if archive.written is None:
            files = {name: dict(it) for name, it in self.files.items()}
            archive.trigger_event(
                Archive.Written, timestamp=unit.now, claim=self.claim, files=files, counts=dict(self.counts)
            )
        return {"claim": (archive.written or {})["claim"]}


@dataclass(slots=True, kw_only=True, eq=False)
class NoteVerified(ArchiveStep):
    """The files were read back whole, and are what the store holds."""

    manifest_sha256: str

    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """Note it, once."""
        if archive.verified_at is None:
            archive.trigger_event(Archive.Verified, timestamp=unit.now, manifest_sha256=self.manifest_sha256)
        return {}


@dataclass(slots=True, kw_only=True, eq=False)
class NoteCopied(ArchiveStep):
    """The files were copied to the destination, and verified there."""

    host: str
    path: str
    port: int | None = None

    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """Note it, once."""
        if archive.copied_at is None:
            archive.trigger_event(Archive.Copied, timestamp=unit.now, host=self.host, path=self.path, port=self.port)
        return {}


@dataclass(slots=True, kw_only=True, eq=False)
class NoteArchived(ArchiveStep):
    """The archive holds these jobs, which stay where they are. The result is ``{"archived": how many say so}``."""

    jobs: Sequence[HeldJob]

    def streams(self) -> Iterable[str]:
        """The jobs too."""
        return (*super(NoteArchived, self).streams(), *(job_stream(it.job_id) for it in self.jobs))

    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """Raises ArchiveIsNotVerifiedError."""
        archive.must_be_verified()
        return {"archived": sum(self._note(unit, archive, it) for it in self.jobs)}

    def _note(self, unit: UnitOfWork, archive: Archive, held: HeldJob) -> bool:
        job = unit.get(Job, job_stream(held.job_id))
        if job is None or (job.gone is not None and str(self.archive_id) not in (job.archives or {})):
            return False
        note_archived(unit, job, archive, held)
        return True


def note_archived(unit: UnitOfWork, job: Job, archive: Archive, held: HeldJob) -> None:
    """Let the job say that the archive holds it, once."""
    if str(archive.archive_id) not in (job.archives or {}):
        job.trigger_event(
            Archived,
            timestamp=unit.now,
            archive_id=archive.archive_id,
            version=held.version,
            places=held.places,
            copied_to=copy_of(archive),
        )


def copy_of(archive: Archive) -> dict[str, Any] | None:
    """Where a copy of the archive's files is, ``{"host", "port", "path"}``; None where there is none elsewhere."""
    if archive.copied_at is None:
        return None
    return {it: value for it, value in archive.order["destination"].items() if it in ("host", "port", "path")}


@dataclass(slots=True, kw_only=True, eq=False)
class NoteErased(ArchiveStep):
    """What was erased of a job is erased in the files, which lie beside their names under ``tag``, and are durable.

    The result is ``{"accepted"}``: false where they were made of others than those that the archive has by now.
    """

    takes_deleted: ClassVar[bool] = True
    erased_job_id: int
    scope: str
    tag: str
    files: Mapping[str, Mapping[str, Any]]

    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """Whether it was accepted."""
        if archive.written is None or archive.deleted_at is not None:
            return {"accepted": False}
        there = archive.written["files"]
        if any(there[name]["sha256"] != it["before"] for name, it in self.files.items()):
            return {"accepted": False}
        archive.trigger_event(
            Archive.Erased,
            timestamp=unit.now,
            job_id=self.erased_job_id,
            scope=self.scope,
            tag=self.tag,
            files={name: dict(it) for name, it in self.files.items()},
        )
        return {"accepted": True}


@dataclass(slots=True, kw_only=True, eq=False)
class PurgeJobs(ArchiveStep):
    """Purge these jobs, each judged on its newest state: one that something keeps, or that has changed, is archived alone.

    It goes under the head's lock: what is removed, events must cover first. The result is ``{"purged", "archived", "not_purged":
    {reason: how many}}``; one that this archive's purge has removed before counts as purged.
    """

    needs_lock: ClassVar[bool] = True
    jobs: Sequence[HeldJob]
    reason: str | None = None

    def streams(self) -> Iterable[str]:
        """The jobs too, and the org for its policy."""
        return (*super(PurgeJobs, self).streams(), ORG_STREAM, *(job_stream(it.job_id) for it in self.jobs))

    def finds(self) -> Iterable[Find]:
        """The holds over filters."""
        return (ALL_FILTER_HOLDS,)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """Those of these holds."""
        return [hold_stream(number) for numbers in answers for number in numbers]

    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """Raises ArchiveIsNotVerifiedError, InvalidCommandError for too many."""
        archive.must_be_verified()
        if len(self.jobs) > MOST_PURGED_AT_ONCE:
            raise InvalidCommandError(f"At most {MOST_PURGED_AT_ONCE} at once.", limit=MOST_PURGED_AT_ONCE)
        org = unit.see(Org, ORG_STREAM)
        assert org is not None
        holds = active_holds(unit)
        purged = archived = 0
        not_purged: Counter[str] = Counter()
        for held in self.jobs:
            job = unit.get(Job, job_stream(held.job_id))
            if job is None:
                raise NotFoundError(f"There is no job {held.job_id}.", job_id=held.job_id)
            if job.gone == PURGED and (job.archives or {}).get(str(self.archive_id), {}).get("purged"):
                purged += 1
                continue
            why = self._why_not(unit, job, held, org, holds)
            if why is None:
                self._purge(unit, job, archive, held)
                purged += 1
            else:
                not_purged[why] += 1
                if job.gone is None:
                    note_archived(unit, job, archive, held)
                    archived += 1
        return {"purged": purged, "archived": archived, "not_purged": dict(not_purged)}

    def _why_not(self, unit: UnitOfWork, job: Job, held: HeldJob, org: Org, holds: Sequence[Any]) -> str | None:
        if job.gone is not None:
            return GONE
        reasons = reasons_to_keep(job, org.policy, holds, unit.now)
        if reasons:
            return HELD if reasons[0].kind == HOLD else RETAINED
        if job.state not in FINAL_STATES or last_change(job) > held.version:
            return CHANGED
        return None

    def _purge(self, unit: UnitOfWork, job: Job, archive: Archive, held: HeldJob) -> None:
        if job.external_id is not None:
            unit.outdate(JOBS_BY_EXTERNAL_ID, (job.source or "", job.external_id))
        entry: dict[str, Any] = {
            "version": held.version,
            "places": held.places,
            "as_of": job.version + 1,
            "purged": True,
        }
        if (copied_to := copy_of(archive)) is not None:
            entry["copied_to"] = copied_to
        residue = residue_of(job)
        residue["archives"] = {**(job.archives or {}), str(self.archive_id): entry}
        job.trigger_event(Purged, timestamp=unit.now, archive_id=self.archive_id, residue=residue, reason=self.reason)
        unit.outdate(LAST_ERASURE, job.job_id)
        unit.affect(Effect(REMOVE_CONTENTS, (job.id, job.version)))


@dataclass(slots=True, kw_only=True, eq=False)
class ConcludeArchive(ArchiveStep):
    """Each job that the archive holds was purged, or notes that it is archived."""

    purged: int
    archived: int
    not_purged: Mapping[str, int]

    def tell(self, unit: UnitOfWork, archive: Archive) -> dict[str, Any]:
        """Note it, once for each job that purges."""
        if archive.completed_at is None:
            archive.trigger_event(
                Archive.Completed,
                timestamp=unit.now,
                purged=self.purged,
                archived=self.archived,
                not_purged=dict(self.not_purged),
            )
        return {}
