"""Processes that are killed, stopped, or many: what was acknowledged is in the store once (invariants 1 and 2)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.job_commands import ReportProgress
from jobledger.ledger.postgres.postmaster import PidFile
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.migration import migrate
from tests.auditor import Audited, audit
from tests.cluster import running_cluster
from tests.world import ALICE, ORG, register, register_running, registration, serving

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0


class Writer:
    """A process that appends, and the lines in which it told what was acknowledged."""

    def __init__(self, url: str, prefix: str, job_id: int, *options: str) -> None:
        command = [sys.executable, "-m", "tests.system.writer_process", url, prefix, str(job_id), *options]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        self.lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._has_ended = False
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.endswith(b"\n"):
                with self._changed:
                    self.lines.append(orjson.loads(line))
                    self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def wait_for(self, lines: int) -> None:
        """Return when it has acknowledged so many events."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.lines) >= lines or self._has_ended, DEADLINE_S)
            assert len(self.lines) >= lines, "the writer ended by itself"

    def finish(self) -> None:
        """Let it answer what is queued and end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(DEADLINE_S) == 0
        self._thread.join()

    def kill(self) -> None:
        """End it at once, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._thread.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def writing(url: str, count: int, job_id: int, *options: str) -> Iterator[list[Writer]]:
    """So many writers, killed at the end if they have not ended."""
    writers = [Writer(url, f"writer-{n}", job_id, *options) for n in range(count)]
    try:
        yield writers
    finally:
        for writer in writers:
            writer.kill()


def must_hold(audited: Audited, acknowledged: list[dict[str, Any]]) -> None:
    """Each acknowledged event stands at the position told, as told; and nothing stands twice."""
    for line in acknowledged:
        position = line["position"]
        assert (audited.types[position], audited.data[position]) == (line["type"], line["data"])
    names = [it.get("message") or it.get("name") for it in audited.data]
    assert len(names) == len(set(names)), "an event was doubled"


@pytest.mark.parametrize("count", [2, 4])
async def test_several_processes_append_to_one_org_and_one_job(ledger: Ledger, database_url: str, count: int) -> None:
    """Positions are dense and the job's versions gapless: the auditor says so; all that was told is there."""
    job_id = await register_running(ledger, name="shared")
    with writing(database_url, count, job_id) as writers:
        for writer in writers:
            await asyncio.to_thread(writer.wait_for, 150)
        for writer in writers:
            await asyncio.to_thread(writer.finish)

    acknowledged = [line for writer in writers for line in writer.lines]
    audited = (await audit(database_url))[ORG]
    must_hold(audited, acknowledged)
    assert sorted(it["position"] for it in acknowledged) == list(range(3, audited.size))


async def test_a_writer_that_is_killed_loses_and_doubles_nothing_it_acknowledged(
    ledger: Ledger, database_url: str
) -> None:
    """Again and again, at any moment, while another goes on."""
    job_id = await register_running(ledger, name="shared")
    acknowledged: list[dict[str, Any]] = []
    with writing(database_url, 1, job_id) as [steady]:
        for n in range(6):
            victim = Writer(database_url, f"victim-{n}", job_id)
            try:
                await asyncio.to_thread(victim.wait_for, 20 + 37 * n)
            finally:
                victim.kill()
            acknowledged += victim.lines
            await asyncio.to_thread(steady.wait_for, len(steady.lines) + 20)
        await asyncio.to_thread(steady.finish)

    must_hold((await audit(database_url))[ORG], acknowledged + steady.lines)


