"""An archive: which jobs it was asked for, which it holds, and what became of it.

Its stream is ``archive-<job id>``, the job being the one that the ledger registers to do the work. The selection is in its events,
so that whoever takes the work over archives the same jobs; the aggregate itself remembers how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.errors import ConflictError, GoneError

PREFIX = "archive-"
# So many jobs an event: with their versions they stay far below what an event may hold.
MOST_SELECTED_AT_ONCE = 10_000

# Why a job that was asked for is not archived, or one that is archived is not purged.
HELD, RETAINED, CHANGED, GONE = "held", "retained", "changed", "gone"


class ArchiveIsNotVerifiedError(ConflictError):
    """The archive has not been read back and found right."""

    code = "archive_is_not_verified"


class ArchiveIsKeptError(ConflictError):
    """The archive holds jobs that are on hold or retained."""

    code = "archive_is_kept"


def archive_stream(archive_id: int) -> str:
    """The stream of an archive."""
    return f"{PREFIX}{archive_id}"


def archive_id_of(stream: str) -> int | None:
    """The id of the archive whose stream this is, None for another kind of stream."""
    digits = stream.removeprefix(PREFIX)
    is_one = digits != stream and digits.isascii() and digits.isdecimal() and digits[0] != "0" and len(digits) <= 10
    return int(digits) if is_one else None


class Archive(Aggregate):
    """What is known of one archive."""

    archive_id: int
    requested_at: datetime
    requested_by: str
    # As requested: ended_before, type?, domains?, purge, destination?, queue?, reason?.
    order: Mapping[str, Any]
    # How many jobs, and how many events of them, were selected so far; of those asked for how many were passed over, by reason.
    selected: int
    selected_events: int
    skipped: Mapping[str, int]
    last_selected_id: int
    is_selected: bool
    # {"claim", "files", "counts"}: see ``Written``.
    written: Mapping[str, Any] | None
    verified_at: datetime | None
    manifest_sha256: str | None
    # Of the newest rewriting for an erasure: what the names of its parts carry.
    rewritten: str | None
    copied_at: datetime | None
    # The newest job that purges, or has purged, what the archive holds, or has noted that it holds it.
    purge_job_id: int | None
    purge_reason: str | None
    completed_at: datetime | None
    purged: int
    archived: int
    not_purged: Mapping[str, int]
    deleted_at: datetime | None
    delete_reason: str | None

    def must_be_here(self) -> None:
        """Raise GoneError for one whose files were deleted."""
        if self.deleted_at is not None:
            raise GoneError(f"Archive {self.archive_id} was deleted.", archive_id=self.archive_id, gone="deleted")

    def must_be_verified(self) -> None:
        """Raise ArchiveIsNotVerifiedError unless it was read back and found right."""
        if self.verified_at is None:
            raise ArchiveIsNotVerifiedError(f"Archive {self.archive_id} is not verified.", archive_id=self.archive_id)

    class Event(Aggregate.Event):
        """Base of an archive's events."""

    class Requested(Event, Aggregate.Created):
        """Jobs of ``type``, or any, of ``domains``, or all, that ended before ``ended_before`` are to be archived; and, where
        ``purge`` is set, purged. ``destination`` says where a copy of the files goes.
        """

        type_name: ClassVar[str] = "archive.requested"
        times: ClassVar[tuple[str, ...]] = ("ended_before",)
        requested_by: str
        ended_before: datetime
        purge: bool
        type: str | None = None
        domains: list[str] | None = None
        destination: dict[str, Any] | None = None
        queue: str | None = None
        reason: str | None = None

        def apply(self, aggregate: Archive) -> None:
            """Begin."""
            aggregate.archive_id = int(self.originator_id.removeprefix(PREFIX))
            aggregate.requested_at = self.timestamp
            aggregate.requested_by = self.requested_by
            order: dict[str, Any] = {"type": self.type, "domains": self.domains, "purge": self.purge}
            order |= {"destination": self.destination, "queue": self.queue, "reason": self.reason}
            aggregate.order = {"ended_before": instant_text(self.ended_before)} | {
                name: it for name, it in order.items() if it is not None
            }
            aggregate.selected = aggregate.selected_events = aggregate.last_selected_id = 0
            aggregate.skipped = aggregate.not_purged = {}
            aggregate.is_selected = False
            aggregate.written = aggregate.verified_at = aggregate.manifest_sha256 = aggregate.copied_at = None
            aggregate.rewritten = None
            aggregate.purge_job_id = aggregate.archive_id
            aggregate.purge_reason = self.reason
            aggregate.completed_at = aggregate.deleted_at = aggregate.delete_reason = None
            aggregate.purged = aggregate.archived = 0

    class Selected(Event):
        """These jobs are archived, each up to this version; the next are looked for beyond ``last_id``, unless ``is_last``."""

        type_name: ClassVar[str] = "archive.selected"
        ids: list[int]
        versions: list[int]
        last_id: int
        skipped: dict[str, int]
        is_last: bool | None = None

        def apply(self, aggregate: Archive) -> None:
            """Count them."""
            aggregate.selected += len(self.ids)
            aggregate.selected_events += sum(self.versions)
            aggregate.skipped = added(aggregate.skipped, self.skipped)
            aggregate.last_selected_id = self.last_id
            aggregate.is_selected = bool(self.is_last)

    class Written(Event):
        """The files lie beside their final names, under this claim's. ``files``: by name ``{"size_bytes", "sha256"}``."""

        type_name: ClassVar[str] = "archive.written"
        claim: int
        files: dict[str, dict[str, Any]]
        counts: dict[str, int]

        def apply(self, aggregate: Archive) -> None:
            """Know them."""
            aggregate.written = {"claim": self.claim, "files": self.files, "counts": self.counts}

    class Verified(Event):
        """All was read back, and is what the store holds: from here on jobs may be purged that name this archive."""

        type_name: ClassVar[str] = "archive.verified"
        manifest_sha256: str

        def apply(self, aggregate: Archive) -> None:
            """Be verified."""
            aggregate.verified_at = self.timestamp
            aggregate.manifest_sha256 = self.manifest_sha256

    class Copied(Event):
        """The files were copied to the destination, and verified there."""

        type_name: ClassVar[str] = "archive.copied"
        host: str
        path: str
        port: int | None = None

        def apply(self, aggregate: Archive) -> None:
            """Be copied."""
            aggregate.copied_at = self.timestamp

    class PurgeRequested(Event):
        """What it holds is to be purged, by the job of this id."""

        type_name: ClassVar[str] = "archive.purge_requested"
        job_id: int
        reason: str | None = None

        def apply(self, aggregate: Archive) -> None:
            """Await it."""
            aggregate.purge_job_id = self.job_id
            aggregate.purge_reason = self.reason
            aggregate.completed_at = None

    class Completed(Event):
        """So many of its jobs were purged, so many others noted to be archived, and why they were not purged."""

        type_name: ClassVar[str] = "archive.completed"
        purged: int
        archived: int
        not_purged: dict[str, int]

        def apply(self, aggregate: Archive) -> None:
            """Be done."""
            aggregate.completed_at = self.timestamp
            aggregate.purged = self.purged
            aggregate.archived = self.archived
            aggregate.not_purged = self.not_purged

    class Erased(Event):
        """What was erased of a job is erased in the files, too, which lie beside their names under ``tag``.

        ``files``: by name ``{"size_bytes", "sha256", "before": the SHA-256 until then}``.
        """

        type_name: ClassVar[str] = "archive.erased"
        job_id: int
        scope: str
        tag: str
        files: dict[str, dict[str, Any]]

        def apply(self, aggregate: Archive) -> None:
            """Know the files as they are now."""
            now = {name: {"size_bytes": it["size_bytes"], "sha256": it["sha256"]} for name, it in self.files.items()}
            written = aggregate.written or {}
            aggregate.written = {**written, "files": {**written.get("files", {}), **now}}
            manifests = [it["sha256"] for name, it in now.items() if name.endswith(".manifest.json")]
            if aggregate.manifest_sha256 is not None and manifests:
                [aggregate.manifest_sha256] = manifests
            aggregate.rewritten = self.tag

    class Deleted(Event):
        """Its files were removed, all but the manifest."""

        type_name: ClassVar[str] = "archive.deleted"
        reason: str

        def apply(self, aggregate: Archive) -> None:
            """Be gone."""
            aggregate.deleted_at = self.timestamp
            aggregate.delete_reason = self.reason


Archive.Requested.aggregate_class = Archive


def added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Both counts together."""
    return {name: counts.get(name, 0) + more.get(name, 0) for name in {**counts, **more}}


def instant_text(instant: datetime) -> str:
    """RFC 3339 in UTC with Z."""
    return instant.isoformat().replace("+00:00", "Z")
