"""What maintenance does for what is read: projections that follow the ledger catch up with it, or all are rebuilt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.ledger.work.runner import Task, WorkFailedError
from jobledger.projections.rebuild.course import Rebuild
from jobledger.projections.rebuild.generations import Difference
from jobledger.projections.rebuild.report import Report
from jobledger.projections.rebuild.streams import Folded, FoldStreams

# What counts is counted in passes of far less than a second; a release that brings a projection counts all there is.
PATIENCE_S = 300.0
# How far a rebuild is, is recorded so often.
PROGRESS_S = 2.0


class Refresh:
    """A step of maintenance: wait until the projections that follow the ledger have come as far as it stands.

    Where the order says ``full_build``, all projections are rebuilt, in their folding by what *folding* gives for the ledger, and
    the work fails, with what was live as it was, where rows differ. If this server stops or loses the claim, the rebuild ends; who
    takes the work over begins anew.
    """

    def __init__(self, catch_up: CatchUp, folding: Callable[[Ledger], FoldStreams]) -> None:
        self._catch_up = catch_up
        self._folding = folding

    async def __call__(self, task: Task) -> None:
        """Take the step. Raises WorkFailedError, and what ``CatchUp.wait_for``, ``Rebuild.rebuild`` and ``Task.advance`` raise."""
        if task.order.get("full_build"):
            await self._rebuild(task)
            return
        for projection in self._catch_up.projections:
            position = await self._catch_up.wait_for(task.org, projection.name, PATIENCE_S)
            await task.advance(figures={f"{projection.name}_counted_to": position})

    async def _rebuild(self, task: Task) -> None:
        folded, events, told = Folded(), 0, 0

        def tell(more: Folded, size: int) -> None:
            nonlocal folded, events
            folded, events = more, size

        rebuild = Rebuild(task.ledger, self._folding(task.ledger), tell)
        rebuilding = asyncio.create_task(rebuild.rebuild(task.org), name=f"rebuild of {task.org}")
        try:
            while not rebuilding.done():
                await asyncio.wait([rebuilding], timeout=PROGRESS_S)
                if not rebuilding.done() and folded.events > told:
                    told = folded.events
                    # Refused where the job was cancelled or taken over: then nothing is put in place any more.
                    await task.advance(
                        progress=task.part(min(told / max(events, 1), 1.0)), figures={"events_folded": told}
                    )
            report = rebuilding.result()
        except CorruptLedgerError as error:
            raise WorkFailedError(str(error)) from error
        finally:
            if not rebuilding.done():
                rebuilding.cancel()
                await asyncio.gather(rebuilding, return_exceptions=True)
        if report.differences:
            raise WorkFailedError(
                f"Nothing was put in place: live rows are not what the events make: {_differing(report.differences)}."
            )
        await task.advance(figures=_figures(report))


def _figures(report: Report) -> dict[str, int | float]:
    return {"events_folded": report.events, "projections_rebuilt": len(report.projections)}


def _differing(differences: list[Difference]) -> str:
    return ", ".join(f"{it.count} of {it.table}" for it in differences)