async def test_a_writer_that_is_stopped_holding_the_lock_does_not_stop_others(
    ledger: Ledger, database_url: str
) -> None:
    """Within 15 s another writes; reads never wait; and the one that was stopped goes on and doubles nothing."""
    job_id = await register_running(ledger, name="shared")
    with writing(database_url, 1, job_id, "stops") as [writer]:
        await asyncio.to_thread(os.waitid, os.P_PID, writer.process.pid, os.WSTOPPED | os.WNOWAIT)
        began = time.monotonic()

        appended = asyncio.ensure_future(register(ledger, name="meanwhile"))
        slowest_read_s = 0.0
        while not appended.done():
            asked = time.monotonic()
            assert (await ledger.job(ORG, job_id)).version == 2
            slowest_read_s = max(slowest_read_s, time.monotonic() - asked)
            await asyncio.sleep(0.05)

        assert await appended == job_id + 1
        assert time.monotonic() - began < 15
        assert slowest_read_s < 2
        assert writer.lines == []
        writer.process.send_signal(signal.SIGCONT)
        await asyncio.to_thread(writer.wait_for, 50)
        await asyncio.to_thread(writer.finish)

    audited = (await audit(database_url))[ORG]
    must_hold(audited, writer.lines)
    assert writer.lines[0]["data"] == {"message": "writer-0 stopped"}


@pytest.fixture
def own_cluster_url() -> Iterator[str]:
    """A cluster that may be killed."""
    with running_cluster({"shared_buffers": "32MB"}) as url:
        asyncio.run(migrate(url))
        yield url


@pytest.fixture
async def load(own_cluster_url: str) -> AsyncIterator[list[tuple[str, Outcome]]]:
    """What is acknowledged while many callers append; none of them is ever refused. Audited at the end."""
    acknowledged: list[tuple[str, Outcome]] = []
    is_over = False
    async with serving(own_cluster_url) as ledger:
        await ledger.create_org(ORG)
        job_id = await register_running(ledger, name="shared")

        async def call(caller: int) -> None:
            n = 0
            while not is_over:
                name, n = f"{caller}-{n}", n + 1
                if caller % 2:
                    outcome = await ledger.execute(registration(name=name))
                else:
                    outcome = await ledger.execute(ReportProgress(caller=ALICE, job_id=job_id, message=name))
                acknowledged.append((name, outcome))

        calls = asyncio.gather(*(call(n) for n in range(16)))
        yield acknowledged
        is_over = True
        async with asyncio.timeout(DEADLINE_S):
            await calls

    audited = (await audit(own_cluster_url))[ORG]
    lines = [
        {"position": position, "type": event.type_name, "data": event.data}
        for _, outcome in acknowledged
        for position, event in zip(outcome.positions, outcome.events, strict=True)
    ]
    must_hold(audited, lines)
    assert len(lines) == audited.size - 3


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():
            await asyncio.sleep(0.01)


async def grow(load: list[tuple[str, Outcome]], by: int) -> None:
    """Wait until so many more were acknowledged."""
    told = len(load)
    await until(lambda: len(load) >= told + by)


def postmaster_of(url: str) -> int:
    [socket] = parse_qs(urlsplit(url).query)["host"]
    found = PidFile.read(Path(socket).parent / "cluster")
    return found.pid if found is not None else 0


async def test_a_postgres_that_is_killed_loses_and_doubles_nothing(
    own_cluster_url: str, load: list[tuple[str, Outcome]]
) -> None:
    """Again and again under load: it is started again, every caller gets its answer, and each counts once."""
    for n in range(5):
        await grow(load, 50 + 31 * n)
        killed = postmaster_of(own_cluster_url)

        os.kill(killed, signal.SIGKILL)

        await until(lambda: postmaster_of(own_cluster_url) not in (0, killed))  # noqa: B023 - awaited in this round
        await grow(load, 50)


async def test_sessions_of_postgres_that_are_killed_lose_and_double_nothing(
    own_cluster_url: str, load: list[tuple[str, Outcome]]
) -> None:
    """One backend's end takes all of them with it, and Postgres recovers by itself."""
    for _ in range(3):
        await grow(load, 50)
        postmaster = postmaster_of(own_cluster_url)
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        backend = next(it for it in children if b"[local]" in Path(f"/proc/{it}/cmdline").read_bytes())

        os.kill(int(backend), signal.SIGKILL)

    await grow(load, 50)
