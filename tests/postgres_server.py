"""A Postgres in a data folder, for the tests that started this program: it runs until its standard input ends, and is gone then.

Arguments: the data folder, the settings as JSON, optionally the folder of the programs. Writes the URL when it accepts
connections.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

from jobledger.ledger.postgres.embedded import EmbeddedPostgres


async def serve(data: Path, settings: dict[str, str], binaries: Path | None) -> None:
    """Run until standard input ends: also when the tests were killed, who could remove nothing."""
    try:
        async with EmbeddedPostgres(data, settings=settings, binaries=binaries) as postgres:
            print(postgres.url, flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    finally:
        shutil.rmtree(data)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    asyncio.run(serve(Path(arguments[0]), json.loads(arguments[1]), Path(arguments[2]) if arguments[2:] else None))
