"""A server reduced to its ledger and its exporter, until standard input ends. Arguments: the database's URL, the data folder, and,
perhaps, the place where it stops for good, having said so on standard output.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.export_commands import NoteExported
from jobledger.ledger.work.exporting import files, writing
from tests.ledger.exported import exporter
from tests.system.stopping import stop_at_commands, stopping_after
from tests.world import serving

# In the order they are come to. Before and after: the command that is a step.
PLACES = ("a piece", "written", "accepted", "renamed")
BEFORE: dict[type[Command], str] = {NoteExported: "written"}
AFTER: dict[type[Command], str] = {NoteExported: "accepted"}


def arrange(place: str) -> None:
    """Let this process stop at the place."""
    stop_at_commands(place, BEFORE, AFTER)
    if place == "a piece":
        writing.ExportWriter._write_pieces = stopping_after(place, writing.ExportWriter._write_pieces)  # type: ignore[method-assign]
    elif place == "renamed":
        files.ExportFile.publish = stopping_after(place, files.ExportFile.publish)  # type: ignore[method-assign]


async def serve(url: str, data: Path, place: str | None) -> None:
    """Work until standard input ends."""
    if place is not None:
        arrange(place)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with serving(url) as ledger, exporter(ledger, data):
        print("works", flush=True)
        await ended


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None))
