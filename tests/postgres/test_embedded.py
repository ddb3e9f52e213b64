"""The embedded Postgres, with real processes and kills."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from jobledger.ledger.postgres.embedded import (
    DataFolderInUseError,
    EmbeddedPostgres,
    EmbeddedPostgresError,
    running_url,
)
from jobledger.ledger.postgres.postmaster import OWNER, binaries_folder, find_account, find_launcher, output_of
from tests.postgres.place import (
    DEADLINE_S,
    SERVER,
    SMALL,
    command_line,
    eventually,
    eventually_answers,
    is_running,
    kill,
    query,
    server,
    start_and_stop,
)

pytestmark = pytest.mark.slow


async def test_a_first_start_makes_the_database(parent: Path) -> None:
    """Role, database, encoding, checksums and durability are as the ledger needs them; nothing half-made is left."""
    async with EmbeddedPostgres(parent / "a b" / "data", settings=SMALL) as postgres:
        assert [
            await query(postgres, statement)
            for statement in (
                "SELECT current_user",
                "SELECT current_database()",
                "SHOW server_encoding",
                "SELECT datcollate FROM pg_database WHERE datname = current_database()",
                "SHOW data_checksums",
                "SHOW fsync",
                "SHOW synchronous_commit",
                "SHOW shared_buffers",
            )
        ] == [OWNER, OWNER, "UTF8", "C", "on", "on", "on", "16MB"]

    assert list((parent / "a b/data/postgres").glob("cluster.new-*")) == []


async def test_a_stop_ends_postgres_and_frees_the_folder(data: Path) -> None:
    async with EmbeddedPostgres(data, settings=SMALL) as postgres:
        await query(postgres, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")
        pid = postgres.pid
        assert running_url(data) == postgres.url

    assert not is_running(pid)
    assert running_url(data) is None
    async with EmbeddedPostgres(data, settings=SMALL) as postgres:
        assert await query(postgres, "SELECT id FROM kept") == 1


async def test_a_stop_does_not_wait_for_sessions(data: Path) -> None:
    postgres = EmbeddedPostgres(data, settings=SMALL)
    await postgres.start()
    connection = await asyncpg.connect(postgres.url)
    transaction = connection.transaction()
    await transaction.start()

    async with asyncio.timeout(DEADLINE_S):
        await postgres.stop()

    connection.terminate()


def test_a_folder_that_nobody_serves_has_no_url(parent: Path) -> None:
    assert running_url(parent / "absent") is None
    assert not (parent / "absent").exists()


async def test_a_postgres_that_dies_is_started_again(postgres: EmbeddedPostgres) -> None:
    """What was committed is there; the server did nothing."""
    await query(postgres, "CREATE TABLE survived (id int)", "INSERT INTO survived VALUES (1)")
    killed = postgres.pid
    assert killed

    os.kill(killed, signal.SIGKILL)

    await eventually(lambda: postgres.pid not in (None, killed))
    assert await eventually_answers(lambda: query(postgres, "SELECT id FROM survived")) == 1
    assert is_running(postgres.pid)


async def test_postgres_goes_when_its_server_is_killed(data: Path) -> None:
    async with server(data) as (process, pid):
        assert running_url(data)

        process.kill()

        await eventually(lambda: not is_running(pid))
    assert running_url(data) is None
    await start_and_stop(data)


async def test_a_ctrl_c_in_the_terminal_does_not_reach_postgres(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid
    assert os.getsid(postgres.pid) == postgres.pid != os.getsid(0)


async def test_a_start_killed_while_it_makes_the_database_begins_anew(parent: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, parent / "data")
    await eventually(lambda: any(parent.glob("data/postgres/cluster.new-*/PG_VERSION")))
    await kill(process)
    assert not (parent / "data/postgres/cluster").exists()

    async with EmbeddedPostgres(parent / "data", settings=SMALL) as postgres:
        assert await query(postgres, "SELECT 1") == 1

    assert [path.name for path in parent.glob("data/postgres/cluster*")] == ["cluster"]


async def test_a_postgres_left_by_a_killed_server_is_stopped_first(data: Path) -> None:
    async with EmbeddedPostgres(data, settings=SMALL) as postgres:
        words = command_line(postgres.pid)
    launcher = await find_launcher(await find_account(), binaries_folder(), data / "postgres" / "socket")
    surviving = launcher[: launcher.index("--pdeathsig")]
    left = await asyncio.create_subprocess_exec(*surviving, *words, cwd="/", stderr=asyncio.subprocess.DEVNULL)
    await eventually_answers(lambda: query(postgres, "SELECT 1"))
    await query(postgres, "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1)")

    async with EmbeddedPostgres(data, settings=SMALL) as postgres:
        assert await left.wait() == 0
        assert await query(postgres, "SELECT id FROM kept") == 1


async def test_a_stranger_with_the_process_id_of_a_postgres_is_left_alone(data: Path) -> None:
    """Even one of the user that Postgres runs as, for which Postgres itself would refuse to start."""
    launcher = await find_launcher(await find_account(), binaries_folder(), data / "postgres" / "socket")
    stranger = await asyncio.create_subprocess_exec(*launcher, "sleep", "60", cwd="/")
    await eventually(lambda: command_line(stranger.pid) == ["sleep", "60"])
    for name in ("cluster/postmaster.pid", "socket/.s.PGSQL.5432.lock"):
        data.joinpath("postgres", name).write_text(f"{stranger.pid}\n{data}/postgres/cluster\n1\n5432\n\n\n\nready\n")

    await start_and_stop(data)

    assert is_running(stranger.pid)
    await kill(stranger)


async def test_a_folder_in_use_is_refused(postgres: EmbeddedPostgres, made: Path) -> None:
    """By name of the process, and without harm to it; its lock is not passed on to Postgres."""
    with pytest.raises(DataFolderInUseError, match=f"process {os.getpid()}") as refusal:
        await start_and_stop(made)

    assert os.getpid() == refusal.value.pid
    assert await query(postgres, "SELECT 1") == 1


def test_a_path_too_long_for_a_socket_is_refused(parent: Path) -> None:
    path = parent / ("x" * 80)

    with pytest.raises(EmbeddedPostgresError, match=r"may be \d+ bytes long"):
        EmbeddedPostgres(path)

    assert list(parent.iterdir()) == []


async def test_the_longest_path_allowed_works(data: Path, parent: Path) -> None:
    """And a path that is longer works through a link."""
    longest = parent / ("x" * (77 - len(f"{parent}/")))
    data.rename(longest)
    (parent / ("y" * 100)).mkdir()
    await start_and_stop(longest)

    longest.rename(parent / ("y" * 100) / "data")
    longest.symlink_to(parent / ("y" * 100) / "data")
    await start_and_stop(longest)


async def test_a_setting_postgres_refuses_is_told(made: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        await EmbeddedPostgres(made, settings={"shared_buffers": "much"}).start()

    await start_and_stop(made)


async def test_what_has_ended_by_itself_may_be_cancelled(tmp_path: Path) -> None:
    """Its output is still held open by what it began."""
    ended, gate = tmp_path / "ended", tmp_path / "gate"
    os.mkfifo(gate)
    running = asyncio.create_task(output_of(["sh", "-c", f"(cat {gate}) & echo $$ > {ended}"]))
    while not ended.exists() or Path("/proc", ended.read_text().strip() or "self").exists():
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    pipes = len(os.listdir("/proc/self/fd"))
    gate.write_text("")
    while len(os.listdir("/proc/self/fd")) >= pipes:
        await asyncio.sleep(0.01)

    assert running.cancelled()
