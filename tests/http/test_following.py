"""Followers beside writers, restarts, faults and each other: none misses an event, sees one twice, or waits for another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import pytest

from jobledger.http.native import live
from jobledger.http.native.live import LIVE, LiveStream
from jobledger.ledger.store import following, tail
from jobledger.ledger.store.announcement import Announcer
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import ledger_statement
from tests.cluster import session
from tests.http.event_source import EVENT_STREAM, Parser, event_stream
from tests.http.serving import Api, Server, served
from tests.http.test_live_events import PATIENCE_S, positions, until
from tests.world import registration, serving, spec

LISTENING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
OTHERS = "datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'jobledger'"


@asynccontextmanager
async def another_server(url: str) -> AsyncIterator[Server]:
    """A server of its own on the same database."""
    async with serving(url) as ledger, served(ledger) as server:
        yield server


class Client:
    """An EventSource: comes back whenever it is cut off, with the last id that it saw, to any server."""

    def __init__(self, random: Random, token: dict[str, str]) -> None:
        self.seen: list[int] = []
        self.connections = 0
        self.connecting_to: Server | None = None
        self._random = random
        self._headers = token
        self._last = ""

    async def read(self, servers: list[Server], end: Callable[[], int | None]) -> None:
        """Read until all up to *end*, once that is known, is seen."""
        while (size := end()) is None or len(self.seen) < size:
            server = self._random.choice(servers)
            api = Api(server.session, server.url, headers=self._headers)
            self.connecting_to = server
            try:
                async with asyncio.timeout(self._random.choice((0.02, 0.2, 1.0))):
                    await self._read_once(api)
            except (TimeoutError, aiohttp.ClientError, AssertionError, OSError, RuntimeError):
                # Cut off by itself, by the server's end, or not let in by one that stops.
                self.connecting_to = None
                await asyncio.sleep(0.01)

    async def _read_once(self, api: Api) -> None:
        async with event_stream(api, last_event_id=self._last) as stream:
            self.connections += 1
            self.connecting_to = None
            for _ in range(self._random.randrange(1, 30)):
                messages = await stream.some()
                self.seen += positions(messages)
                self._last = stream.parser.last_event_id
                if not messages:
                    return


@pytest.mark.parametrize(
    ("seed", "batches"), [(0, 5), *(pytest.param(it, 15, marks=pytest.mark.slow) for it in range(1, 4))]
)
async def test_clients_that_come_back_see_every_event_once(
    server: Server, database_url: str, seed: int, batches: int
) -> None:
    """In order, whatever cuts them off: they themselves, or the end of a server; beside two servers that append."""
    random = Random(seed)
    reader = await server.client("auditor")
    end: int | None = None
    servers = [server]

    async def write(ledger: Ledger, batches: int) -> None:
        for _ in range(batches):
            await ledger.execute(registration(*(spec() for _ in range(random.randrange(1, 20)))))
            await asyncio.sleep(random.random() * 0.02)

    async def restart_and_write() -> None:
        for _ in range(3):
            async with another_server(database_url) as other:
                servers.append(other)
                await write(other.ledger, batches)
                servers.remove(other)
                # A connection that is accepted as the listener closes is nobody's.
                await until(lambda: all(it.connecting_to is not other for it in clients))

    clients = [Client(Random(f"{seed}-{n}"), reader.headers) for n in range(4)]
    reading = [asyncio.create_task(it.read(servers, lambda: end)) for it in clients]
    await asyncio.gather(write(server.ledger, 3 * batches), restart_and_write())
    end = (await server.ledger.recorder.head(reader.org)).size
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*reading)

    for client in clients:
        assert client.seen == list(range(end))
        assert client.connections > 1


async def test_what_another_server_appends_comes_by_its_announcement(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody polls."""
    monkeypatch.setattr(following, "POLL_S", 3600.0)
    async with serving(database_url) as other, session(database_url) as owner, event_stream(api) as stream:
        await stream.take(3)
        await until_listening(owner)
        for n in range(3, 6):
            await other.execute(registration())
            assert positions(await stream.take(1)) == [n]


