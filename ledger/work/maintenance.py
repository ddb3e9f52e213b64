"""Maintenance: an org's newest range is verified, and what expired in it is pruned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

from jobledger.ledger.domain.queue_commands import DropUnusedQueue
from jobledger.ledger.domain.schedule_action import MAINTENANCE
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.evidence.standing import verify_tree
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.ledger import ledger_itself
from jobledger.ledger.store.statement import statement
from jobledger.ledger.store.verification import verify_range
from jobledger.ledger.work.lease import PACKAGE
from jobledger.ledger.work.runner import Step, Task, Work, WorkFailedError

# The newest range: so many events, read in such parts.
NEWEST = 10_000
PART = 2_000
MOST_FORGOTTEN = 5_000
MOST_DROPPED = 100

# ``forget(connection, org, limit)`` removes up to so many of what expired in the org; how many there were.
Forget: TypeAlias = Callable[[Connection, str, int], Awaitable[int]]


async def forget_answers(connection: Connection, org: str, limit: int) -> int:
    """Remove up to *limit* answers to Idempotency-Keys that are past their time; how many there were."""
    return len(await connection.fetch(statement(PACKAGE, "forget_answers_of_org"), org, limit))


async def forget_messages(connection: Connection, org: str, limit: int) -> int:
    """Remove up to *limit* messages of queues that are no more; how many there were."""
    return len(await connection.fetch(statement(PACKAGE, "forget_messages"), org, limit))


# ``find_unused(org, limit)``: the ids of queues that nobody has used for so long as they are kept.
FindUnused: TypeAlias = Callable[[str, int], Awaitable[Sequence[int]]]


async def drop_unused_queues(find_unused: FindUnused, task: Task) -> None:
    """Drop the queues that nobody has used for so long, each by an event."""
    count = 0
    while found := await find_unused(task.org, MOST_DROPPED):
        for queue_id in found:
            await task.ledger.execute(DropUnusedQueue(caller=ledger_itself(task.org), queue_id=queue_id))
        count += len(found)
        await task.advance(figures={"queues_dropped": count})


class Maintenance(Work):
    """The work of jobs of type Aggregate Maintenance; ``order`` is ``{"full_build"}``.

    *forget* removes, by the name of a figure, what expires besides answers to Idempotency-Keys. *refresh*, where there is one,
    comes first: it brings up to date what is read, or builds it anew where the order says ``full_build``. *find_unused* finds
    queues that are to be dropped.
    """

    kind: ClassVar[str] = MAINTENANCE

    def __init__(
        self,
        forget: Mapping[str, Forget] = MappingProxyType({}),
        refresh: Step | None = None,
        find_unused: FindUnused | None = None,
    ) -> None:
        self._forget: dict[str, Forget] = {"idempotency_keys_pruned": forget_answers, **forget}
        self._refresh = refresh
        self._find_unused = find_unused

    def steps(self, order: Mapping[str, Any]) -> Mapping[str, Step]:
        """See ``Work``."""
        refresh = {} if self._refresh is None else {"refresh": self._refresh}
        return {**refresh, "verify": self._verify, "prune": self._prune}

    async def _verify(self, task: Task) -> None:
        """Re-read the newest events as they are stored, and hold them against the tree and the newest checkpoint."""
        recorder = task.ledger.recorder
        end = (await recorder.head(task.org)).size
        start = max(0, end - NEWEST)
        try:
            for first in range(start, end, PART):
                await verify_range(recorder, task.org, first, min(first + PART, end))
            await verify_tree(EvidenceStore(task.ledger.database), task.org, start, end)
        except CorruptLedgerError as error:
            raise WorkFailedError(str(error)) from error
        await task.advance(figures={"events_verified": end - start})

    async def _prune(self, task: Task) -> None:
        """Remove what expired, a bounded number in each transaction."""
        if self._find_unused is not None:
            await drop_unused_queues(self._find_unused, task)
        pruned: dict[str, int | float] = {name: task.memory.get(name, 0) for name in self._forget}
        for name, forget in self._forget.items():
            while True:
                removed = await task.ledger.database.write(partial(_forgotten, forget, task.org))
                pruned[name] += removed
                if removed < MOST_FORGOTTEN:
                    break
                await task.advance(figures=dict(pruned), memory=dict(pruned))
        await task.advance(figures=pruned)


async def _forgotten(forget: Forget, org: str, connection: Connection) -> int:
    async with connection.transaction():
        # A writer never scans; this one must, through an index of ranges.
        await connection.execute("SET LOCAL enable_bitmapscan = on; SET LOCAL enable_seqscan = on")
        return await forget(connection, org, MOST_FORGOTTEN)
