"""What a stop does to answers that go on and are not live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from tests.http.serving import NDJSON, Api, Server


async def test_a_stop_ends_a_request_of_commands_behind_what_has_come(server: Server, api: Api) -> None:
    """All lines that came are answered, and then that the server stops; nobody waits for a client that says nothing."""
    more = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"command":"register","job":{"type":"t","name":"n"}}\n'
        await more.wait()

    headers = {**api.headers, "Content-Type": NDJSON}
    async with api.session.post(api.path("commands"), data=body(), headers=headers) as response:
        first = orjson.loads(await response.content.readline())
        await server.app.shutdown()
        async with asyncio.timeout(2):
            rest = await response.content.read()
    more.set()

    assert first["status"] == 201
    [last] = [orjson.loads(line) for line in rest.splitlines()]
    assert (last["line"], last["status"]) == (2, 503)


async def test_a_stop_breaks_a_long_page_off_behind_a_line(
    server: Server, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came is whole, and the client sees that it is not all."""
    for _ in range(2):
        await api.post("jobs", [{"type": "t", "name": "n"}] * 1_000)
    recorder = server.ledger.recorder
    page = recorder.page

    async def stop_at_second(org: str, after: int, *arguments: Any, **options: Any) -> Any:
        if after > -1:
            await server.app.shutdown()
        return await page(org, after, *arguments, **options)

    monkeypatch.setattr(recorder, "page", stop_at_second)
    got = b""

    async def read() -> None:
        nonlocal got
        async with api.session.get(api.path("events"), headers={"Accept": NDJSON, **api.headers}) as response:
            async for chunk in response.content.iter_any():
                got += chunk

    with pytest.raises(aiohttp.ClientPayloadError):
        await read()

    assert got.endswith(b"\n")
    assert 1_000 <= len([orjson.loads(line) for line in got.splitlines()]) <= 2_000