async def test_where_announcements_are_lost_the_poll_finds_what_is_new(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose(_self: Announcer, _payloads: list[str]) -> bool:
        return True

    monkeypatch.setattr(Announcer, "_tell", lose)
    async with serving(database_url) as other, event_stream(api) as stream:
        await stream.take(3)
        for n in range(3, 5):
            await other.execute(registration())
            assert positions(await stream.take(1, patience_s=5)) == [n]


async def until_listening(owner: Any, *, but: tuple[int, ...] = ()) -> int:
    """The pid of a backend that listens."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = [it["pid"] for it in await owner.fetch(LISTENING) if it["pid"] not in but]
            if found:
                return int(found[0])
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("own_connections")
async def test_a_lost_connection_that_listened_is_made_again(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was appended while nobody listened is looked for then."""
    monkeypatch.setattr(following, "POLL_S", 3600.0)
    async with serving(database_url) as other, session(database_url) as owner, event_stream(api) as stream:
        await stream.take(3)
        first = await until_listening(owner)
        await owner.execute("SELECT pg_terminate_backend($1)", first)
        await other.execute(registration())
        assert positions(await stream.take(1)) == [3]
        await until_listening(owner, but=(first,))
        await other.execute(registration())
        assert positions(await stream.take(1)) == [4]


@pytest.mark.usefixtures("own_connections")
async def test_followers_outlive_all_connections_to_the_database(api: Api, database_url: str) -> None:
    async with session(database_url) as owner, event_stream(api) as stream:
        await stream.take(3)
        for n in range(3):
            await owner.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OTHERS}")
            async with asyncio.timeout(PATIENCE_S):
                while (await api.post("jobs", {"type": "copy", "name": "n"})).status != 201:
                    await asyncio.sleep(0.05)
            assert positions(await stream.take(1)) == [3 + n]


async def test_what_anybody_announces_is_only_looked_at(
    api: Api, database_url: str, readings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes that are not, orgs that are not, and nonsense change nothing."""
    # Readings by the clock would count too.
    monkeypatch.setattr(following, "POLL_S", 60.0)
    async with session(database_url) as owner, event_stream(api) as stream:
        await stream.take(3)
        await until_listening(owner)
        for payload in ("acme 999999999999999999", "acme 1", "nobody 7", "", "acme", "acme -1", "ACME 5", "acme 5 5"):
            await owner.execute("SELECT pg_notify('jobledger_appended', $1)", payload)
        for n in range(3, 18):
            await api.register()
            assert positions(await stream.take(1)) == [n]

    # One for the first three, one for each that was appended, and two to find that there is nothing.
    assert len(readings) <= 18


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From where events have been read, once for each time that they were."""
    made: list[int] = []
    fetch = Database.fetch

    async def counted(self: Database, sql: str, *arguments: Any) -> Any:
        if sql == ledger_statement("events_of_size"):
            made.append(arguments[1])
        return await fetch(self, sql, *arguments)

    monkeypatch.setattr(Database, "fetch", counted)
    return made


async def test_what_is_new_is_read_once_for_all_who_follow(api: Api, readings: list[int]) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(event_stream(api, {"after": "head"})) for _ in range(20)]
        for n in range(3, 8):
            await api.register()
            assert [positions(await it.take(1)) for it in streams] == [[n]] * 20

    # The first follower's tail has no event before it to compare with.
    assert readings == [3, 3, 4, 5, 6]


