"""Archiving: what ended is selected, written, read back and verified, copied where that was asked for; and only then purged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from jobledger.ledger.domain.archive import Archive, added, archive_stream
from jobledger.ledger.domain.archive_commands import ARCHIVE
from jobledger.ledger.domain.archive_work import (
    ArchiveStep,
    ConcludeArchive,
    HeldJob,
    NoteArchived,
    NoteCopied,
    NoteErased,
    NoteVerified,
    NoteWritten,
    PurgeJobs,
)
from jobledger.ledger.domain.job import job_id_of
from jobledger.ledger.domain.job_work import ClaimIsLostError
from jobledger.ledger.errors import CorruptLedgerError, JobIsFinalError
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.ledger import ledger_itself
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.archiving.erasing import Erasing, settle
from jobledger.ledger.work.archiving.files import MANIFEST, ArchiveFiles
from jobledger.ledger.work.archiving.manifest import Manifest
from jobledger.ledger.work.archiving.reading import MemberRead, Verification, digest_of_file
from jobledger.ledger.work.archiving.selection import FindJobs, Selection, read_selection, select
from jobledger.ledger.work.archiving.writing import ArchiveWriter
from jobledger.ledger.work.lease import PACKAGE
from jobledger.ledger.work.runner import Step, Task, Work, WorkFailedError

# So many batches of jobs are asked for at once, the next as soon as one was decided: some go in one transaction, and Postgres
# removes what one covers while the next is decided. Others who write wait behind these: so each has as many jobs as lately took
# so long, but not so few that each costs far more.
BATCHES_QUEUED = 3
BATCH_S = 0.03
FIRST_JOBS_A_BATCH, FEWEST_JOBS_A_BATCH, MOST_JOBS_A_BATCH = 100, 75, 125
# By how much what was before counts less than what is now.
FADING = 0.8
JOBS_A_REPORT = 5_000
MEMBERS_A_REPORT = 100
POSITIONS_A_LOOK = 50_000


class RemoteCopy(Protocol):
    """Copies files elsewhere. Raises WorkFailedError, saying what failed."""

    async def send(
        self, org: str, job_id: int, claim: int, destination: Mapping[str, Any], files: Sequence[Path], progress: Any
    ) -> None:
        """Copy *files* to *destination*, and verify them there; *progress* is called with how much of it is done, from 0 to 1."""


class Pace:
    """How many jobs go in a batch: as many as take BATCH_S, by what lately were done in which time."""

    def __init__(self) -> None:
        self._at = monotonic()
        self._lately, self._lately_s = 0.0, 0.0

    def hear(self, number: int) -> None:
        """So many more are done by now."""
        now = monotonic()
        self._lately = FADING * self._lately + number
        self._lately_s = FADING * self._lately_s + now - self._at
        self._at = now

    @property
    def jobs(self) -> int:
        """How many go in the next."""
        if not self._lately_s:
            return FIRST_JOBS_A_BATCH
        return min(max(int(self._lately / self._lately_s * BATCH_S), FEWEST_JOBS_A_BATCH), MOST_JOBS_A_BATCH)


class Archiving(Work):
    """The work of jobs of type Archive/Purge Jobs. ``order`` is that of ``RequestArchive``, or ``{"purge_of", "reason"}``, or
    ``{"erase_of", "scope", "archives"}``.

    *data* is the installation's folder; *find_jobs* finds what is to be archived; *remote* copies, where it is wired in; with
    *evidence* an archive waits for the checkpoint that covers it, and gets its proof.
    """

    kind: ClassVar[str] = ARCHIVE

    def __init__(
        self,
        data: Path,
        find_jobs: FindJobs,
        remote: RemoteCopy | None = None,
        evidence: EvidenceStore | None = None,
    ) -> None:
        self._data = data
        self._find_jobs = find_jobs
        self._remote = remote
        self._evidence = evidence

    # Without "erase": nothing follows that would tell of it that it is done.
    messages: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "select": "Selecting the jobs",
            "archive": "Writing the archive",
            "verify": "Reading the archive back",
            "copy": "Copying the archive",
            "check": "Comparing the archive with what was verified",
            "record": "Noting which jobs are archived",
            "purge": "Purging the jobs",
        }
    )

    def steps(self, order: Mapping[str, Any]) -> Mapping[str, Step]:
        """See ``Work``."""
        if "purge_of" in order:
            return {"check": self._check, "purge": self._purge}
        if "erase_of" in order:
            return {"erase": self._erase}
        copy = {"copy": self._copy} if "destination" in order else {}
        last = {"purge": self._purge} if order["purge"] else {"record": self._record}
        return {"select": self._select, "archive": self._write, "verify": self._verify, **copy, **last}

    async def _archive(self, task: Task) -> tuple[Archive, ArchiveFiles]:
        archive_id = task.order.get("purge_of", task.job_id)
        archive = await task.ledger.aggregate(task.org, archive_stream(archive_id))
        if not isinstance(archive, Archive):
            raise CorruptLedgerError(f"There is no archive {archive_id} of {task.org}.")
        return archive, ArchiveFiles.of(self._data, task.org, archive.requested_at, archive_id)

    async def _execute(self, task: Task, kind: type[ArchiveStep], archive: Archive, **members: Any) -> dict[str, Any]:
        return (await task.ledger.execute(_command(task, kind, archive, **members))).result

    async def _select(self, task: Task) -> None:
        archive, _ = await self._archive(task)
        await select(task, archive, self._find_jobs)
        archive, _ = await self._archive(task)
        await task.advance(
            figures={"jobs_selected": archive.selected, **{f"jobs_{why}": it for why, it in archive.skipped.items()}}
        )

    async def _write(self, task: Task) -> None:
        archive, files = await self._archive(task)
        if archive.written is None:
            selection = await read_selection(task.ledger.recorder, task.org, archive.archive_id)
            try:
                await asyncio.to_thread(files.make_folder)
                # Whoever still writes one of these has lost its claim.
                await asyncio.to_thread(files.drop_parts)
                written, counts = await self._writer(task, archive, selection, files).write()
            except OSError as error:
                with suppress(OSError):
                    files.drop_parts_of(task.claim)
                if isinstance(error, ConnectionError | TimeoutError):
                    raise
                raise WorkFailedError(f"The archive cannot be written: {error.strerror}.") from error
            except BaseException:
                with suppress(OSError):
                    files.drop_parts_of(task.claim)
                raise
            # If we die from here on, the parts stay until this step's next run: it drops them where this was not accepted.
            try:
                result = await self._execute(task, NoteWritten, archive, files=written, counts=counts)
            except (ClaimIsLostError, JobIsFinalError):
                files.drop_parts_of(task.claim)
                raise
            claim = result["claim"]
        else:
            claim = archive.written["claim"]
        try:
            await asyncio.to_thread(files.publish, claim)
            await asyncio.to_thread(files.drop_parts)
        except OSError as error:
            raise WorkFailedError(f"The archive cannot be given its name: {error.strerror}.") from error

    def _writer(self, task: Task, archive: Archive, selection: Selection, files: ArchiveFiles) -> ArchiveWriter:
        return ArchiveWriter(task, archive, selection, files, self._evidence)

    async def _verify(self, task: Task) -> None:
        archive, files = await self._archive(task)
        if archive.verified_at is not None:
            return
        assert archive.written is not None
        await asyncio.to_thread(files.publish, archive.written["claim"])
        selection = await read_selection(task.ledger.recorder, task.org, archive.archive_id)
        manifest_sha256 = archive.written["files"][files.path(MANIFEST).name]["sha256"]
        verification = Verification(files, selection, manifest_sha256)
        manifest = await asyncio.to_thread(verification.open_manifest)
        members = verification.read_members(manifest)
        total = len(manifest.members)
        number = 0
        comparing: asyncio.Task[None] | None = None
        try:
            while (read := await asyncio.to_thread(next, members, None)) is not None:
                if comparing is not None:
                    await comparing
                # Postgres compares one while the next is read.
                comparing = asyncio.create_task(self._compare(task, read))
                number += 1
                if number % MEMBERS_A_REPORT == 0:
                    await task.advance(
                        progress=task.part(number / total), message=f"Verified: {number} of {total} members"
                    )
            if comparing is not None:
                await comparing
        finally:
            if comparing is not None:
                comparing.cancel()
                await asyncio.wait([comparing])
        await asyncio.to_thread(verification.compare_jobs, manifest)
        await self._execute(task, NoteVerified, archive, manifest_sha256=manifest_sha256)

    async def _compare(self, task: Task, read: MemberRead) -> None:
        """The headers of a member are those of the store."""
        [row] = await task.ledger.database.fetch(
            statement(PACKAGE, "digest_of_headers"), task.org, plain_array(read.positions)
        )
        if (row["number"], row["digest"]) != (len(read.positions), read.digest):
            raise WorkFailedError(
                f"The archive was read back and differs: a header from position {read.positions[0]} to"
                f" {read.positions[-1]} is not the one in the store."
            )

    async def _copy(self, task: Task) -> None:
        archive, files = await self._archive(task)
        if archive.copied_at is not None:
            return
        if self._remote is None:
            raise WorkFailedError("This server copies nothing elsewhere.")
        destination = archive.order["destination"]

        async def progress(done: float) -> None:
            await task.advance(progress=task.part(done))

        paths = list(files.existing())
        await self._remote.send(task.org, task.job_id, task.claim, destination, paths, progress)
        members = {it: destination[it] for it in ("host", "path", "port") if destination.get(it) is not None}
        await self._execute(task, NoteCopied, archive, **members)

    async def _check(self, task: Task) -> None:
        """What an earlier archive verified still is what it was."""
        archive, files = await self._archive(task)
        archive.must_be_verified()
        await asyncio.to_thread(settle, files, archive.rewritten)
        selection = await read_selection(task.ledger.recorder, task.org, archive.archive_id)
        await asyncio.to_thread(Verification(files, selection, archive.manifest_sha256 or "").open_manifest)

    async def _record(self, task: Task) -> None:
        """Each job says that the archive holds it."""
        await self._go_through(task, NoteArchived, {})

    async def _purge(self, task: Task) -> None:
        """Each job is purged, unless something keeps it by now, or it has changed."""
        await self._go_through(task, PurgeJobs, {"reason": task.order.get("reason")})

    async def _go_through(self, task: Task, kind: type[ArchiveStep], members: Mapping[str, Any]) -> None:
        archive, files = await self._archive(task)
        if archive.completed_at is None or archive.purge_job_id != task.job_id:
            await asyncio.to_thread(settle, files, archive.rewritten)
            path = files.path(MANIFEST)
            if (await asyncio.to_thread(digest_of_file, path))[1] != archive.manifest_sha256:
                raise WorkFailedError(f"{path.name} is not the manifest that was verified.")
            manifest = await asyncio.to_thread(Manifest, path)
            total = manifest.head["counts"]["jobs"]
            done: dict[str, Any] = {"at": 0, "purged": 0, "archived": 0, "not_purged": {}, **task.memory}
            queued: deque[tuple[int, asyncio.Future[Any]]] = deque()
            left, pace, reported = held_jobs(manifest, done["at"]), Pace(), done["at"]
            try:
                while jobs := list(islice(left, pace.jobs)):
                    command = _command(task, kind, archive, jobs=jobs, **members)
                    queued.append((len(jobs), await task.ledger.enqueue(command)))
                    if len(queued) == BATCHES_QUEUED:
                        number, _ = queued[0]
                        await _take(queued, done)
                        pace.hear(number)
                        if done["at"] >= reported + JOBS_A_REPORT:
                            await self._report(task, archive, done, total)
                            reported = done["at"]
                while queued:
                    await _take(queued, done)
            finally:
                for _, outcome in queued:
                    if not outcome.cancel() and not outcome.cancelled():
                        # Whatever it is, another error is being raised.
                        outcome.exception()
            await self._report(task, archive, done, total)
            await self._erase_since(task, archive)
            counts = {name: done[name] for name in ("purged", "archived", "not_purged")}
            await self._execute(task, ConcludeArchive, archive, **counts)

    async def _erase(self, task: Task) -> None:
        """What was erased of a job is erased in the archives that hold it."""
        for archive_id in task.order["archives"]:
            await self._erase_in(task, archive_id, task.order["erase_of"], task.order["scope"])

    async def _erase_since(self, task: Task, archive: Archive) -> None:
        """What was erased of the archive's jobs before they could know that it holds them."""
        selection = await read_selection(task.ledger.recorder, task.org, archive.archive_id)
        begin = (await task.ledger.recorder.page(task.org, -1, 1, stream=archive.id)).events[0].position
        size = (await task.ledger.recorder.head(task.org)).size
        for start in range(begin, size, POSITIONS_A_LOOK):
            for row in await task.ledger.database.fetch(
                statement(PACKAGE, "erasures"), task.org, start, min(start + POSITIONS_A_LOOK, size)
            ):
                job_id = job_id_of(row["stream"]) or 0
                place = selection.index(job_id)
                if place is not None and row["version"] > selection.versions[place]:
                    await self._erase_in(task, archive.archive_id, job_id, row["scope"])

    async def _erase_in(self, task: Task, archive_id: int, job_id: int, scope: str) -> None:
        tag = f"{task.job_id}-{task.claim}-{job_id}-{scope}"
        while True:
            archive = await task.ledger.aggregate(task.org, archive_stream(archive_id))
            if not isinstance(archive, Archive) or archive.verified_at is None or archive.deleted_at is not None:
                return
            files = ArchiveFiles.of(self._data, task.org, archive.requested_at, archive_id)
            try:
                await asyncio.to_thread(settle, files, archive.rewritten)
                await asyncio.to_thread(files.drop_rewritten_by, task.job_id)
                rewritten = await asyncio.to_thread(Erasing(files, job_id, scope, tag).write)
                if not rewritten:
                    return
                # If we die from here on, whoever reads the files next gives them their names.
                members = {"erased_job_id": job_id, "scope": scope, "tag": tag, "files": rewritten}
                if (await self._execute(task, NoteErased, archive, **members))["accepted"]:
                    await asyncio.to_thread(settle, files, tag)
                    return
                await asyncio.to_thread(files.drop_rewritten_by, task.job_id)
            except OSError as error:
                if isinstance(error, ConnectionError | TimeoutError):
                    raise
                raise WorkFailedError(f"The archive {archive_id} cannot be rewritten: {error.strerror}.") from error

    async def _report(self, task: Task, archive: Archive, done: Mapping[str, Any], total: int) -> None:
        """Say how far it is, and remember it: what was decided since is decided again, and comes to the same."""
        not_purged = {f"jobs_not_purged_{why}": it for why, it in done["not_purged"].items()}
        await task.advance(
            progress=task.part(done["at"] / total if total else 1.0),
            figures={"jobs_purged": done["purged"], "jobs_archived": done["archived"], **not_purged},
            message=summary_of(done, total, archive.skipped),
            memory=dict(done),
        )


