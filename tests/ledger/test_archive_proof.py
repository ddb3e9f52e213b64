"""An archive's proof: its headers are in the checkpoint that its manifest has, and no store is needed to see that."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest

from jobledger.ledger.domain.job import State
from jobledger.ledger.evidence.checkpoint import read_checkpoint
from jobledger.ledger.evidence.keys import KeyRing
from jobledger.ledger.evidence.note import SigningKey, VerifierKey
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.archiving import proof
from jobledger.ledger.work.archiving.manifest import Manifest
from jobledger.ledger.work.archiving.proof import Proving
from jobledger.ledger.work.archiving.work import Archiving
from jobledger.ledger.work.checkpointing import Checkpointing
from jobledger.ledger.work.runner import WorkFailedError
from jobledger.projections.archive_query import ArchiveQuery
from tests.ledger.archived import archiver, ended, file_of, finished, request
from tests.world import ORG, registration, spec

KEY = SigningKey(b"k" * 32)


def signing(ledger: Ledger, data: Path) -> tuple[Archiving, Checkpointing]:
    """What archives, and what signs beside it."""
    evidence = EvidenceStore(ledger.database)
    work = Archiving(data, ArchiveQuery(ledger.database).to_archive, None, evidence)
    return work, Checkpointing(ledger, Witness(data / "witness"), KeyRing(lambda: [KEY]))


def headers(path: Path) -> list[tuple[int, bytes]]:
    """Position and header of each line, as they are stored."""
    lines = gzip.decompress(path.read_bytes()).splitlines()
    cut = [it[len(b'{"header":') : it.index(b',"content":{')] for it in lines]
    return [(orjson.loads(it)["position"], it) for it in cut]


async def test_an_archives_headers_are_proved_without_the_store(ledger: Ledger, tmp_path: Path) -> None:
    """By the checkpoint in its manifest, signed, and the hashes in its proof; one header altered, and they are not."""
    work, checkpointing = signing(ledger, tmp_path)
    for _ in range(4):
        await ledger.execute(registration(*(spec() for _ in range(90))))
        await ended(ledger, 2)
    async with archiver(ledger, tmp_path, work):
        await checkpointing.start()
        try:
            job = await finished(ledger, await request(ledger, purge=True))
        finally:
            await checkpointing.stop()

    assert job.state is State.SUCCESS, job.reason
    manifest = Manifest(file_of(tmp_path, ".manifest.json"))
    path = file_of(tmp_path, ".proof")
    checkpoint = read_checkpoint(manifest.head["checkpoint"].encode())
    checkpoint.signed.must_be_signed_by(VerifierKey(checkpoint.origin, KEY.public))
    assert manifest.head["files"][path.name]["size_bytes"] == path.stat().st_size
    assert path.stat().st_size < 100 * 32
    told = headers(file_of(tmp_path))
    assert len(told) == 8 * 3
    assert (await ledger.recorder.head(ORG)).size > checkpoint.size > told[-1][0]
    prove(path, manifest, told)
    for wrong in (told[:-1], [*told[:3], (told[3][0], told[3][1].replace(b"job", b"jab", 1)), *told[4:]]):
        with pytest.raises(WorkFailedError, match="not those that were signed"):
            prove(path, manifest, wrong)


def prove(path: Path, manifest: Manifest, told: list[tuple[int, bytes]]) -> None:
    """Whether these are in the checkpoint."""
    proving = Proving(path, manifest.head["checkpoint"])
    for position, header in told:
        proving.add([position], [header])
    proving.end()


async def test_what_is_not_signed_is_not_archived(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written, nothing purged."""
    monkeypatch.setattr(proof, "SIGNED_WITHIN_S", 0.5)
    work, _ = signing(ledger, tmp_path)
    [job_id] = await ended(ledger)
    async with archiver(ledger, tmp_path, work):
        job = await finished(ledger, await request(ledger, purge=True))

    assert (job.state, job.reason) == (
        State.FAILED,
        "The events that are to be archived were not signed within 0.5 s.",
    )
    assert (await ledger.job(ORG, job_id)).state is State.SUCCESS
    assert not list((tmp_path / "archive" / ORG).iterdir())
