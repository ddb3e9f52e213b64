"""What archives do in random histories: asked for, selected, and, as chance has it, verified and purged from, by hand."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from jobledger.ledger.domain.archive_commands import PurgeArchive, RequestArchive
from jobledger.ledger.domain.archive_work import (
    ConcludeArchive,
    HeldJob,
    NoteArchived,
    NoteVerified,
    NoteWritten,
    PurgeJobs,
    SelectJobs,
)
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job_work import ClaimWork, CompleteWork
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.archive_query import ArchiveQuery


class Archives:
    """The archives of an org, made without files: it is their commands that are tried. Between two of them anything may happen."""

    def __init__(self, ledger: Ledger, caller: Caller, itself: Caller, seed: int) -> None:
        self.ledger = ledger
        self.caller = caller
        self.itself = itself
        self.chance = Random(seed)
        self.archives: list[tuple[int, list[HeldJob]]] = []

    async def make(self) -> int:
        """One of all that has ended; the id of the job that makes it."""
        before = (await self.ledger.recorder.head(self.caller.org)).recorded_at
        command = RequestArchive(caller=self.caller, ended_before=before, purge=True, reason="space")
        archive_id: int = (await self.ledger.execute(command)).result["id"]
        step = await self._claimed(archive_id, archive_id)
        find = ArchiveQuery(self.ledger.database).to_archive
        found = await find(self.caller.org, 0, 1_000, before, None, None)
        chosen = [it for it in zip(found.ids, found.versions, strict=True) if self.chance.random() < 0.3]
        selected: dict[str, Any] = {"ids": [it for it, _ in chosen], "versions": [it for _, it in chosen]}
        last: dict[str, Any] = {"last_id": found.last_id or 0, "skipped": found.skipped, "is_last": True}
        await self.ledger.execute(SelectJobs(**step, **selected, **last))
        await self.ledger.execute(NoteWritten(**step, files={}, counts={"jobs": len(chosen)}))
        await self.ledger.execute(NoteVerified(**step, manifest_sha256="0" * 64))
        held = [HeldJob(job_id, version, [[0, 100]]) for job_id, version in chosen]
        self.archives.append((archive_id, held))
        if self.chance.random() < 0.5:
            await self.ledger.execute(NoteArchived(**step, jobs=held[: len(held) // 2]))
        if self.chance.random() < 0.7:
            await self._finish(step, held)
        return archive_id

    async def purge(self) -> int | None:
        """Purge what an earlier one holds; the id of the job that does."""
        if not self.archives:
            return None
        archive_id, held = self.chance.choice(self.archives)
        command = PurgeArchive(caller=self.caller, archive_id=archive_id, reason="space")
        job_id: int = (await self.ledger.execute(command)).result["id"]
        await self._finish(await self._claimed(job_id, archive_id), held)
        return job_id

    async def _claimed(self, job_id: int, archive_id: int) -> dict[str, Any]:
        command = ClaimWork(caller=self.itself, job_id=job_id, claim=0, server="s", lapse=timedelta(0))
        await self.ledger.execute(command)
        return {"caller": self.itself, "job_id": job_id, "claim": 1, "archive_id": archive_id}

    async def _finish(self, step: dict[str, Any], held: list[HeldJob]) -> None:
        for jobs in (held[::2], held[1::2], held[::2]):
            result = (await self.ledger.execute(PurgeJobs(**step, jobs=jobs))).result
            told = result["purged"] + sum(result["not_purged"].values())
            assert told == len(jobs)
        await self.ledger.execute(ConcludeArchive(**step, purged=1, archived=0, not_purged={}))
        await self.ledger.execute(CompleteWork(caller=self.itself, job_id=step["job_id"], claim=1))
