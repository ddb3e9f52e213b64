"""A server reduced to its ledger and its archiver, until standard input ends. Arguments: the database's URL, the data folder, and,
perhaps, the place where it stops for good, having said so on standard output.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from jobledger.ledger.domain.archive_work import ConcludeArchive, NoteVerified, NoteWritten, PurgeJobs, SelectJobs
from jobledger.ledger.domain.command import Command
from jobledger.ledger.work.archiving import files, work, writing
from jobledger.ledger.work.archiving.work import Archiving
from jobledger.ledger.work.runner import Runner
from jobledger.projections.archive_query import ArchiveQuery
from jobledger.projections.work_query import WorkQuery
from tests.system.stopping import stop_at_commands, stopping_after
from tests.world import serving

# In the order they are come to. Before and after: the command that is a step.
PLACES = (
    *(
        "selecting",
        "selected",
        "a member",
        "written",
        "accepted",
        "renamed one",
        "renamed all",
        "verifying",
        "verified",
    ),
    *("purging", "purged some", "purged all", "concluded"),
)
BEFORE: dict[type[Command], str] = {
    SelectJobs: "selecting",
    NoteWritten: "written",
    NoteVerified: "verifying",
    PurgeJobs: "purging",
    ConcludeArchive: "purged all",
}
AFTER: dict[type[Command], str] = {
    SelectJobs: "selected",
    NoteWritten: "accepted",
    NoteVerified: "verified",
    PurgeJobs: "purged some",
    ConcludeArchive: "concluded",
}


def arrange(place: str) -> None:
    """Let this process stop at the place."""
    stop_at_commands(place, BEFORE, AFTER)
    if place == "a member":
        writing.ArchiveWriter._write_member = stopping_after(place, writing.ArchiveWriter._write_member)  # type: ignore[method-assign]
    elif place == "renamed one":
        files.os.rename = stopping_after(place, os.rename)  # type: ignore[attr-defined]
    elif place == "renamed all":
        files.ArchiveFiles.publish = stopping_after(place, files.ArchiveFiles.publish)  # type: ignore[method-assign]


async def serve(url: str, data: Path, place: str | None) -> None:
    """Work until standard input ends."""
    writing.MEMBER_BYTES = 2_000
    work.Pace.jobs = 2  # type: ignore[method-assign, assignment]
    if place is not None:
        arrange(place)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with serving(url) as ledger:
        archiving = Archiving(data, ArchiveQuery(ledger.database).to_archive)
        runner = Runner(ledger, WorkQuery(ledger.database).open, [archiving])
        await runner.start()
        print("works", flush=True)
        await ended
        await runner.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None))
