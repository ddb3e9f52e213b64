"""A large attachment, in and out: how fast, and what the server's memory rises by meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import perf_counter

import aiohttp

from jobledger.scripts.benchmarks.bed import Bed, Server, tell
from jobledger.scripts.benchmarks.table import Row

MEBIBYTE = 1024 * 1024
SIZE_BYTES = 64 * MEBIBYTE
PIECE_BYTES = 64 * 1024
MOST_RISE_MIB = 8.0


async def pieces(size_bytes: int) -> AsyncIterator[bytes]:
    """So many bytes, a piece at a time."""
    piece = bytes(range(256)) * (PIECE_BYTES // 256)
    for begin in range(0, size_bytes, PIECE_BYTES):
        yield piece[: size_bytes - begin]


async def measure_attachments(bed: Bed) -> list[Row]:
    """64 MiB to a server of its own in each round, and back: MiB a second, and the most by which its memory rose."""
    caller = await bed.new_org("attach")
    [job_id] = await bed.running_jobs(caller, 1)
    token = await bed.new_token(caller.org)
    rates: dict[str, list[float]] = {"in": [], "out": []}
    rises: dict[str, list[float]] = {"in": [], "out": []}
    for number in range(bed.plan.rounds):
        async with (
            bed.server() as server,
            aiohttp.ClientSession(
                f"http://127.0.0.1:{server.port}", headers={"Authorization": f"Bearer {token}"}, raise_for_status=True
            ) as session,
        ):
            path = f"/ledger/v1/{caller.org}/jobs/{job_id}/attachments"

            async def send(size_bytes: int, session: aiohttp.ClientSession = session, path: str = path) -> str:
                async with session.post(path, data=pieces(size_bytes), params={"name": "measured"}) as reply:
                    return reply.headers["Location"]

            async def fetch(url: str, session: aiohttp.ClientSession = session) -> None:
                async with session.get(url) as reply:
                    size = 0
                    async for piece in reply.content.iter_any():
                        size += len(piece)
                if not size:
                    raise RuntimeError("an attachment came back empty")

            # What any first request brings into memory is not counted: a small file goes in and out before.
            await fetch(await send(1))
            for way in ("in", "out"):
                before = _memory_mib(server)
                began = perf_counter()
                if way == "in":
                    url = await send(SIZE_BYTES)
                else:
                    await fetch(url)
                rates[way].append(SIZE_BYTES / MEBIBYTE / (perf_counter() - began))
                rises[way].append(server.memory_mib("VmHWM") - before)
            told = ", ".join(f"{way} {rates[way][-1]:.0f} MiB/s (+{rises[way][-1]:.1f} MiB)" for way in rates)
            tell(f"attachments, round {number + 1}: {told}")
    size = f"an attachment of {SIZE_BYTES // MEBIBYTE} MiB"
    rows = [Row(what=f"{size}, {way}", unit="MiB/s", ours=rates[way]) for way in rates]
    return rows + [
        Row(what=f"{size}, {way}: rise of the server's memory", unit="MiB", ours=rises[way], most=MOST_RISE_MIB)
        for way in rises
    ]


def _memory_mib(server: Server) -> float:
    """Its memory now; its most is counted from here on."""
    # Source: proc(5), clear_refs: 5 resets VmHWM.
    with open(f"/proc/{server.pid}/clear_refs", "w") as file:
        file.write("5")
    return server.memory_mib()
