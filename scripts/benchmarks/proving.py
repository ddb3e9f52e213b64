"""What evidence costs: signing beside appending, and verifying a whole ledger."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from time import perf_counter

from jobledger.scripts.benchmarks.append import append_for
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.million import follow, million_org
from jobledger.scripts.benchmarks.table import Row

CALLERS = (16, 256)
LEAST_RATIO = 0.9
LONGEST_VERIFY_S = 20.0
MOST_ROUNDS = 3


async def measure_checkpointing(bed: Bed) -> list[Row]:
    """Appending while the ledger is signed each second, and while it is not, in turn; each goes first every other time."""
    plan = bed.plan
    caller = await bed.new_org("signed")
    ids = await bed.running_jobs(caller, max(CALLERS))
    await bed.sign_all()
    rates: dict[tuple[int, bool], list[float]] = {(it, on): [] for it in CALLERS for on in (True, False)}
    for number in range(plan.rounds):
        for callers in CALLERS:
            for is_signed in (number % 2 == 0, number % 2 == 1):
                checkpointing = bed.checkpointing()
                if is_signed:
                    await checkpointing.start()
                try:
                    done = await append_for(bed.ledger, caller, callers, ids.__getitem__, plan.round_s)
                finally:
                    if is_signed:
                        await checkpointing.stop()
                rates[callers, is_signed].append(done.rate)
        told = ", ".join(f"{rates[it, True][-1]:,.0f} at {it} (unsigned {rates[it, False][-1]:,.0f})" for it in CALLERS)
        tell(f"checkpointing, round {number + 1}: {told} events/s")
    return [
        Row(
            what=f"append while signed, {callers} callers",
            unit="events/s",
            ours=rates[callers, True],
            others=rates[callers, False],
            other_name="not signed",
            least=LEAST_RATIO,
        )
        for callers in CALLERS
    ]


async def measure_verify(bed: Bed) -> list[Row]:
    """``jobledger verify``, as it is run, and a plain scan of the same events."""
    caller = await million_org(bed)
    await follow(bed, caller)
    size = (await bed.ledger.recorder.head(caller.org)).size
    environment = {
        **os.environ,
        "JOBLEDGER_DATABASE_URL": bed.url,
        "JOBLEDGER_DATA": str(bed.data),
        "JOBLEDGER_WITNESS_DIR": str(bed.evidence.folder),
    }
    command = (Path(sys.executable).with_name("jobledger"), "verify", "--org", caller.org)
    took_s, scan_s = [], []
    for number in range(min(bed.plan.rounds, MOST_ROUNDS)):
        began = perf_counter()
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
        said = (await process.communicate())[0].decode()
        took_s.append(perf_counter() - began)
        # So that nothing is measured that did nothing.
        if process.returncode or f"{size:,}".replace(",", "") not in said.replace(",", ""):
            raise RuntimeError(f"verify: {said}")
        began = perf_counter()
        async for _ in bed.ledger.recorder.scan(caller.org):
            pass
        scan_s.append(perf_counter() - began)
        tell(f"verify, round {number + 1}: {took_s[-1]:.1f} s, plain scan {scan_s[-1]:.1f} s")
    name = f"jobledger verify of {size:,} events"
    return [
        Row(what=name, unit="s", ours=took_s, most=LONGEST_VERIFY_S),
        Row(what=f"{name}, beside a plain scan", unit="s", ours=took_s, others=scan_s, other_name="plain scan"),
    ]
