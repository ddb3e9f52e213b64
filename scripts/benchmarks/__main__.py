"""``scripts/bench``: the product's speed, side by side with peers and limits in one run."""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import uvloop

from jobledger.scripts.benchmarks.append import measure_append
from jobledger.scripts.benchmarks.archiving import measure_archive
from jobledger.scripts.benchmarks.attachments import measure_attachments
from jobledger.scripts.benchmarks.bed import Bed, make_bed, tell
from jobledger.scripts.benchmarks.dependents import measure_dependents
from jobledger.scripts.benchmarks.exporting import measure_export
from jobledger.scripts.benchmarks.firing import measure_firing
from jobledger.scripts.benchmarks.growth import measure_growth, measure_list, measure_streams
from jobledger.scripts.benchmarks.http_commands import measure_commands, measure_memory
from jobledger.scripts.benchmarks.management import measure_management
from jobledger.scripts.benchmarks.plan import Plan, quick_plan
from jobledger.scripts.benchmarks.proving import measure_checkpointing, measure_verify
from jobledger.scripts.benchmarks.rebuilding import measure_rebuild
from jobledger.scripts.benchmarks.registration import measure_load, measure_registration
from jobledger.scripts.benchmarks.requests import measure_requests, measure_times, measure_xml
from jobledger.scripts.benchmarks.table import Row, table
from jobledger.scripts.benchmarks.time_travel import measure_time_travel
from jobledger.scripts.memory import OBJECTS_BETWEEN_COLLECTIONS

MEASUREMENTS: Mapping[str, Callable[[Bed], Awaitable[list[Row]]]] = {
    "append": measure_append,
    "load": measure_load,
    "register": measure_registration,
    "manage": measure_management,
    "attachments": measure_attachments,
    "commands": measure_commands,
    "requests": measure_requests,
    "xml": measure_xml,
    "list": measure_list,
    "times": measure_times,
    "growth": measure_growth,
    "memory": measure_memory,
    "streams": measure_streams,
    "dependents": measure_dependents,
    "firing": measure_firing,
    "rebuild": measure_rebuild,
    "checkpointing": measure_checkpointing,
    "as_of": measure_time_travel,
    "verify": measure_verify,
    "export": measure_export,
    # It empties the ledger that those before it share.
    "archive": measure_archive,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; the exit code. With ``--strict`` 1 where something asked is not reached, else 0."""
    options = _parser().parse_args(arguments)
    names = options.names or list(MEASUREMENTS)
    if options.quick:
        plan = quick_plan(options.rounds or 2, options.swf, is_profiled=options.profile)
    else:
        plan = Plan(rounds=options.rounds or 5, swf=options.swf, is_profiled=options.profile)
    data = Path(tempfile.mkdtemp(prefix="jl-bench-"))
    try:
        rows = uvloop.run(_measure(data, names, plan))
    finally:
        shutil.rmtree(data)
    sys.stdout.write(f"{table(rows)}\n")
    return int(options.strict and any(row.is_met is False for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *MEASUREMENTS], help=", ".join(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it works")
    parser.add_argument("--rounds", type=int, help="how often each is repeated (5; 2 when quick)")
    parser.add_argument("--swf", type=Path, help="the log to load, in the Standard Workload Format, perhaps gzipped")
    parser.add_argument("--profile", action="store_true", help="append: tell where the time goes")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where something is not reached")
    return parser


async def _measure(data: Path, names: Sequence[str], plan: Plan) -> list[Row]:
    rows: list[Row] = []
    async with make_bed(data, plan) as bed:
        # As a server does.
        gc.freeze()
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
        for name in dict.fromkeys(names):
            began = perf_counter()
            rows += await MEASUREMENTS[name](bed)
            tell(f"{name} took {perf_counter() - began:.0f} s\n")
            gc.collect()
            await asyncio.sleep(0)
    return rows


if __name__ == "__main__":
    sys.exit(main())
