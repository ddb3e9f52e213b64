"""A client in a process of its own: what to do comes as JSON on its input, what it measured goes to its output."""

from __future__ import annotations

import http.client
import json
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

import aiohttp
import uvloop

from jobledger.scripts.benchmarks.http_load import load

CHUNK_BYTES = 64 * 1024
PAGE = 100


def lines(spec: Mapping[str, Any]) -> Iterator[str]:
    """The commands to send: ``count`` of ``kind`` over the jobs from ``first`` to before ``end``."""
    count: int = spec["count"]
    if spec["kind"] == "register":
        for number in range(count):
            yield f'{{"command":"register","job":{{"type":"backup","name":"nightly {number}"}}}}\n'
    elif spec["kind"] == "start":
        for job_id in range(spec["first"], spec["end"]):
            yield f'{{"command":"start","id":{job_id}}}\n'
    else:
        first, jobs = spec["first"], spec["end"] - spec["first"]
        for number in range(count):
            job_id, progress = first + number % jobs, number % 1000 / 1000
            yield f'{{"command":"progress","id":{job_id},"progress":{progress}}}\n'


async def send_commands(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Stream commands through one request on one connection, reading the outcomes as they come: the time and the refusals."""
    body = "".join(lines(spec)).encode()
    chunks = [body[begin : begin + CHUNK_BYTES] for begin in range(0, len(body), CHUNK_BYTES)]

    async def sent() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    headers = {"Authorization": f"Bearer {spec['token']}", "Content-Type": "application/x-ndjson"}
    if spec.get("key"):
        headers["Idempotency-Key"] = spec["key"]
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{spec['port']}", headers=headers, timeout=timeout) as session:
        # The connection is made before the clock starts.
        async with session.get(f"/ledger/v1/{spec['org']}/jobs?limit=1") as warming:
            await warming.read()
        began = perf_counter()
        received: list[bytes] = []
        async with session.post(f"/ledger/v1/{spec['org']}/commands", data=sent()) as response:
            response.raise_for_status()
            async for chunk in response.content.iter_any():
                received.append(chunk)
        seconds = perf_counter() - began
    outcomes = b"".join(received)
    answers = outcomes.count(b"\n")
    accepted = outcomes.count(b'"status":20')
    return {"seconds": seconds, "answers": answers, "refused": answers - accepted}


class Pages:
    """Reads pages of jobs over one connection that stays open."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", spec["port"])
        self._headers = {"Authorization": f"Bearer {spec['token']}"}
        self._path = f"/ledger/v1/{spec['org']}/jobs"

    def get(self, state: str, limit: int, cursor: str | None) -> bytes:
        """One page."""
        after = "" if cursor is None else f"&cursor={cursor}"
        self._connection.request("GET", f"{self._path}?state={state}&limit={limit}{after}", headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(body.decode())
        return body

    def cursors(self, state: str) -> Iterator[str | None]:
        """Where pages of the state's jobs begin, from the first to the last; a cursor holds for pages of any length."""
        cursor: str | None = None
        while True:
            yield cursor
            cursor = json.loads(self.get(state, 1000, cursor))["next"]
            if cursor is None:
                return


def read_pages(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Read random pages: how long each took, from asking to its last byte, in milliseconds."""
    pages = Pages(spec)
    places = [(state, cursor) for state in spec["states"] for cursor in pages.cursors(state)]
    rounds: list[list[float]] = []
    chooser = random.Random(1)  # noqa: S311  # chooses what to read, no secret
    for _ in range(spec["rounds"]):
        latencies: list[float] = []
        for state, cursor in chooser.choices(places, k=spec["count"]):
            began = perf_counter()
            pages.get(state, PAGE, cursor)
            latencies.append(1000 * (perf_counter() - began))
        rounds.append(latencies)
    return {"latencies_ms": rounds, "places": len(places)}


def main() -> None:
    """Do what is asked."""
    spec = json.load(sys.stdin)
    work: Mapping[str, Callable[[], dict[str, Any]]] = {
        "commands": lambda: uvloop.run(send_commands(spec)),
        "load": lambda: uvloop.run(load(spec)),
        "pages": lambda: read_pages(spec),
    }
    json.dump(work[spec["work"]](), sys.stdout)


if __name__ == "__main__":
    main()
