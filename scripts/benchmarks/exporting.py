"""How long an export of a long ledger takes, how much more memory, and how fast the stand-alone verifier checks it."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from jobledger.ledger.domain.export_commands import CREATE_EXPORTS, RequestExport
from jobledger.ledger.domain.job import FINAL_STATES, State
from jobledger.ledger.work.exporting.work import Exporting
from jobledger.ledger.work.runner import Runner
from jobledger.projections.kind_query import KindQuery
from jobledger.projections.work_query import WorkQuery
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.million import follow, million_org
from jobledger.scripts.benchmarks.table import Row

MOST_EVENTS = 1_000_000
LONGEST_S = 30.0
MOST_MIB = 64.0
LEAST_HEADERS_A_SECOND = 150_000.0
SAID = re.compile(r"differs; ([0-9,]+) headers")


async def measure_export(bed: Bed) -> list[Row]:
    """The first events of a long ledger, headers and contents; then the verifier over it, and over one of headers alone."""
    caller = await million_org(bed)
    await follow(bed, caller)
    caller = replace(caller, capabilities=caller.capabilities | {CREATE_EXPORTS})
    keys = bed.evidence.keys()
    verifier = files("jobledger.scripts").joinpath("verify.py")
    took_s, memory_mib, rates = [], [], []
    with TemporaryDirectory() as folder:
        data = Path(folder)
        signer = bed.checkpointing()
        work = Exporting(data, keys, KindQuery(bed.ledger.database).kinds, verifier.read_bytes())
        runner = Runner(bed.ledger, WorkQuery(bed.ledger.database).open, [work])
        await runner.start()
        try:
            for order in ({}, {"job_ids": [1]}):
                is_whole = not order
                before = _memory_mib()
                command = RequestExport(caller=caller, order={**order, "to_position": MOST_EVENTS})
                export_id = (await bed.ledger.execute(command)).result["id"]
                began, most = perf_counter(), before
                while (job := await bed.ledger.job(caller.org, export_id)).state not in FINAL_STATES:
                    if job.stage == "choose":
                        await signer.sign(caller.org)
                        began = perf_counter()
                    most = max(most, _memory_mib())
                    await asyncio.sleep(0.05)
                if job.state is not State.SUCCESS:
                    raise RuntimeError(f"The export was not made: {job.reason}")
                if is_whole:
                    took_s.append(perf_counter() - began)
                    memory_mib.append(most - before)
                [path] = await asyncio.to_thread(lambda name: list(data.rglob(name)), f"Export_*_{export_id}.zip")
                process = await asyncio.create_subprocess_exec(
                    sys.executable, str(verifier), str(path), stdout=asyncio.subprocess.PIPE
                )
                said = SAID.search((await process.communicate())[0].decode())
                assert said is not None
                rates.append(float(said[1].replace(",", "")))
                tell(f"export: {took_s[0]:.1f} s, {memory_mib[0]:.0f} MiB more; verify.py {rates[-1]:,.0f} headers/s")
        finally:
            await runner.stop()
    size = min(MOST_EVENTS, (await bed.ledger.recorder.head(caller.org)).size)
    return [
        Row(what=f"export of {size:,} events", unit="s", ours=took_s, most=LONGEST_S),
        Row(what=f"export of {size:,} events, memory more", unit="MiB", ours=memory_mib, most=MOST_MIB),
        Row(what="verify.py, with contents", unit="headers/s", ours=rates[:1]),
        Row(what="verify.py, headers", unit="headers/s", ours=rates[1:], least=LEAST_HEADERS_A_SECOND),
    ]


def _memory_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
