"""``jobledger load``: jobs that others recorded are registered, with their own times, by the same sequencer as any."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.errors import LedgerError, OutcomeUnknownError, UnavailableError
from jobledger.ledger.store.ledger import Ledger
from jobledger.scripts.failure import FailedError
from jobledger.scripts.opening import command_line_caller, open_ledger
from jobledger.scripts.settings import Settings
from jobledger.scripts.swf import LoggedJob, MalformedLineError, SwfLog, open_log, source_of

# Three events a job: a request is nearly a batch, the next is at hand when it is written, and another is read meanwhile.
# Smaller ones cost more time each than they save by being written while the next is decided.
JOBS_A_REQUEST = 300
REQUESTS_IN_FLIGHT = 3


@dataclass(slots=True)
class Loaded:
    """What a load has come to so far."""

    registered: int = 0
    there_already: int = 0
    lost_preceding: int = 0
    events: int = 0

    def count(self, request: list[LoggedJob], outcome: Outcome) -> None:
        """Add what became of a request."""
        new = sum("offset" in job for job in outcome.result["jobs"])
        self.registered += new
        self.there_already += len(request) - new
        self.lost_preceding += sum(job.is_preceding_lost for job in request)
        self.events += outcome.event_count

    @property
    def jobs(self) -> int:
        """How many jobs of the log are in the ledger."""
        return self.registered + self.there_already


async def load_swf(settings: Settings, path: Path, org: str) -> None:
    """Load a log in the Standard Workload Format. Raises FailedError; what stands before that line is loaded."""
    with open_log(path) as (stream, file):
        log = SwfLog(stream, source_of(path))
        async with open_ledger(settings) as ledger:
            await ledger.recorder.head(org)
            began_at = monotonic()
            with _progress_bar(file, began_at) as show:
                load = Load(ledger, org, show)
                try:
                    await load.load(log.jobs())
                except (MalformedLineError, LedgerError) as error:
                    raise _failure(error, load.loaded) from error
                except asyncio.CancelledError:
                    print(f"Stopped: {load.loaded.jobs} jobs of the log are loaded.", file=sys.stderr)
                    raise
            print(
                _summary(load.loaded, log.partial_executions, f"{source_of(path)} into {org}", monotonic() - began_at)
            )


def _failure(error: MalformedLineError | LedgerError, loaded: Loaded) -> FailedError:
    if isinstance(error, OutcomeUnknownError):
        why = "The database was lost while a part of the log was being committed."
    else:
        why = error.detail if isinstance(error, LedgerError) else str(error)
    return FailedError(f"{why} {loaded.jobs} jobs of the log are loaded; loading it again loads none twice.")


def _summary(loaded: Loaded, partial_executions: int, where: str, seconds: float) -> str:
    remarks = (
        (loaded.there_already, "jobs were there already"),
        (partial_executions, "partial executions were skipped"),
        (loaded.lost_preceding, "preceding jobs do not stand above theirs and were left out"),
    )
    return (
        f"Loaded {loaded.registered} jobs of {where}: {loaded.events} events in {seconds:.2f} s, "
        f"{loaded.events / seconds:.0f} events/s"
        f"{''.join(f'; {count} {what}' for count, what in remarks if count)}."
    )


@contextmanager
def _progress_bar(file: IO[bytes], began_at: float) -> Iterator[Callable[[Loaded], None]]:
    """What shows how far a load is: a bar by how much of the file was read, on a terminal only."""
    if not sys.stderr.isatty() or not file.seekable():
        yield lambda _loaded: None
        return
    from tqdm import tqdm

    with tqdm(total=os.fstat(file.fileno()).st_size, unit="B", unit_scale=True) as bar:

        def show(loaded: Loaded) -> None:
            rate = loaded.events / (monotonic() - began_at)
            bar.set_postfix_str(f"{loaded.jobs} jobs, {rate:.0f} events/s", refresh=False)
            bar.update(file.tell() - bar.n)

        yield show


class Load:
    """Registers jobs in the order of the log, by requests of which several are under way at once."""

    def __init__(self, ledger: Ledger, org: str, show: Callable[[Loaded], None]) -> None:
        self.loaded = Loaded()
        self._ledger = ledger
        self._caller = command_line_caller(org)
        self._show = show
        self._under_way: deque[tuple[list[LoggedJob], asyncio.Task[Outcome]]] = deque()

    async def load(self, jobs: Iterator[LoggedJob]) -> None:
        """Register them. Raises LedgerError, and MalformedLineError, also for a line that the ledger refuses."""
        try:
            for request in requests_of(jobs):
                # The ledger says whether a job that stands there again is the same. If it is not, nothing below it is loaded.
                is_again = request[0].is_again
                await self._receive_until(0 if is_again else REQUESTS_IN_FLIGHT - 1)
                self._send(request)
                await self._receive_until(0 if is_again else REQUESTS_IN_FLIGHT)
            await self._receive_until(0)
        except BaseException:
            await self._settle()
            raise

    def _send(self, request: list[LoggedJob]) -> None:
        command = RegisterJobs(caller=self._caller, jobs=[job.spec for job in request])
        self._under_way.append((request, asyncio.create_task(self._ledger.execute(command))))

    async def _receive_until(self, most: int) -> None:
        """Wait until no more than *most* requests are under way."""
        while len(self._under_way) > most:
            request, task = self._under_way[0]
            await asyncio.wait([task])
            self._under_way.popleft()
            error = task.exception()
            if error is None:
                self.loaded.count(request, task.result())
                self._show(self.loaded)
            elif isinstance(error, LedgerError) and not isinstance(error, UnavailableError | OutcomeUnknownError):
                # What was sent after it may have been refused only because this was.
                for refused in (request, *await self._settle()):
                    await self._send_apart(refused)
            else:
                raise error

    async def _settle(self) -> list[list[LoggedJob]]:
        """Wait for all that is under way; the requests that were refused."""
        refused: list[list[LoggedJob]] = []
        while self._under_way:
            request, task = self._under_way[0]
            await asyncio.wait([task])
            self._under_way.popleft()
            if task.exception() is None:
                self.loaded.count(request, task.result())
            else:
                refused.append(request)
        return refused

    async def _send_apart(self, request: list[LoggedJob]) -> None:
        """Register the jobs of a refused request one by one, up to the one that it was refused for."""
        for job in request:
            try:
                outcome = await self._ledger.execute(RegisterJobs(caller=self._caller, jobs=[job.spec]))
            except (UnavailableError, OutcomeUnknownError):
                raise
            except LedgerError as error:
                raise MalformedLineError(
                    job.line, f"the ledger refuses job {job.spec.external_id}: {error.detail}"
                ) from error
            self.loaded.count([job], outcome)


def requests_of(jobs: Iterator[LoggedJob]) -> Iterator[list[LoggedJob]]:
    """The jobs divided into requests; one whose number stood before is alone. Raises what reading the log raises, last."""
    request: list[LoggedJob] = []
    failure: MalformedLineError | None = None
    try:
        for job in jobs:
            if job.is_again or len(request) == JOBS_A_REQUEST:
                if request:
                    yield request
                request = []
            if job.is_again:
                yield [job]
            else:
                request.append(job)
    except MalformedLineError as error:
        failure = error
    if request:
        yield request
    if failure is not None:
        raise failure
