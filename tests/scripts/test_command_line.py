"""Commands beside a running server and without one, and what is said when they cannot be done."""

from __future__ import annotations

import hashlib
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import session
from tests.scripts.place import SAMPLE, Place


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("serves",),
        ("org",),
        ("serve", "--port", "65536"),
        ("serve", "--workers", "0"),
        ("replay", "--org", "acme", "--job", "-1"),
        ("principal", "add", "alice", "--org", "acme"),
        ("serve", "--host", "0.0.0.0"),
        ("replay", "--org", "acme", "--to", "yesterday"),
        ("replay", "--org", "acme", "--to", "2026-11-21T22:34:05"),
        ("token", "create", "--org", "acme", "--principal", "alice", "--expires-in", "soon"),
        ("principal", "add", "alice", "--org", "acme", "--role", "client"),
        ("principal", "add", "alice", "--org", "acme", "--role", "client", "--password-stdin"),
    ],
)
def test_what_cannot_be_understood_is_usage(empty: Place, arguments: tuple[str, ...]) -> None:
    """Exit code 2, a sentence, and nothing made."""
    said = empty.fail(*arguments, code=2)

    assert said
    assert not empty.data.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JOBLEDGER_DATABASE_URL", "mysql://me:hidden@localhost/x"),
        ("JOBLEDGER_SECRET_KEY", "hidden"),
        ("JOBLEDGER_ADMIN_PASSWORD", "hid\tden"),
        ("JOBLEDGER_START_TIMEOUT", "-1"),
        ("JOBLEDGER_LARGEST_ATTACHMENT", "1 GB"),
        ("JOBLEDGER_LARGEST_ATTACHMENT", "67108865"),
        ("JOBLEDGER_TLS_CERT", "/only/this"),
    ],
)
def test_a_setting_that_cannot_be_used_is_usage(empty: Place, name: str, value: str) -> None:
    """It is named, and no secret is shown."""
    empty.environment[name] = value

    said = empty.fail("serve", "--port", "0", code=2)

    assert name in said
    assert "hidden" not in said


def test_a_database_that_is_not_there_is_said(empty: Place) -> None:
    """Without the URL, which may hold a password."""
    empty.environment["JOBLEDGER_DATABASE_URL"] = f"postgresql://me:hidden@/ledger?host={empty.data.parent}"

    said = empty.fail("org", "add", "acme")

    assert "cannot be reached" in said
    assert "hidden" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "--org", "acme"),
        ("load", "swf", SAMPLE, "--org", "acme"),
        ("token", "create", "--org", "acme", "--principal", "a"),
    ],
)
def test_what_needs_a_ledger_makes_none(empty: Place, arguments: tuple[str | Path, ...]) -> None:
    """A mistyped folder is told, not filled."""
    said = empty.fail(*arguments)

    assert f"There is no ledger in {empty.data}" in said
    assert not empty.data.exists()


def test_help_is_quick_and_succeeds(empty: Place) -> None:
    """It imports nothing that it does not need."""
    code = (
        "import sys\nfrom jobledger.scripts.command_line import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'asyncpg', 'aiohttp', 'eventsourcing', 'tqdm'} & sys.modules.keys()"
    )
    from tests.scripts.place import PROGRAM

    subprocess.run([PROGRAM.with_name("python"), "-c", code], check=True, capture_output=True)
    assert "serve" in empty.succeed("--help")


def test_an_org_a_principal_and_a_token(shared: Place) -> None:
    """Each once; a name that is taken, or not there, is said."""
    assert shared.succeed("org", "add", "nasa") == "Org nasa is there.\n"
    assert "There is an org nasa" in shared.fail("org", "add", "nasa")
    assert "An org's name" in shared.fail("org", "add", "Nasa")
    add = ("principal", "add", "alice", "--org", "nasa", "--role", "operator", "--domain", "Sales")
    assert shared.succeed(*add, "--password-stdin", stdin="secret enough\n") == "Principal alice@nasa is there.\n"
    assert "There is a principal alice" in shared.fail(*add, "--no-password")
    assert "There is no role king" in shared.fail(
        "principal", "add", "bob", "--org", "nasa", "--role", "king", "--no-password"
    )
    assert "There is no org" in shared.fail(
        "principal", "add", "bob", "--org", "esa", "--role", "client", "--no-password"
    )
    assert "There is no principal bob" in shared.fail("token", "create", "--org", "nasa", "--principal", "bob")


async def test_a_token_is_stored_as_its_hash(shared: Place, database_url: str) -> None:
    """What is printed once is nowhere else."""
    shared.succeed("org", "add", "nasa")
    shared.succeed("principal", "add", "alice", "--org", "nasa", "--role", "client", "--no-password")

    token = shared.succeed("token", "create", "--org", "nasa", "--principal", "alice", "--expires-in", "12h").strip()

    assert re.fullmatch(r"jl_nasa_[A-Za-z0-9_-]{43}", token)
    async with session(database_url) as connection:
        stored = await connection.fetchrow("SELECT hash, expires_at - created_at AS lasts FROM credential")
        everything = await connection.fetch("SELECT convert_from(body, 'UTF8') AS body FROM content")
    assert stored is not None
    assert stored["hash"] == hashlib.sha256(token.encode()).digest()
    assert 11.9 * 3600 < stored["lasts"].total_seconds() < 12.1 * 3600
    assert not any(token[8:] in record["body"] for record in everything)


@pytest.mark.slow
def test_commands_work_beside_a_server_and_without_one(place: Place) -> None:
    """On the same ledger, the server's Postgres left as it was."""
    place.succeed("org", "add", "before")
    with place.serving() as server:
        place.succeed("org", "add", "beside")
        place.succeed("principal", "add", "alice", "--org", "beside", "--role", "auditor", "--no-password")
        token = place.succeed("token", "create", "--org", "beside", "--principal", "alice").strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert server.ask("GET", "/beside/jobs", headers=headers) == (200, {"jobs": [], "next": None})
        assert server.ask("GET", "/before/jobs", headers=headers)[0] == 404
        assert "There is an org before" in place.fail("org", "add", "before")

    assert "There is an org beside" in place.fail("org", "add", "beside")


@pytest.mark.slow
def test_commands_without_a_server_share_a_postgres(place: Place) -> None:
    """One of them has it started, and stops it when the others are done too."""
    names = [f"org-{n}" for n in range(6)]

    with ThreadPoolExecutor(len(names)) as threads:
        said = list(threads.map(lambda name: place.succeed("org", "add", name), names))

    assert said == [f"Org {name} is there.\n" for name in names]
