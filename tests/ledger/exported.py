"""An org's events, exported: what the tests of exports share."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jobledger.ledger.domain.export import Export, export_stream
from jobledger.ledger.domain.export_commands import RequestExport
from jobledger.ledger.domain.job import FINAL_STATES, Job, State
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.exporting.files import ExportFile
from jobledger.ledger.work.exporting.work import Exporting
from jobledger.ledger.work.runner import Runner
from jobledger.projections.kind_query import KindQuery
from jobledger.projections.work_query import WorkQuery
from jobledger.scripts import verify
from tests.signing import KEY, ring, sign
from tests.world import ALICE, ORG

VERIFIER = Path(verify.__file__)


def exporting(ledger: Ledger, data: Path) -> Exporting:
    """The work, with its files below *data*."""
    return Exporting(data, ring(), KindQuery(ledger.database).kinds, VERIFIER.read_bytes())


@asynccontextmanager
async def exporter(ledger: Ledger, data: Path) -> AsyncIterator[None]:
    """A runner that exports."""
    runner = Runner(ledger, WorkQuery(ledger.database).open, [exporting(ledger, data)])
    await runner.start()
    try:
        yield
    finally:
        await runner.stop()


async def request(ledger: Ledger, **order: Any) -> int:
    """The id of an export that is asked for."""
    export_id: int = (await ledger.execute(RequestExport(caller=ALICE, order=order))).result["id"]
    return export_id


async def signed_until_over(ledger: Ledger, export_id: int) -> Job:
    """The job once it is over; what is appended meanwhile is signed."""
    async with asyncio.timeout(60):
        while (job := await ledger.job(ORG, export_id)).state not in FINAL_STATES:
            if job.stage == "choose" and not (job.work or {}).get("memory"):
                await sign(ledger)
            await asyncio.sleep(0.01)
    return job


async def exported(ledger: Ledger, data: Path, **order: Any) -> Path:
    """An export's file, made well."""
    async with exporter(ledger, data):
        export_id = await request(ledger, **order)
        job = await signed_until_over(ledger, export_id)
    assert job.state is State.SUCCESS, job.reason
    return file_of(data, await export_of(ledger, export_id))


async def export_of(ledger: Ledger, export_id: int) -> Export:
    """The export."""
    export = await ledger.aggregate(ORG, export_stream(export_id))
    assert isinstance(export, Export)
    return export


def file_of(data: Path, export: Export) -> Path:
    """Where its file is."""
    return ExportFile.of(data, ORG, export.requested_at, export.export_id).path


def key_of(path: Path) -> str:
    """The verifier key that the tests' exports are signed by, as an auditor has it."""
    text = (read(path, "key") if path.is_file() else (path / "key").read_bytes()).decode().strip()
    assert text == str(KEY.named(text.partition("+")[0]))
    return text


def verified(path: Path, *further: str) -> int:
    """The exit code of the verifier."""
    return verify.main([str(path), "--key", key_of(path), *further])


def read(path: Path, name: str) -> bytes:
    """A file of an export."""
    with zipfile.ZipFile(path) as file:
        return file.read(name)


def manifest_counts(*counts: int) -> Mapping[str, int]:
    """Counts as a manifest has them."""
    names: Sequence[str] = ("headers", "contents", "removed", "private")
    return dict(zip(names, counts, strict=True))