def summary_of(done: Mapping[str, Any], total: int, skipped: Mapping[str, int]) -> str:
    """What became of the jobs that an archive holds, and why others that ended before are not in it: each reason with its count."""
    why = [f"{count} {it}" for it, count in sorted(done["not_purged"].items())]
    told = [f"{done['purged']} purged"] if done["purged"] or why or not done["archived"] else []
    if why:
        told += [f"{sum(done['not_purged'].values())} not purged ({', '.join(why)})"]
    elif done["archived"]:
        told += [f"{done['archived']} archived and not purged"]
    text = f"Of {total} jobs: {', '.join(told)}" if total else "No job was to be archived"
    left = [f"{count} {why}" for why, count in sorted(skipped.items()) if count]
    return f"{text}; skipped: {', '.join(left)}" if left else text


def _command(task: Task, kind: type[ArchiveStep], archive: Archive, **members: Any) -> ArchiveStep:
    caller = ledger_itself(task.org)
    return kind(caller=caller, job_id=task.job_id, claim=task.claim, archive_id=archive.archive_id, **members)


async def _take(queued: deque[tuple[int, asyncio.Future[Any]]], done: dict[str, Any]) -> None:
    """Add what became of the first batch that is queued."""
    number, outcome = queued[0]
    result = (await outcome).result
    queued.popleft()
    done["at"] += number
    done["purged"] += result.get("purged", 0)
    done["archived"] += result.get("archived", 0)
    done["not_purged"] = added(done["not_purged"], result.get("not_purged", {}))


def held_jobs(manifest: Manifest, skip: int) -> Iterator[HeldJob]:
    """The jobs that an archive holds, from the one of this number on. Raises WorkFailedError."""
    for job_id, version, members in manifest.jobs(skip):
        yield HeldJob(job_id, version, [manifest.members.place(it) for it in members])
