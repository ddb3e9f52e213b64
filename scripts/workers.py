"""The parent of several serving processes: starts them, starts those that die again, and stops them."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from jobledger.http.metrics import FOLDER_VARIABLE
from jobledger.scripts.failure import FailedError
from jobledger.scripts.serving import SHUTDOWN_S, Plan
from jobledger.scripts.stop import Stop, unless
from jobledger.scripts.worker import READY, encode_plan

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
# A worker that lived so long did not die of being started.
SETTLED_S = 10.0
# Beyond what a worker takes to stop by itself, hurried or not.
PATIENCE_S = SHUTDOWN_S + 25.0
HURRIED_PATIENCE_S = 5.0


async def serve_by_workers(
    listener: socket.socket, plan: Plan, count: int, stop: Stop, tell_ready: Callable[[], None]
) -> None:
    """Serve by *count* processes until *stop* is requested, then stop them. Raises FailedError if one cannot start."""
    # Where they add up their numbers. It outlives each of them, and none of their servers.
    numbers = Path(tempfile.mkdtemp(prefix="jobledger-metrics-"))
    workers = [Worker(listener, plan, numbers) for _ in range(count)]
    keepers: list[asyncio.Task[None]] = []
    try:
        if plan.tls_certificate is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _hang_up, workers)
        started = await unless(stop.requested, _start_all(workers))
        if started is None:
            return
        keepers += [asyncio.create_task(worker.keep()) for worker in workers]
        tell_ready()
        await stop.requested.wait()
    finally:
        # The workers have their own copies, and close them now too: whoever connects from here on is refused.
        listener.close()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await asyncio.gather(*(worker.stop(stop) for worker in workers))
        shutil.rmtree(numbers, ignore_errors=True)


async def _start_all(workers: list[Worker]) -> bool:
    await asyncio.gather(*(worker.start() for worker in workers))
    return True


def _hang_up(workers: list[Worker]) -> None:
    for worker in workers:
        worker.hang_up()


class Worker:
    """One serving process, and the next one when it has died."""

    def __init__(self, listener: socket.socket, plan: Plan, numbers: Path) -> None:
        self._listener = listener
        self._plan = encode_plan(plan)
        self._numbers = numbers
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it, and return when it serves. Raises FailedError; it has said why."""
        descriptor = self._listener.fileno()
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            # Nothing is imported from wherever the server was started.
            *("-P", "-m", "jobledger.scripts.worker", str(descriptor)),
            stdin=PIPE,
            stdout=PIPE,
            pass_fds=(descriptor,),
            env={**os.environ, FOLDER_VARIABLE: str(self._numbers)},
            # Ctrl-C on the terminal is for the parent to see.
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(self._plan)
        if await process.stdout.readline() != READY:
            code = await process.wait()
            raise FailedError(f"A worker did not start (exit code {code}).")

    async def keep(self) -> None:
        """Start it again whenever it ends, with a pause that doubles while it does not live long."""
        clock = asyncio.get_running_loop().time
        pause_s, began_at = FIRST_PAUSE_S, clock()
        while True:
            assert self._process is not None
            code = await self._process.wait()
            if clock() - began_at > SETTLED_S:
                pause_s = FIRST_PAUSE_S
            mark_process_dead(self._process.pid, str(self._numbers))  # type: ignore[no-untyped-call]  # the library's own gap
            log.error("Worker %d ended (exit code %d); another is started.", self._process.pid, code)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            began_at = clock()
            with suppress(FailedError):
                await self.start()

    def hang_up(self) -> None:
        """Let it take a renewed certificate."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGHUP)

    async def stop(self, stop: Stop) -> None:
        """Let it finish, hurry it when we are hurried, and end it by force when it takes too long."""
        process = self._process
        if process is None:
            return
        for patience_s in (PATIENCE_S, HURRIED_PATIENCE_S):
            if process.returncode is not None:
                return
            process.send_signal(signal.SIGTERM)
            event = asyncio.Event() if stop.hurried.is_set() else stop.hurried
            with suppress(TimeoutError):
                await asyncio.wait_for(unless(event, process.wait()), patience_s)
        if process.returncode is None:
            log.error("Worker %d does not stop, and is killed.", process.pid)
            process.kill()
            await process.wait()
