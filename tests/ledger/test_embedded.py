"""The embedded Postgres, with real processes, users and kills."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from jobledger.ledger.postgres.embedded import (
    DataFolderInUseError,
    EmbeddedPostgres,
    EmbeddedPostgresError,
    running_url,
)
from jobledger.ledger.postgres.postmaster import OWNER, READ_AND_SEARCH, binaries_folder, find_account, find_launcher

SMALL = {"shared_buffers": "16MB", "max_wal_size": "64MB"}
DEADLINE_S = 10.0
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")

SERVER = f"""
import asyncio, sys
from pathlib import Path
from jobledger.ledger.postgres.embedded import EmbeddedPostgres
async def main():
    postgres = EmbeddedPostgres(Path(sys.argv[1]), settings={SMALL!r})
    await postgres.start()
    print(postgres.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.fixture
def parent() -> Iterator[Path]:
    """A folder with a short path that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="jobledger-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder whose database is made; tests share it that leave it whole."""
    parent = Path(tempfile.mkdtemp(prefix="jobledger-"))
    parent.chmod(0o755)
    asyncio.run(start_and_stop(parent / "data"))
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.fixture
def data(made: Path, parent: Path) -> Path:
    """A copy of it, for one test."""
    subprocess.run(["cp", "-a", made, parent / "data"], check=True)
    return parent / "data"


@pytest.fixture
async def postgres(made: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres(made, settings=SMALL) as postgres:
        yield postgres


async def start_and_stop(data: Path) -> None:
    async with EmbeddedPostgres(data, settings=SMALL):
        pass


async def query(postgres: EmbeddedPostgres, *statements: str) -> object:
    """Run *statements* in a session of their own; return what the last one yields."""
    connection = await asyncpg.connect(postgres.url)
    try:
        return [await connection.fetchval(statement) for statement in statements][-1]
    finally:
        await connection.close()


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():
            await asyncio.sleep(0.02)


async def eventually_answers(ask: Callable[[], Awaitable[object]]) -> object:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return await ask()
        except (OSError, asyncpg.PostgresError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)


def command_line(pid: int | None) -> list[str]:
    """Return the words of a process; none when it is gone, though its parent may not have noticed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]


def is_running(pid: int | None) -> bool:
    return command_line(pid) != [""]


def user_id(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Uid:"))


def capabilities(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))


@contextlib.asynccontextmanager
async def server(data: Path, *launcher: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Another process that serves *data*, and the process id of its Postgres; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *launcher, sys.executable, "-c", SERVER, data, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        async with asyncio.timeout(DEADLINE_S):
            pid = int(await process.stdout.readline())
        yield process, pid
        await kill(process)
        await eventually(lambda: not is_running(pid))
    finally:
        await kill(process)


async def kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


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


async def test_nothing_listens_on_tcp(made: Path) -> None:
    """Not even when the settings ask for it."""
    async with EmbeddedPostgres(made, settings=SMALL | {"listen_addresses": "*"}) as postgres:
        links = [os.readlink(path) for path in Path(f"/proc/{postgres.pid}/fd").iterdir()]
        held = {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:")}
        lines = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()]

        assert held
        assert not held & {words[9] for words in lines}


async def test_no_data_goes_into_the_log(postgres: EmbeddedPostgres, made: Path) -> None:
    """Neither from a statement that fails, nor its parameters, nor the row it breaks a constraint with."""
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("CREATE TABLE once (word text PRIMARY KEY)")
    for _ in range(2):
        with contextlib.suppress(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO once VALUES ($1)", "classified")
    with pytest.raises(asyncpg.UndefinedColumnError):
        await connection.execute("SELECT nothing, 'classified'")
    await connection.close()

    await eventually(lambda: "once_pkey" in log_of(made) and "nothing" in log_of(made))
    assert "classified" not in log_of(made)


def log_of(data: Path) -> str:
    return "".join(path.read_text() for path in data.glob("postgres/log/*"))


async def test_no_secret_of_the_environment_reaches_postgres(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBLEDGER_SECRET_KEY", "classified")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")

    async with EmbeddedPostgres(made, settings=SMALL) as postgres:
        seen = Path(f"/proc/{postgres.pid}/environ").read_text()
        assert await query(postgres, "SELECT 1") == 1

    assert "PATH=" in seen
    assert "classified" not in seen
    assert "PGDATA=/nowhere" not in seen


async def test_others_cannot_reach_the_folders(postgres: EmbeddedPostgres, made: Path) -> None:
    modes = {str(path.relative_to(made)): path.stat().st_mode & 0o777 for path in (made, *made.glob("postgres/*/"))}

    assert modes.pop(".") == (0o710 if os.geteuid() == 0 else 0o700)
    assert modes == {"postgres/cluster": 0o700, "postgres/socket": 0o700, "postgres/log": 0o700}


@as_root
@pytest.mark.parametrize(
    ("privileges", "refusal"),
    [
        ((), "Permission denied"),
        (("--inh-caps=+dac_override", "--ambient-caps=+dac_override"), "Peer authentication failed"),
    ],
)
async def test_another_user_cannot_connect(
    postgres: EmbeddedPostgres, privileges: tuple[str, ...], refusal: str
) -> None:
    """The folders keep it away; and if they did not, the rules would."""
    psql = [str(binaries_folder() / "psql"), postgres.url, "-c", "SELECT 1"]
    others = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *privileges]

    answer = subprocess.run([*others, *psql], capture_output=True, text=True, check=False, cwd="/")

    assert refusal in answer.stderr


@as_root
async def test_as_root_postgres_is_a_user_of_its_own(postgres: EmbeddedPostgres, made: Path) -> None:
    """One that owns no more than Postgres needs, and, where it can enter the folders, has no capability."""
    uid = pwd.getpwnam(OWNER).pw_uid

    owners = {str(path.relative_to(made)): path.stat().st_uid for path in (made, *made.glob("postgres/*"))}

    assert uid == user_id(postgres.pid) != 0
    assert {"postgres/cluster", "postgres/socket", "postgres/log"} == {name for name in owners if owners[name] == uid}


@as_root
async def test_below_folders_that_only_root_may_enter(parent: Path) -> None:
    """The data and the programs may both be there; the folders stay as they are."""
    parent.chmod(0o700)
    installed = binaries_folder().parents[1]
    for folder in (installed, installed.with_name(f"{installed.name}.libs")):
        subprocess.run(["cp", "-r", folder, parent], check=True)
    programs = parent / installed.name / "pginstall18" / "bin"

    async with EmbeddedPostgres(parent / "data", binaries=programs, settings=SMALL) as postgres:
        assert await query(postgres, "SELECT to_tsvector('english', 'running')::text") == "'run':1"
        assert str(programs / "postgres") == command_line(postgres.pid)[0]
        assert user_id(postgres.pid) != 0
        assert capabilities(postgres.pid) == 1 << 2  # CAP_DAC_READ_SEARCH
    assert parent.stat().st_mode & 0o777 == 0o700


@as_root
async def test_below_a_folder_of_root_postgres_goes_with_its_server_too(data: Path, parent: Path) -> None:
    """A change of capabilities would take the death signal away if it came after it."""
    parent.chmod(0o700)

    async with server(data) as (process, pid):
        process.kill()

        await eventually(lambda: not is_running(pid))


@as_root
async def test_another_user_runs_postgres_as_itself(parent: Path) -> None:
    os.chown(parent, NOBODY, -1)
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *READ_AND_SEARCH]

    async with server(parent / "data", *user) as (_, pid):
        assert user_id(pid) == NOBODY
        assert (parent / "data").stat().st_mode & 0o777 == 0o700
        with pytest.raises(DataFolderInUseError):
            await start_and_stop(parent / "data")

    with pytest.raises(EmbeddedPostgresError, match=f"belongs to user id {NOBODY}"):
        await start_and_stop(parent / "data")
