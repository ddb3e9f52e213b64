"""Loading a log and registering 10,000 jobs at once, against COPY of the very rows that these write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from io import BytesIO
from random import Random
from time import perf_counter

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.store.database import Connection, connect
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.table import Row
from jobledger.scripts.load import Load
from jobledger.scripts.swf import SwfLog, open_log

TABLES = ("event", "content", "job")
LEAST_RATIO = 0.3
CHUNK_BYTES = 512 * 1024


async def copy_rows(url: str, org: str) -> float:
    """Seconds that COPY takes for the rows of *org*: from memory into identical empty tables, in one transaction."""
    connection = await connect(url, {}, role=None)
    try:
        copied = {table: await _rows_of(connection, table, org) for table in TABLES}
        await _make_empty_tables(connection)
        began = perf_counter()
        async with connection.transaction():
            for table, rows in copied.items():
                await connection.copy_to_table(table, schema_name="copied", source=_chunks(rows), format="binary")
        return perf_counter() - began
    finally:
        await connection.close()


async def _rows_of(connection: Connection, table: str, org: str) -> bytes:
    output = BytesIO()
    order = "id" if table == "job" else "position"
    # The name is one of TABLES, the org one of ours.
    query = f"SELECT * FROM {table} WHERE org = '{org}' ORDER BY {order}"  # noqa: S608
    await connection.copy_from_query(query, output=output, format="binary")
    return output.getvalue()


async def _make_empty_tables(connection: Connection) -> None:
    await connection.execute("DROP SCHEMA IF EXISTS copied CASCADE; CREATE SCHEMA copied")
    for table in TABLES:
        # LIKE leaves out the table's own settings, such as its fill factor.
        options: Sequence[str] | None = await connection.fetchval(
            "SELECT reloptions FROM pg_class WHERE oid = $1::text::regclass", table
        )
        settings = f" WITH ({', '.join(options)})" if options else ""
        await connection.execute(f"CREATE TABLE copied.{table} (LIKE {table} INCLUDING ALL){settings}")
    # What was written before is not to be flushed on the peer's time, nor on ours.
    await connection.execute("CHECKPOINT")


async def _chunks(rows: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(rows), CHUNK_BYTES):
        yield rows[begin : begin + CHUNK_BYTES]


async def _measure(bed: Bed, what: str, count: int, load: Callable[[Caller], Awaitable[None]], copied_what: str) -> Row:
    ours: list[float] = []
    others: list[float] = []
    for number in range(bed.plan.rounds):
        caller = await bed.new_org("load")
        connection = await connect(bed.url, {}, role=None)
        await connection.execute("CHECKPOINT")
        await connection.close()
        began = perf_counter()
        await load(caller)
        ours.append(count / (perf_counter() - began))
        others.append(count / await copy_rows(bed.url, caller.org))
        tell(f"{what}, round {number + 1}: {ours[-1]:,.0f} jobs/s, COPY {others[-1]:,.0f}")
    return Row(what=what, unit="jobs/s", ours=ours, others=others, other_name=copied_what, least=LEAST_RATIO)


async def measure_registration(bed: Bed) -> list[Row]:
    """One command that registers many plain jobs."""
    count = bed.plan.registrations

    async def register(caller: Caller) -> None:
        jobs = [JobSpec(type="backup", name=f"nightly {number}") for number in range(count)]
        await bed.ledger.execute(RegisterJobs(caller=caller, jobs=jobs))

    return [await _measure(bed, f"register {count:,} jobs, one command", count, register, "COPY of the same rows")]


async def measure_load(bed: Bed) -> list[Row]:
    """A log of jobs that ended long ago, as ``jobledger load swf`` loads it."""
    path = bed.plan.swf
    if path is None:
        log = made_up_log(bed.plan.swf_jobs)
    else:
        with open_log(path) as (stream, _file):
            log = stream.read()
    count = sum(1 for _ in SwfLog(BytesIO(log), "log").jobs())

    async def load(caller: Caller) -> None:
        await Load(bed.ledger, caller.org, lambda _loaded: None).load(SwfLog(BytesIO(log), "log").jobs())

    return [await _measure(bed, f"load swf, {count:,} jobs", count, load, "COPY of the same rows")]


def made_up_log(count: int) -> bytes:
    """A log in the Standard Workload Format, for where none is given: what its jobs tell is as much as a real one's tell."""
    chance = Random(1)  # noqa: S311  # makes up jobs, no secrets
    lines = ["; UnixStartTime: 749458803"]
    submitted = 0
    for number in range(1, count + 1):
        submitted += chance.randrange(1000)
        status = chance.choice((1, 1, 1, 1, 1, 1, 0, 5))
        run, processors, user = chance.randrange(20_000), 2 ** chance.randrange(8), chance.randrange(1, 70)
        lines.append(
            f"{number} {submitted} -1 {run} {processors} -1 -1 -1 -1 -1 {status} {user} 1 {user + 1} -1 -1 -1 -1"
        )
    return "\n".join(lines).encode()
