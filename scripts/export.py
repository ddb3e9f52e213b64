"""``jobledger export``: a range of an org's events with what proves them, as a file or a folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from time import monotonic
from typing import Any

from jobledger.ledger.domain.export import Export, export_stream
from jobledger.ledger.domain.export_commands import CREATE_EXPORTS, RequestExport
from jobledger.ledger.domain.job import FINAL_STATES, State
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.checkpointing import Checkpointing
from jobledger.ledger.work.exporting.files import ExportFile
from jobledger.ledger.work.exporting.work import Exporting
from jobledger.ledger.work.exporting.zipped import unpack
from jobledger.ledger.work.runner import Runner
from jobledger.projections.kind_query import KindQuery
from jobledger.projections.work_query import WorkQuery
from jobledger.scripts.evidence_place import EvidencePlace, evidence_place
from jobledger.scripts.failure import FailedError, UsageError
from jobledger.scripts.opening import command_line_caller, open_ledger
from jobledger.scripts.replay import read_limit
from jobledger.scripts.settings import Settings

LOOK_S = 0.2


def exporting(ledger: Ledger, data: Path, evidence: EvidencePlace) -> Exporting:
    """The work of exports, with the verifier that they carry."""
    verifier = files("jobledger.scripts").joinpath("verify.py").read_bytes()
    return Exporting(data, evidence.keys(), KindQuery(ledger.database).kinds, verifier)


async def export(settings: Settings, org: str, order: Mapping[str, Any], output: Path) -> None:
    """Export into *output*, which must not be there yet: a .zip, or a folder. Raises UsageError, FailedError, LedgerError."""
    await asyncio.to_thread(_must_be_free, output)
    order = {name: it for name, it in order.items() if it is not None}
    async with open_ledger(settings) as ledger:
        place = evidence_place(settings)
        caller = command_line_caller(org)
        caller = replace(caller, capabilities=caller.capabilities | {CREATE_EXPORTS})
        export_id = (await ledger.execute(RequestExport(caller=caller, order=order))).result["id"]
        work = exporting(ledger, settings.data, place)
        # Beside a running server either does it.
        runner = Runner(ledger, WorkQuery(ledger.database).open, [work])
        await runner.start()
        try:
            path = await _finished(ledger, place, org, export_id, settings.data)
        finally:
            await runner.stop()
    await asyncio.to_thread(_put, path, output)
    print(f"Export {export_id} of {org}: {output}. Check it by: python3 verify.py {output} --key KEY")


def _must_be_free(output: Path) -> None:
    if output.exists():
        raise UsageError(f"{output} is there already.")
    if not output.absolute().parent.is_dir():
        raise UsageError(f"{output.absolute().parent} is no folder.")


async def _sign(ledger: Ledger, place: EvidencePlace, org: str) -> None:
    """Look whether what was shown still stands, and sign what there is. Raises FailedError."""
    checkpointing = Checkpointing(ledger, place.witness, place.keys())
    await checkpointing.look()
    if org in checkpointing.differing:
        raise FailedError(f"The ledger of {org} is not the one that was shown: {checkpointing.differing[org]}.")
    try:
        await checkpointing.sign(org)
    except RuntimeError:
        # A server signs just now.
        return


async def _finished(ledger: Ledger, place: EvidencePlace, org: str, export_id: int, data: Path) -> Path:
    sign_at = monotonic()
    while (job := await ledger.job(org, export_id)).state not in FINAL_STATES:
        if sys.stderr.isatty():
            print(f"\r{job.progress:4.0%}", end="", file=sys.stderr, flush=True)
        if job.stage == "choose" and monotonic() >= sign_at:
            # As often as a server does.
            sign_at = monotonic() + 1
            await _sign(ledger, place, org)
        await asyncio.sleep(LOOK_S)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    made = await ledger.aggregate(org, export_stream(export_id))
    if job.state is not State.SUCCESS or not isinstance(made, Export) or made.written is None:
        raise FailedError(f"Export {export_id} was not made: {job.reason}")
    return ExportFile.of(data, org, made.requested_at, export_id).path


def _put(path: Path, output: Path) -> None:
    """Copy it beside where it is to be, and rename it then: complete, or absent."""
    unfinished = output.absolute().with_name(f".{output.name}.{os.getpid()}.part")
    try:
        if output.suffix == ".zip":
            shutil.copyfile(path, unfinished)
        else:
            unpack(path, unfinished)
        os.rename(unfinished, output)
    except BaseException:
        if unfinished.is_dir():
            shutil.rmtree(unfinished)
        else:
            unfinished.unlink(missing_ok=True)
        raise


def read_ends(begin: str | None, end: str | None) -> dict[str, Any]:
    """The order's range of two positions or times; from is included, to is not. Raises UsageError."""
    order: dict[str, Any] = {}
    for name, given in (("from", begin), ("to", end)):
        if given is not None:
            limit = read_limit(given)
            if isinstance(limit, datetime):
                order[f"recorded_{name}"] = limit.isoformat()
            else:
                order[f"{name}_position"] = limit
    return order
