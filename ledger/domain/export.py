"""An export: what was asked for, what was written, and who has had it.

Its stream is ``export-<job id>``, the job being the one that the ledger registers to do the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.aggregate import Aggregate

PREFIX = "export-"


def export_stream(export_id: int) -> str:
    """The stream of an export."""
    return f"{PREFIX}{export_id}"


class Export(Aggregate):
    """What is known of one export."""

    export_id: int
    requested_at: datetime
    requested_by: str
    # See ``Requested``, whose ``order`` it is.
    order: Mapping[str, Any]
    # {"claim", "file", "size_bytes", "sha256", "checkpoint", "from", "to", "counts"}: see ``Written``.
    written: Mapping[str, Any] | None
    written_at: datetime | None
    downloads: int

    class Requested(Aggregate.Created):
        """Events are to be exported: ``order`` has from_position?, to_position?, recorded_from?, recorded_to?, job_ids?, type?,
        domain?, private, attachments? (true), render?, checkpoint?.
        """

        type_name: ClassVar[str] = "export.requested"
        requested_by: str
        order: dict[str, Any]

        def apply(self, aggregate: Export) -> None:
            """Begin."""
            aggregate.export_id = int(self.originator_id.removeprefix(PREFIX))
            aggregate.requested_at = self.timestamp
            aggregate.requested_by = self.requested_by
            aggregate.order = self.order
            aggregate.written = aggregate.written_at = None
            aggregate.downloads = 0

    class Event(Aggregate.Event):
        """Base of the events of an export."""

    class Written(Event):
        """The file lies beside its final name, under this claim's: of the events ``begin`` to before ``end``, by the checkpoint of
        so many.
        """

        type_name: ClassVar[str] = "export.written"
        claim: int
        file: str
        size_bytes: int
        sha256: str
        checkpoint: int
        begin: int
        end: int
        counts: dict[str, int]

        def apply(self, aggregate: Export) -> None:
            """Know it."""
            aggregate.written = {
                "claim": self.claim,
                "file": self.file,
                "size_bytes": self.size_bytes,
                "sha256": self.sha256,
                "checkpoint": self.checkpoint,
                "from": self.begin,
                "to": self.end,
                "counts": self.counts,
            }
            aggregate.written_at = self.timestamp

    class Downloaded(Event):
        """Somebody was given the file, or a part of it: who is in the header, from where in the content."""

        type_name: ClassVar[str] = "export.downloaded"
        range: str | None = None

        def apply(self, aggregate: Export) -> None:
            """Count it."""
            aggregate.downloads += 1


Export.Requested.aggregate_class = Export
