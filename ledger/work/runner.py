"""The runner: jobs that the ledger does itself are done by whichever server claims them, and taken over from one that died.

A kind of work is a class with steps (see ``Work``). What decides who does a job is its newest claim, under the head's lock: see
``job_work``. A server that lost its claim, or whose job was cancelled, is refused at its next step, and told so by its next
heartbeat where a step takes long. Whatever a step does may be done again: by whoever takes the work over, from what was remembered
last.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias
from uuid import uuid4

from jobledger.ledger.domain.job_work import AdvanceWork, BeatWork, ClaimIsLostError, ClaimWork, CompleteWork, FailWork
from jobledger.ledger.errors import (
    CorruptLedgerError,
    JobIsFinalError,
    LedgerError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from jobledger.ledger.store.database import LOST_CONNECTION_ERRORS
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.work.rounds import Rounds

log = logging.getLogger(__name__)

ROUND_S = 1.0
BEAT_S = 4.0
# Work without a sign of life for so long is taken over: with a round, well within 30 seconds of its server's death.
LAPSE = timedelta(seconds=15)
# In one server.
MOST_AT_ONCE = 4


class WorkFailedError(Exception):
    """The work cannot be done, and why, as the job's reason tells."""


class OpenWork(NamedTuple):
    """A job that waits to be done, or was left by whoever had its newest claim."""

    org: str
    job_id: int
    kind: str
    claim: int


# ``find_open(kinds, lapse, limit, passed_over)``: work of all orgs but those passed over.
FindOpen: TypeAlias = Callable[[Collection[str], timedelta, int, Collection[str]], Awaitable[Sequence[OpenWork]]]


@dataclass(slots=True)
class Task:
    """A job that this server has claimed. ``order`` says what is to be done, ``memory`` what was remembered of how far it came."""

    ledger: Ledger
    org: str
    job_id: int
    claim: int
    order: Mapping[str, Any]
    memory: Mapping[str, Any]
    stage: str | None
    # Which part of the whole the present step is.
    begin: float = 0.0
    end: float = 1.0

    def part(self, done: float) -> float:
        """How far the whole is when so much of the present step is done, from 0 to 1."""
        return self.begin + done * (self.end - self.begin)

    async def advance(
        self,
        *,
        stage: str | None = None,
        progress: float | None = None,
        figures: dict[str, int | float] | None = None,
        message: str | None = None,
        memory: Mapping[str, Any] | None = None,
    ) -> None:
        """Record how far the work is; durable when it returns. *memory* takes the place of what was remembered.

        Raises ClaimIsLostError, JobIsFinalError: nothing more may be done then.
        """
        await self.ledger.execute(
            AdvanceWork(
                caller=ledger_itself(self.org),
                job_id=self.job_id,
                claim=self.claim,
                stage=stage,
                progress=progress,
                figures=figures,
                message=message,
                memory=memory,
            )
        )
        self.stage = self.stage if stage is None else stage
        self.memory = self.memory if memory is None else memory


Step: TypeAlias = Callable[[Task], Awaitable[None]]


class Work(ABC):
    """A kind of work: jobs registered with ``{"kind", "order"}`` are done by its steps.

    A step calls ``task.advance`` before whatever may be seen from outside, and as often as it comes on; it may be cancelled
    wherever it waits.
    """

    kind: ClassVar[str]
    # What the job tells from the beginning of a step on, until that tells more; nothing new where a step has none.
    messages: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @abstractmethod
    def steps(self, order: Mapping[str, Any]) -> Mapping[str, Step]:
        """The steps of such an order by their names, which are the job's stages, in the order they are taken in."""


