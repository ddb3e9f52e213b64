"""``jobledger archive`` and ``jobledger replay --from``, of what a real server archived, purged and erased."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.place import Place, Server, eventually

WHY = {"reason": "asked for"}


def end_jobs(server: Server, number: int) -> None:
    """Have jobs run and end, with where they were."""
    for _ in range(number):
        status, job = server.ask("POST", "/default/jobs", {"type": "Backup", "name": "nightly"})
        assert status == 201, job
        for step in ("start", "succeed"):
            status, told = server.ask("POST", f"/default/jobs/{job['id']}/{step}", {})
            assert status == 200, told


def archived(server: Server) -> dict[str, Any]:
    """What was archived and purged, of all that has ended."""
    before = time.time_ns() // 1000 / 1_000_000
    time.sleep(0.01)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(before)) + f".{int(before % 1 * 1e6):06d}Z"
    status, told = server.ask("POST", "/default/archives", {"ended_before": text, "purge": True, **WHY})
    assert status == 202, told

    def over() -> dict[str, Any] | None:
        archive: dict[str, Any] = server.ask("GET", f"/default/archives/{told['id']}")[1]
        assert archive["state"] != "FAILED", archive
        return archive if archive["state"] == "COMPLETED" else None

    found: dict[str, Any] = eventually(over)
    return found


@pytest.mark.slow
def test_an_archive_is_listed_shown_verified_and_replayed(shared: Place, parent: Path) -> None:
    """Verified and replayed also elsewhere, without a database; what was altered, or signed by another, is noticed."""
    with shared.serving() as server:
        end_jobs(server, 3)
        archive = archived(server)
        listed = shared.succeed("archive", "list", "--org", "default")
        shown = json.loads(shared.succeed("archive", "show", str(archive["id"]), "--org", "default"))
        assert server.ask("GET", "/default/archives/1")[0] == 404
        replay_of_store = shared.run("replay", "--org", "default", "--job", "2", "--json").stdout
        [key] = {it.split()[-1] for it in shared.succeed("key", "show", "--org", "default").splitlines()}
        status, told = server.ask("POST", "/default/jobs/1/erase", {"scope": "all", **WHY})
        assert (status, told["archives"]) == (200, [archive["id"]])
        job = f"/default/jobs/{told['erasing_job_id']}"
        eventually(lambda: server.ask("GET", job)[1]["state"] == "SUCCESS")

    assert listed.startswith(f"{archive['id']}  ")
    assert "COMPLETED  3 jobs, 3 purged" in listed
    assert shown["manifest_sha256"] == archive["manifest_sha256"]
    away = Place(parent / "nothing", {"JOBLEDGER_DATABASE_URL": "postgresql://127.0.0.1:1/none"}, shared.ready)
    shutil.copytree(shared.data / "archive" / "default", parent / "copy")
    [manifest] = (parent / "copy").glob("*.manifest.json")
    assert "all are in the signed checkpoint" in shared.succeed("archive", "verify", manifest)
    assert "all are in the signed checkpoint" in away.succeed("archive", "verify", manifest, "--key", key)
    keys = parent / "keys"
    keys.write_text(f"{key}\n")
    assert "all are in the signed checkpoint" in away.succeed("archive", "verify", manifest, "--key", keys)
    assert "these are several keys: name one" in away.fail("archive", "verify", manifest, "--key", f"{key}\n{key}")
    assert "--key is to be a verifier key, or a file with some" in away.fail(
        "archive", "verify", manifest, "--key", parent / "none"
    )
    assert "was not checked" in away.run("archive", "verify", manifest).stdout
    assert away.run("archive", "verify", manifest).returncode == 1
    replay_away(away, manifest, replay_of_store)

    [events] = [it for it in (parent / "copy").glob("*.ndjson.gz") if ".private." not in it.name]
    [proof] = (parent / "copy").glob("*.proof")
    for path in (events, proof):
        kept = path.read_bytes()
        path.write_bytes(kept[:-40] + bytes([kept[-40] ^ 1]) + kept[-39:])
        assert "is not what was written" in away.fail("archive", "verify", manifest, "--key", key)
        path.write_bytes(kept)
    other = key.rpartition("+")[0] + "+" + "A" * 44
    assert away.run("archive", "verify", manifest, "--key", other).returncode == 1


def replay_away(away: Place, manifest: Path, of_store: str) -> None:
    """Each event, and the state after it, as the store had told; not of what was erased."""
    lines = [json.loads(it) for it in away.succeed("replay", "--from", manifest, "--job", "2", "--json").splitlines()]
    assert [it["type"] for it in lines] == ["job.registered", "job.started", "job.succeeded"]
    assert lines[-1]["state"]["state"] == "SUCCESS"
    stored = [json.loads(it) for it in of_store.splitlines()]
    same = ("position", "recorded_at", "stream", "version", "type", "by")
    assert [{name: it[name] for name in same} for it in lines] == [
        {name: it[name] for name in same} for it in stored[:3]
    ]
    erased = [json.loads(it) for it in away.succeed("replay", "--from", manifest, "--job", "1", "--json").splitlines()]
    assert [it["state"] for it in erased] == [None] * 3
    assert len(away.succeed("replay", "--from", manifest).splitlines()) == 18
    assert len(away.succeed("replay", "--from", manifest, "--to", str(lines[0]["position"])).splitlines()) == 8
    assert "holds no job 9" in away.fail("replay", "--from", manifest, "--job", "9")
    assert "no file of an archive" in away.fail("archive", "verify", manifest.parent)
    assert "required" in away.fail("replay", code=2)
