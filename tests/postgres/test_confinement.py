"""Who reaches the embedded Postgres, and what it may: with real users."""

import contextlib
import os
import pwd
import subprocess
from pathlib import Path

import asyncpg
import pytest

from jobledger.ledger.postgres.embedded import (
    DataFolderInUseError,
    EmbeddedPostgres,
    EmbeddedPostgresError,
)
from jobledger.ledger.postgres.postmaster import OWNER, READ_AND_SEARCH, binaries_folder
from tests.postgres.place import (
    NOBODY,
    SMALL,
    as_root,
    capabilities,
    command_line,
    eventually,
    is_running,
    query,
    server,
    start_and_stop,
    user_id,
)

pytestmark = pytest.mark.slow


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