async def test_who_is_far_behind_reads_by_itself_until_it_is_not(
    api: Api, readings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stretch at a time, while others are at the head; then it goes on with them."""
    monkeypatch.setattr(following, "READ_EVENTS", 7)
    monkeypatch.setattr(following, "MOST_EVENTS_BACK", 5)
    await api.post("jobs", [{"type": "copy", "name": "n"}] * 47)
    async with event_stream(api, {"after": "head"}) as ahead, event_stream(api) as behind:
        assert positions(await behind.take(50)) == list(range(50))
        assert readings == list(range(0, 50, 7))
        await api.register()
        assert positions(await ahead.take(1)) == positions(await behind.take(1)) == [50]
        assert readings == [*range(0, 50, 7), 50]


async def test_large_events_are_read_a_few_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is larger than all limits comes alone."""
    for module in (tail, following):
        monkeypatch.setattr(module, "READ_BYTES", 20_000)
    monkeypatch.setattr(tail, "WINDOW_BYTES", 30_000)
    async with event_stream(api, {"after": "2"}) as stream:
        for size in (5, 9_000, 50_000, 5, 9_000, 9_000, 50_000):
            await api.register(attributes={"a": "x" * size})
        assert positions(await stream.take(7)) == list(range(3, 10))
    async with event_stream(api) as stream:
        assert positions(await stream.take(10)) == list(range(10))


@asynccontextmanager
async def silent_client(server: Server, api: Api) -> AsyncIterator[socket.socket]:
    """A connection that has asked for all events, and reads nothing."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", server.port))
        await loop.sock_sendall(
            client,
            f"GET /ledger/v1/acme/events HTTP/1.0\r\nAccept: {EVENT_STREAM}\r\n"
            f"Authorization: {api.headers['Authorization']}\r\n\r\n".encode(),
        )
        yield client


def streams_of(server: Server) -> list[LiveStream]:
    """The live streams that the server has open."""
    return [stream for same in server.app[LIVE]._streams.values() for stream in same]


async def append_much(api: Api, count: int, size: int) -> None:
    for _ in range(count):
        await api.register(attributes={"a": "x" * size})


@pytest.mark.slow
@pytest.mark.alone
async def test_a_client_that_reads_nothing_costs_the_others_nothing(
    server: Server, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a bounded part of memory, and finds all of it when it reads at last."""
    monkeypatch.setattr(tail, "WINDOW_BYTES", 256 * 1024)
    count, size = 120, 100_000
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(silent_client(server, api))
        await until(lambda: len(streams_of(server)) == 1)
        [silent] = streams_of(server)
        streams = [await stack.enter_async_context(event_stream(api)) for _ in range(50)]
        appending = asyncio.create_task(append_much(api, count, size))
        taken = await asyncio.gather(*(it.take(count + 3, patience_s=60) for it in streams))
        await appending

        for messages in taken:
            assert positions(messages) == list(range(count + 3))
        transport: Any = silent._request.transport
        assert silent._follower.position < count
        assert 0 < transport.get_write_buffer_size() < 4 * size

        parser = Parser()
        text = b""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while b"\r\n\r\n" not in text:
                text += await loop.sock_recv(client, 4096)
            seen = positions(parser.feed(text.partition(b"\r\n\r\n")[2]))
            while len(seen) < count + 3:
                seen += positions(parser.feed(await loop.sock_recv(client, 1 << 20)))
        assert seen == list(range(count + 3))


@pytest.mark.slow
@pytest.mark.alone
async def test_a_client_that_takes_nothing_for_long_is_cut_off(
    server: Server, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALLED_S", 0.3)
    async with silent_client(server, api), event_stream(api) as stream:
        await until(lambda: len(streams_of(server)) == 2)
        taking = asyncio.create_task(stream.take(13))
        await append_much(api, 10, 1_000_000)
        assert positions(await taking) == list(range(13))
        await until(lambda: len(streams_of(server)) == 1)


@pytest.mark.slow
@pytest.mark.alone
async def test_five_hundred_followers(server: Server, api: Api, readings: list[int]) -> None:
    """All see all of it, in bounded time, and it is read once."""
    followers, count = 500, 200
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
        AsyncExitStack() as stack,
    ):
        many = Api(client, api.url, headers=api.headers)
        streams = [await stack.enter_async_context(event_stream(many, {"after": "head"})) for _ in range(followers)]
        appending = asyncio.create_task(append_much(api, count, 10))
        taken = await asyncio.gather(*(it.take(count, patience_s=60) for it in streams))
        await appending

        assert all(positions(it) == list(range(3, 3 + count)) for it in taken)
        assert len(readings) <= count + 1
