"""``jobledger backup`` and ``restore``: one consistent copy, put back whole or not at all."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.postgres.postmaster import binaries_folder, output_of
from tests.cluster import session
from tests.examples import quick_or_slow
from tests.scripts.place import Place, Server, eventually

JOB = {"type": "copy", "name": "nightly"}


async def dump_of(url: str) -> str:
    """The schema with its owners, grants and functions, and all rows."""
    code, output = await output_of([binaries_folder() / "pg_dump", url])
    assert code == 0, output
    return "\n".join(it for it in output.splitlines() if not it.startswith(("\\restrict", "\\unrestrict")))


async def test_what_is_put_back_is_what_was_there(shared: Place, unmigrated: Place, parent: Path) -> None:
    """Schema, owners, grants, functions and rows: two dumps that say the same."""
    shared.succeed("db", "migrate")
    shared.succeed("org", "add", "acme")
    shared.succeed("load", "swf", Path(__file__).parent.parent / "data" / "made.swf", "--org", "acme")
    url = shared.environment["JOBLEDGER_DATABASE_URL"]
    async with session(url) as owner:
        await owner.execute("SELECT nextval('message_id'), nextval('message_id')")

    said = shared.succeed("backup", parent / "copy", "--with-keys")
    restored = Place(parent / "restored", unmigrated.environment, unmigrated.ready)
    restored.succeed("restore", parent / "copy")

    assert "with its keys" in said
    assert await dump_of(url) == await dump_of(restored.environment["JOBLEDGER_DATABASE_URL"])
    for name in ("secret-key", "signing-key", "installation", "secret-key-mark"):
        assert (restored.data / name).read_bytes() == (shared.data / name).read_bytes()
        assert (restored.data / name).stat().st_mode & 0o077 == 0
    assert "acme: nothing differs" in restored.succeed("verify")
    assert not (restored.data / "witness").exists()
    assert all(it.stat().st_mode & 0o077 == 0 for it in (parent / "copy").rglob("*"))


@pytest.fixture
def copy(shared: Place, parent: Path) -> Path:
    """A backup without keys."""
    shared.succeed("db", "migrate")
    shared.succeed("org", "add", "acme")
    shared.environment["JOBLEDGER_PUBLIC_URL"] = "https://jobs.example"
    shared.environment["JOBLEDGER_SIGNING_KEY"] = "a" * 64
    said = shared.succeed("backup", parent / "copy")
    assert "without its keys" in said
    return parent / "copy"


def test_a_backup_has_no_secret_unless_asked_for(shared: Place, copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())

    assert manifest["settings"] == {"JOBLEDGER_PUBLIC_URL": "https://jobs.example"}
    assert sorted(it.name for it in (copy / "data").iterdir()) == ["installation", "secret-key-mark"]
    secret = (shared.data / "secret-key").read_text().strip()
    for path in copy.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()
            assert b"a" * 64 not in path.read_bytes()
    assert "is there already" in shared.fail("backup", copy)


@pytest.mark.slow
def test_a_restore_takes_nothing_that_is_not_empty(copy: Path, unmigrated: Place, shared: Place, parent: Path) -> None:
    restored = Place(parent / "restored", unmigrated.environment, unmigrated.ready)
    restored.data.mkdir()
    (restored.data / "notes").write_text("mine")
    assert "is not empty" in restored.fail("restore", copy)
    assert [it.name for it in restored.data.iterdir()] == ["notes"]

    elsewhere = Place(parent / "elsewhere", {"JOBLEDGER_DATABASE_URL": shared.environment["JOBLEDGER_DATABASE_URL"]})
    assert "has tables" in elsewhere.fail("restore", copy)
    assert not elsewhere.data.exists()


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda copy: (copy / "manifest.json").unlink(), "is no backup"),
    "no JSON": (lambda copy: (copy / "manifest.json").write_text("{"), "is no manifest"),
    "another format": (lambda copy: changed(copy, format="jobledger-backup/9"), "this release knows"),
    "a later release": (lambda copy: changed(copy, migrations={"9999_later": ""}), "later release"),
    "a missing file": (lambda copy: (copy / "database" / "event.copy.gz").unlink(), "event.copy.gz is missing"),
    "a changed file": (lambda copy: append(copy / "database" / "event.copy.gz"), "event.copy.gz is not what was"),
    "another head": (lambda copy: changed(copy, ledgers={}), "are not those of its manifest"),
    "another table": (
        lambda copy: changed(copy, tables={"other": {"columns": ["a"], "rows": 0}}),
        "other that is none of Job Ledger's",
    ),
    "a path out of it": (
        lambda copy: changed(copy, files={"data/../../x": {"size_bytes": 0, "sha256": ""}}),
        "is no file of a backup",
    ),
}


def changed(copy: Path, **members: object) -> None:
    path = copy / "manifest.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **members}))


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


@pytest.mark.parametrize("fault", quick_or_slow(FAULTS, 2))
def test_a_backup_that_is_not_whole_is_not_put_back(copy: Path, unmigrated: Place, parent: Path, fault: str) -> None:
    """And leaves no data folder behind."""
    break_it, said = FAULTS[fault]
    break_it(copy)
    restored = Place(parent / "restored", unmigrated.environment, unmigrated.ready)

    assert said in restored.fail("restore", copy)

    assert not restored.data.exists()


@pytest.mark.slow
def test_the_way_back_from_a_lost_disk(place: Place, parent: Path) -> None:
    """Backup while two workers write and archive; the disk is lost, the witness is not; restore, notice, recover, go on."""

    def post(server: Server) -> int:
        return server.ask("POST", "/default/jobs", JOB)[0]

    def archived(server: Server) -> str:
        return str(server.ask("GET", "/default/archives")[1]["archives"][0]["state"])

    with place.serving("--workers", "2") as server:
        password = server.password
        for _ in range(3):
            assert post(server) == 201
        for verb in ("start", "succeed"):
            assert server.ask("POST", f"/default/jobs/1/{verb}", {})[0] == 200
        order = {"ended_before": datetime.now(UTC).isoformat(), "purge": True}
        status, archive = server.ask("POST", "/default/archives", order)
        assert status in (200, 201, 202), archive
        eventually(lambda: archived(server) == "COMPLETED")
        stopped = threading.Event()

        def write() -> None:
            while not stopped.is_set():
                assert post(server) == 201

        writer = threading.Thread(target=write)
        writer.start()
        try:
            place.succeed("backup", parent / "copy", "--with-keys")
        finally:
            stopped.set()
            writer.join()
        manifest = json.loads((parent / "copy" / "manifest.json").read_text())
        copied = manifest["ledgers"]["default"]["size"]
        witness = Witness(place.data / "witness")
        eventually(lambda: (newest := witness.newest("default")) is not None and newest.size > copied)
    assert not [it for it in manifest["files"] if "witness" in it or "postgres" in it]

    place.data.rename(parent / "lost")
    place.data.mkdir()
    shutil.copytree(parent / "lost" / "witness", place.data / "witness")
    said = place.succeed("restore", parent / "copy")

    assert f"and the store holds {copied}" in said
    assert "jobledger recover --org default" in said
    assert place.run("verify").returncode == 1
    with place.serving("--workers", "2") as server:
        server.password_path = place.data / "admin-password"
        assert server.password == password
        assert server.ask("POST", "/default/jobs", JOB)[1]["code"] == "history_differs"
        assert server.ask("GET", "/default/jobs/2")[0] == 200
        held = f"/default/archives/{archive['id']}/jobs"
        assert [it["id"] for it in server.ask("GET", held)[1]["jobs"]] == [1]
        place.succeed("recover", "--org", "default", "--reason", "the disk was lost")
        eventually(lambda: post(server) == 201)
        # The other worker finds it within a second; only a function of the owner's removes contents.
        eventually(lambda: server.ask("POST", "/default/jobs/2/cancel", {})[0] == 200)
        erase = {"reason": "asked for", "scope": "all"}
        eventually(lambda: server.ask("POST", "/default/jobs/2/erase", erase)[0] == 200)
        eventually(lambda: Witness(place.data / "witness").newest("default").origin.endswith("/2"))  # type: ignore[union-attr]
    assert "default: nothing differs" in place.succeed("verify")
