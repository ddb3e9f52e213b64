"""An archive's files by themselves: what can be told of them is told of the file that it is true of; and where a purged job is."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobledger.ledger.domain.job import State
from jobledger.ledger.store.ledger import Ledger
from jobledger.scripts.archived_events import ArchivedEvents
from jobledger.scripts.failure import FailedError
from tests.ledger.archived import archived, archiver, ended, file_of, finished, request
from tests.ledger.test_archive_proof import signing
from tests.scripts.place import Place
from tests.world import ORG, registration, spec


async def test_a_manifest_that_cannot_be_what_was_written_is_what_differs(ledger: Ledger, tmp_path: Path) -> None:
    """Whatever byte of it was altered: if that is noticed, it is named, and nothing but what is there to be told is raised."""
    work, checkpointing = signing(ledger, tmp_path)
    await ledger.execute(registration(*(spec() for _ in range(9))))
    await ended(ledger, 2, is_located=True)
    async with archiver(ledger, tmp_path, work):
        await checkpointing.start()
        try:
            job = await finished(ledger, await request(ledger))
        finally:
            await checkpointing.stop()
    assert job.state is State.SUCCESS, job.reason
    path = file_of(tmp_path, ".manifest.json")
    raw = path.read_bytes()
    ArchivedEvents(path).verify()
    checkpoint = raw.index(b'"checkpoint":')
    told = []

    for at in {*range(0, len(raw), 13), *range(checkpoint, checkpoint + 170, 5)}:
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        try:
            ArchivedEvents(path).verify()
        except FailedError as error:
            told.append(str(error))

    assert [it for it in told if path.name not in it] == []
    assert any("its files are those that it names" in it for it in told)
    assert any("if the ledger recorded another SHA-256" in it for it in told)
    path.write_bytes(raw)
    file_of(tmp_path, ".proof").unlink()
    with pytest.raises(FailedError, match=r"proof cannot be read: No such file"):
        ArchivedEvents(path).verify()


async def test_a_replay_of_a_purged_job_names_its_archive(ledger: Ledger, shared: Place) -> None:
    [job_id, _] = await ended(ledger, 2)
    await archived(ledger, shared.data, purge=True)

    said = shared.run("replay", "--org", ORG, "--job", str(job_id))

    path = file_of(shared.data)
    how = f"jobledger replay --from {path} --job {job_id}"
    archive_id = path.name.removesuffix(".ndjson.gz").rpartition("_")[2]
    assert said.stderr == f"Job {job_id} was purged; archive {archive_id} holds it: {how}\n"
    assert "job.succeeded" in said.stdout
    assert '"state":"SUCCESS"' in shared.succeed(*how.split()[1:])
    [living] = await ended(ledger)
    assert shared.run("replay", "--org", ORG, "--job", str(living)).stderr == ""
