"""Exporting: a checkpoint and a range are chosen, and what was asked for is written, with what proves it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

from jobledger.ledger.domain.export import Export, export_stream
from jobledger.ledger.domain.export_commands import EXPORT, NoteExported
from jobledger.ledger.domain.job_work import ClaimIsLostError
from jobledger.ledger.errors import CorruptLedgerError, JobIsFinalError
from jobledger.ledger.evidence.checkpoint import Checkpoint
from jobledger.ledger.evidence.keys import KeyRing
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.store.ledger import ledger_itself
from jobledger.ledger.work.exporting.files import ExportFile
from jobledger.ledger.work.exporting.writing import ExportWriter, Extent, Kinds
from jobledger.ledger.work.runner import Step, Task, Work, WorkFailedError

# Servers sign each second.
SIGNED_WITHIN_S = 60.0
LOOK_S = 0.2


class Exporting(Work):
    """The work of jobs of type Export. ``order`` is that of ``RequestExport``.

    *data* is the installation's folder; *keys* sign the manifest, as they signed the checkpoint; *kinds* tells types and domains;
    *verifier* is the program that an export carries.
    """

    kind: ClassVar[str] = EXPORT

    def __init__(self, data: Path, keys: KeyRing, kinds: Kinds, verifier: bytes) -> None:
        self._data = data
        self._keys = keys
        self._kinds = kinds
        self._verifier = verifier

    def steps(self, order: Mapping[str, Any]) -> Mapping[str, Step]:
        """See ``Work``."""
        return {"choose": self._choose, "write": self._write}

    async def _choose(self, task: Task) -> None:
        """Fix checkpoint and range: whoever takes it over writes the same."""
        if "checkpoint" in task.memory:
            return
        checkpoint = await self._checkpoint(task)
        begin, end = await self._range(task, checkpoint.size)
        await task.advance(
            memory={"checkpoint": checkpoint.size, "fork": checkpoint.fork, "from": begin, "to": end},
            message=f"To be exported: positions {begin} to {end - 1}" if end > begin else "No event is in that range",
        )

    async def _checkpoint(self, task: Task) -> Checkpoint:
        """The one that was asked for, or the first that covers all that there is by now. Raises WorkFailedError."""
        store = EvidenceStore(task.ledger.database)
        size = task.order.get("checkpoint")
        if size is not None:
            found = await store.of_size(task.org, (await store.history(task.org)).fork, size)
            if found is None:
                raise WorkFailedError(f"There is no checkpoint of {size} events.")
            return found
        size = (await task.ledger.recorder.head(task.org)).size
        until = monotonic() + SIGNED_WITHIN_S
        while (newest := await store.newest(task.org)) is None or newest.size < size:
            if monotonic() > until:
                raise WorkFailedError(f"No checkpoint covers the first {size} events: nobody signs.")
            await asyncio.sleep(LOOK_S)
        return newest

    async def _range(self, task: Task, size: int) -> tuple[int, int]:
        order, recorder = task.order, task.ledger.recorder
        begin, end = order.get("from_position", 0), order.get("to_position", size)
        if "recorded_from" in order:
            begin = await recorder.position_before(task.org, datetime.fromisoformat(order["recorded_from"])) + 1
        if "recorded_to" in order:
            end = await recorder.position_before(task.org, datetime.fromisoformat(order["recorded_to"])) + 1
        end = min(end, size)
        return min(begin, end), end

    async def _write(self, task: Task) -> None:
        export = await task.ledger.aggregate(task.org, export_stream(task.job_id))
        if not isinstance(export, Export):
            raise CorruptLedgerError(f"There is no export {task.job_id} of {task.org}.")
        file = ExportFile.of(self._data, task.org, export.requested_at, task.job_id)
        if export.written is None:
            extent = await self._extent(task)
            try:
                await asyncio.to_thread(file.make_folder)
                # Whoever still writes one of these has lost its claim.
                await asyncio.to_thread(file.drop_parts)
                writer = ExportWriter(task, extent, file, data=self._data, kinds=self._kinds, verifier=self._verifier)
                written, counts = await writer.write()
            except OSError as error:
                with suppress(OSError):
                    file.drop_parts(task.claim)
                if isinstance(error, ConnectionError | TimeoutError):
                    raise
                raise WorkFailedError(f"The export cannot be written: {error.strerror}.") from error
            except BaseException:
                with suppress(OSError):
                    file.drop_parts(task.claim)
                raise
            noted = {**written, "file": file.name, "checkpoint": extent.checkpoint.size, "counts": counts}
            # If we die from here on, the part stays until this step's next run: it drops it where this was not accepted.
            command = NoteExported(
                caller=ledger_itself(task.org),
                job_id=task.job_id,
                claim=task.claim,
                written={**noted, "begin": extent.begin, "end": extent.end},
            )
            try:
                claim = (await task.ledger.execute(command)).result["claim"]
            except (ClaimIsLostError, JobIsFinalError):
                file.drop_parts(task.claim)
                raise
        else:
            claim = export.written["claim"]
        try:
            await asyncio.to_thread(file.publish, claim)
            await asyncio.to_thread(file.drop_parts)
        except OSError as error:
            raise WorkFailedError(f"The export cannot be given its name: {error.strerror}.") from error

    async def _extent(self, task: Task) -> Extent:
        chosen = task.memory
        store = EvidenceStore(task.ledger.database)
        checkpoint = await store.of_size(task.org, chosen["fork"], chosen["checkpoint"])
        if checkpoint is None:
            raise CorruptLedgerError(f"The checkpoint of {chosen['checkpoint']} events of {task.org} is gone.")
        key = self._keys.named(checkpoint.origin, checkpoint.signed.signatures[0].key_id)
        if key is None:
            raise WorkFailedError("The key by which the checkpoint was signed is not here.")
        return Extent(checkpoint, key, chosen["from"], chosen["to"])
