"""Folding streams in several processes: ``python -m jobledger.scripts.folding``, which takes ranges by its standard input.

The first line is what to make, as JSON; each further one a range, answered by a line when its rows are written. The process ends
with its input, so with whoever started it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict

import uvloop

from jobledger.ledger.errors import CorruptLedgerError, UnavailableError
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.rebuild.streams import Filling, Folded, FoldStreams, Range, fold_here, open_folder
from jobledger.scripts.memory import OBJECTS_BETWEEN_COLLECTIONS
from jobledger.scripts.opening import catch_up_projections, inline_projections

# With fewer events a process costs more than it spares.
EVENTS_A_PROCESS = 20_000


def fold_in_processes(ledger: Ledger, processes: int | None = None) -> FoldStreams:
    """What folds in so many processes, absent: one a core; in this one where there is little to fold."""
    most = processes or os.cpu_count() or 1
    here = fold_here(ledger.projections, ledger.catch_up_projections)

    async def fold_streams(filling: Filling, ranges: Sequence[Range], tell: Callable[[Folded], None]) -> None:
        count = min(most, filling.end // EVENTS_A_PROCESS, len(ranges))
        if count < 2:
            await here(filling, ranges, tell)
            return
        # Whoever is done with a range takes the next.
        left = iter(ranges)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(_fold_in_a_process(filling, left, tell))
        except ExceptionGroup as errors:
            # The first is why the others were ended.
            raise errors.exceptions[0] from None

    return fold_streams


async def _fold_in_a_process(filling: Filling, left: Iterator[Range], tell: Callable[[Folded], None]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asdict(filling)).encode() + b"\n")
        for bounds in left:
            process.stdin.write(json.dumps(bounds).encode() + b"\n")
            line = await process.stdout.readline()
            if not line.endswith(b"\n"):
                raise UnavailableError("A process that folds has ended; the log says why.")
            told = json.loads(line)
            if "corrupt" in told:
                raise CorruptLedgerError(told["corrupt"])
            tell(Folded(**told))
    except ConnectionError as error:
        raise UnavailableError("A process that folds has ended; the log says why.") from error
    finally:
        process.stdin.close()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def fold() -> None:
    """Fold the ranges that come, until no more do."""
    loop = asyncio.get_running_loop()
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin.buffer)
    filling = Filling(**json.loads(await asked.readline()))
    folder, close = await open_folder(filling, inline_projections(), catch_up_projections())
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    following = asyncio.ensure_future(asked.readline())
    try:
        while line := await following:
            # The end of the input is noticed also while a range is folded: then nobody asks any more.
            following = asyncio.ensure_future(asked.readline())
            first, before = json.loads(line)
            folding = asyncio.ensure_future(folder.fold((first, before)))
            await asyncio.wait([folding, following], return_when=asyncio.FIRST_COMPLETED)
            if not folding.done() and not following.result():
                folding.cancel()
                return
            try:
                told = asdict(await folding)
            except CorruptLedgerError as error:
                told = {"corrupt": str(error)}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
    finally:
        close()


if __name__ == "__main__":
    uvloop.run(fold())
