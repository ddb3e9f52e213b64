"""What archives say of a job: that one holds it, and that it was purged because one does.

``Job.archives`` and, of a job that is gone, its residue's ``archives``: by the archive's id
``{"version": 5, "places": [[0, 51200]], "as_of": 6}``. ``version`` is the last that the archive holds, ``places`` where in its file
what holds them begins and how long it is, each a whole gzip member; ``as_of`` the version of the event that says so. Where a copy
is elsewhere, ``copied_to`` says where; once it was asked to erase the job there, ``erased`` which scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_removal import PURGED, Removal


class Archived(Job.Decision):
    """An archive holds the job's events up to ``version``; they stay in the store."""

    type_name: ClassVar[str] = "job.archived"
    archive_id: int
    version: int
    places: list[list[int]]
    copied_to: dict[str, Any] | None = None

    def apply(self, aggregate: Job) -> None:
        """Know it."""
        super().apply(aggregate)
        entry: dict[str, Any] = {"version": self.version, "places": self.places, "as_of": self.originator_version}
        if self.copied_to is not None:
            entry["copied_to"] = self.copied_to
        aggregate.archives = {**(aggregate.archives or {}), str(self.archive_id): entry}


class Purged(Removal):
    """The contents of all the job's events before this one left the store: the archive holds them."""

    type_name: ClassVar[str] = "job.purged"
    gone: ClassVar[str] = PURGED
    archive_id: int | None = None
    residue: dict[str, Any] | None = None
    reason: str | None = None


def last_change(job: Job) -> int:
    """The version of the job's last event that was not just an archive's own."""
    versions = {it["as_of"] for it in (job.archives or {}).values()}
    version = job.version
    while version in versions:
        version -= 1
    return version


def archives_of(job: Job) -> Mapping[str, Mapping[str, Any]]:
    """The archives that hold the job, or what was there of it, by their ids."""
    return job.archives or {}