class Runner(Rounds):
    """Does the work of the kinds given. What is under way when it stops is left where it is: another server takes it over."""

    title = "The runner"

    def __init__(self, ledger: Ledger, find_open: FindOpen, works: Sequence[Work]) -> None:
        super().__init__(ledger)
        self._find_open = find_open
        self._works = {it.kind: it for it in works}
        self._server = str(uuid4())
        self._wake = asyncio.Event()
        self._failed: set[str] = set()

    async def _go_round(self) -> None:
        self._wake.clear()
        await self._look()

    async def _pause(self) -> None:
        # Not by wait_for, which, woken at that very moment, does not heed that it is to stop.
        with suppress(TimeoutError):
            async with asyncio.timeout(ROUND_S):
                await self._wake.wait()

    async def _look(self) -> None:
        room = MOST_AT_ONCE - len(self._under_way)
        if room <= 0:
            return
        # Every other round goes without the orgs that failed, so that they never keep the others from their turn.
        passed_over, self._failed = self._failed, set()
        for found in await self._find_open(list(self._works), LAPSE, room, passed_over):
            key = found.org, found.job_id
            if key not in self._under_way and len(self._under_way) < MOST_AT_ONCE:
                doing = asyncio.create_task(self._do(found), name=f"work {found.org} {found.job_id}")
                self._under_way[key] = doing
                doing.add_done_callback(partial(self._end, key))

    def _end(self, key: tuple[str, int], doing: asyncio.Task[bool]) -> None:
        self._under_way.pop(key, None)
        # Only then: what cannot be done now would be tried without a pause.
        if not doing.cancelled() and doing.result():
            self._wake.set()

    async def _do(self, found: OpenWork) -> bool:
        """Do it; whether it is over, and the next may come at once."""
        try:
            task = await self._claim(found)
            if task is not None:
                await self._steps(task, self._works[found.kind])
                return True
        except (JobIsFinalError, ClaimIsLostError, NotFoundError) as error:
            log.info("Job %s of %s is left: %s", found.job_id, found.org, error)
        except (LedgerError, CorruptLedgerError) as error:
            # It is taken up again once its claim has lapsed.
            self._failed.add(found.org)
            log.warning("Job %s of %s does not go on: %s", found.job_id, found.org, error)
        except Exception:
            self._failed.add(found.org)
            log.exception("Job %s of %s does not go on", found.job_id, found.org)
        return False

    async def _claim(self, found: OpenWork) -> Task | None:
        command = ClaimWork(
            caller=ledger_itself(found.org), job_id=found.job_id, claim=found.claim, server=self._server, lapse=LAPSE
        )
        result = (await self._ledger.execute(command)).result
        if not result["claimed"]:
            return None
        work = result["work"]
        return Task(
            self._ledger,
            found.org,
            found.job_id,
            result["claim"],
            work["order"],
            work.get("memory", {}),
            result["stage"],
        )

    async def _steps(self, task: Task, work: Work) -> None:
        doing = asyncio.create_task(self._take_steps(task, work), name=f"steps {task.org} {task.job_id}")
        beating = asyncio.create_task(self._beat(task), name=f"beat {task.org} {task.job_id}")
        try:
            await asyncio.wait([doing, beating], return_when=asyncio.FIRST_COMPLETED)
            # The beat ends only where the claim was lost, or the job is over.
            (doing if doing.done() else beating).result()
        finally:
            # Also where the runner stops: nothing goes on behind its back.
            for it in (doing, beating):
                it.cancel()
            await asyncio.gather(doing, beating, return_exceptions=True)

    async def _take_steps(self, task: Task, work: Work) -> None:
        steps = work.steps(task.order)
        names = list(steps)
        first = names.index(task.stage) if task.stage in names else 0
        try:
            for number, name in enumerate(names[first:], first):
                task.begin, task.end = number / len(names), (number + 1) / len(names)
                if task.stage != name:
                    await task.advance(stage=name, progress=task.begin, message=work.messages.get(name))
                await steps[name](task)
        except (LedgerError, CorruptLedgerError, *LOST_CONNECTION_ERRORS):
            # Not the work's fault.
            raise
        except WorkFailedError as error:
            await self._fail(task, str(error))
        except Exception as error:
            log.exception("Job %s of %s failed", task.job_id, task.org)
            await self._fail(task, f"The server failed: {type(error).__name__}.")
        else:
            await self._ledger.execute(
                CompleteWork(caller=ledger_itself(task.org), job_id=task.job_id, claim=task.claim)
            )

    async def _fail(self, task: Task, error: str) -> None:
        await self._ledger.execute(
            FailWork(caller=ledger_itself(task.org), job_id=task.job_id, claim=task.claim, error=error)
        )

    async def _beat(self, task: Task) -> None:
        """Give signs of life. Raises what says that the job is no longer this server's."""
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self._ledger.execute(
                    BeatWork(caller=ledger_itself(task.org), job_id=task.job_id, claim=task.claim)
                )
            except (UnavailableError, OutcomeUnknownError) as error:
                # Should it last, another takes over.
                log.info("Job %s of %s gave no sign of life: %s", task.job_id, task.org, error)
