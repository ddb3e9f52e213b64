"""Which jobs an archive holds: chosen once, fixed by events, kept as two arrays of numbers however many there are."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

from jobledger.ledger.domain.archive import MOST_SELECTED_AT_ONCE, Archive, archive_stream
from jobledger.ledger.domain.archive_work import SelectJobs
from jobledger.ledger.store.ledger import ledger_itself
from jobledger.ledger.store.recorder import Recorder
from jobledger.ledger.work.runner import Task

# So many jobs are looked at in one reading, and so many of a selection's events, which are large.
LOOKED_AT_ONCE = 2_000
EVENTS_A_PAGE = 4


class Found(NamedTuple):
    """Jobs to be archived with their versions, by id; how many others were passed over, by reason; the last id that was looked at,
    None where there was none.
    """

    ids: Sequence[int]
    versions: Sequence[int]
    skipped: dict[str, int]
    last_id: int | None


# ``find_jobs(org, after id, how many to look at, ended before, type, domains)``; type and domains None for any.
FindJobs: TypeAlias = Callable[[str, int, int, datetime, str | None, Sequence[str] | None], Awaitable[Found]]


@dataclass(slots=True)
class Selection:
    """Ids, ascending, and the version of each up to which it is archived."""

    ids: array[int] = field(default_factory=lambda: array("i"))
    versions: array[int] = field(default_factory=lambda: array("i"))

    def __len__(self) -> int:
        return len(self.ids)

    def slices(self, size: int) -> Iterator[tuple[list[int], list[int]]]:
        """All of them, so many at a time."""
        for begin in range(0, len(self.ids), size):
            yield self.ids[begin : begin + size].tolist(), self.versions[begin : begin + size].tolist()

    def index(self, job_id: int) -> int | None:
        """Where the job stands, None where it is none of them."""
        place = bisect_left(self.ids, job_id)
        return place if place < len(self.ids) and self.ids[place] == job_id else None


async def select(task: Task, archive: Archive, find_jobs: FindJobs) -> None:
    """Choose what is not chosen yet, and fix it by events; durable when this returns. Raises what commands do."""
    if archive.is_selected:
        return
    order = archive.order
    ended_before = datetime.fromisoformat(order["ended_before"])
    after = archive.last_selected_id
    ids: list[int] = []
    versions: list[int] = []
    skipped: Counter[str] = Counter()
    while True:
        found = await find_jobs(task.org, after, LOOKED_AT_ONCE, ended_before, order.get("type"), order.get("domains"))
        ids += found.ids
        versions += found.versions
        skipped.update(found.skipped)
        is_last = found.last_id is None
        after = after if found.last_id is None else found.last_id
        if is_last or len(ids) + LOOKED_AT_ONCE > MOST_SELECTED_AT_ONCE:
            command = SelectJobs(
                caller=ledger_itself(task.org),
                job_id=task.job_id,
                claim=task.claim,
                archive_id=archive.archive_id,
                ids=ids,
                versions=versions,
                last_id=after,
                skipped=dict(skipped),
                is_last=is_last,
            )
            await task.ledger.execute(command)
            ids, versions, skipped = [], [], Counter()
        if is_last:
            return


async def read_selection(recorder: Recorder, org: str, archive_id: int) -> Selection:
    """What the events say. Raises CorruptLedgerError, DatabaseIsAwayError."""
    selection, version, stream = Selection(), 0, archive_stream(archive_id)
    while page := await recorder.stream_page(org, stream, version, EVENTS_A_PAGE):
        for stored in page:
            event = stored.event()
            version = event.originator_version
            if isinstance(event, Archive.Selected):
                selection.ids.extend(event.ids)
                selection.versions.extend(event.versions)
                if event.is_last:
                    return selection
    return selection
