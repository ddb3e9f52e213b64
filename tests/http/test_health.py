"""Whether the server lives, and whether it can serve."""

from __future__ import annotations

import asyncio
import shutil
from collections import namedtuple
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from jobledger.http import health
from jobledger.ledger.postgres.embedded import EmbeddedPostgres
from jobledger.ledger.store import survey
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.migration import migrate
from tests.cluster import SMALL, session, short_folder
from tests.http.serving import Api, Reply, Server, served
from tests.system.wire import Proxy, proxied
from tests.world import projections

Usage = namedtuple("Usage", "total used free")


async def ready(server: Server) -> Reply:
    """The answer of /readyz."""
    return await Api(server.session, server.url).send("GET", server.url + "/readyz")


async def until(server: Server, status: int, *, within_s: float) -> Reply:
    """The first answer of /readyz with this status."""
    began_at = monotonic()
    while True:
        reply = await ready(server)
        if reply.status == status:
            assert monotonic() - began_at < within_s
            return reply
        assert monotonic() - began_at < within_s, reply.body
        await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is another's, but where that is what is tested."""
    monkeypatch.setattr(health, "GOOD_FOR_S", 0.0)


async def test_a_server_that_can_serve_says_so(ledger: Ledger, tmp_path: Path) -> None:
    """To everybody: whoever asks shows nothing."""
    async with served(ledger, data=tmp_path) as server:
        reply = await ready(server)
        alive = await Api(server.session, server.url).send("GET", server.url + "/healthz")

    assert reply.status == 200
    names = ("database", "schema", "clock", "projections", "lag", "disk")
    assert reply.document == {"ready": True, "checks": dict.fromkeys(names, "ok"), "failing": []}
    assert (alive.status, alive.document) == (200, {"alive": True})


@pytest.fixture
async def lost(database_url: str) -> AsyncIterator[tuple[Server, Proxy]]:
    """A server whose database is behind something that fails when it is told to."""
    with short_folder() as folder:
        async with proxied(database_url, folder) as (url, proxy):
            database = Database(url, readers=2, writers=1)
            await database.open()
            ledger = Ledger(database, projections())
            async with served(ledger) as server:
                yield server, proxy
                for link in proxy.links:
                    link.cut()
            await ledger.close()
            await database.close()


@pytest.mark.parametrize("is_silent", [False, True])
async def test_a_lost_database_is_told_within_two_seconds_and_comes_back_by_itself(
    lost: tuple[Server, Proxy], *, is_silent: bool
) -> None:
    """Whether its connections break or nothing comes over them any more; the process lives all the while."""
    server, proxy = lost
    assert (await ready(server)).status == 200

    for link in proxy.links:
        link.is_silent = is_silent
        if not is_silent:
            link.cut()
    proxy.is_away = True
    gone = await until(server, 503, within_s=2)
    alive = await Api(server.session, server.url).send("GET", server.url + "/healthz")
    proxy.is_away = False
    back = await until(server, 200, within_s=2)

    assert gone.document["failing"] == ["database", "schema", "clock", "projections", "lag"]
    assert gone.document["checks"]["database"].startswith("The database does not answer: ")
    assert gone.headers["Retry-After"] == "1"
    assert alive.status == 200
    assert back.document["ready"]


@pytest.mark.slow
@pytest.mark.alone
async def test_a_postgres_that_is_stopped_and_started(tmp_path: Path) -> None:
    """The real thing, with its real errors."""
    with short_folder() as folder:
        postgres = EmbeddedPostgres(folder / "data", settings=SMALL)
        await postgres.start()
        await migrate(postgres.url)
        database = Database(postgres.url, readers=2, writers=1)
        await database.open()
        ledger = Ledger(database, projections())
        await ledger.create_org("acme")
        async with served(ledger, data=tmp_path) as server:
            before = await ready(server)
            await postgres.stop()
            gone = await until(server, 503, within_s=2)
            await postgres.start()
            back = await until(server, 200, within_s=2)
            api = await server.client("operator")
            listed = await api.get("jobs")
        await ledger.close()
        await database.close()
        await postgres.stop()

    assert (before.status, gone.status, back.status, listed.status) == (200, 503, 200, 200)


async def test_what_is_missing_from_the_schema_is_named(server: Server, unaudited_url: str) -> None:
    """A migration of this release; one of a later release does no harm to those who run on."""
    async with session(unaudited_url) as owner:
        await owner.execute("INSERT INTO schema_migration (name, checksum) VALUES ('9999_later', 'x')")
        later = await ready(server)
        await owner.execute("DELETE FROM schema_migration WHERE name = '9999_later'")
        await owner.execute("UPDATE schema_migration SET name = 'x' || name WHERE name = '0002_serving_role'")
        missing = await ready(server)
        await owner.execute("UPDATE schema_migration SET name = '0002_serving_role' WHERE name = 'x0002_serving_role'")

    assert later.status == 200
    assert missing.status == 503
    assert missing.document["failing"] == ["schema"]
    assert "lacks 0002_serving_role" in missing.document["checks"]["schema"]


async def test_projections_of_another_release_are_named(server: Server, unaudited_url: str) -> None:
    """Such a server cannot append."""
    async with session(unaudited_url) as owner:
        old = await owner.fetchval("SELECT projections::text FROM ledger_head")
        await owner.execute("UPDATE ledger_head SET projections = jsonb_set(projections, '{jobs,fold}', '99')")
        reply = await ready(server)
        await owner.execute("UPDATE ledger_head SET projections = $1::text::jsonb", old)

    assert (reply.status, reply.document["failing"]) == (503, ["projections"])
    assert reply.document["checks"]["projections"] == "jobs of another release"


@pytest.mark.parametrize(("seconds", "is_ready"), [(-5.5, False), (-4.5, True), (4.5, True), (5.5, False)])
async def test_a_clock_more_than_five_seconds_off_is_not_ready(
    server: Server, monkeypatch: pytest.MonkeyPatch, seconds: float, *, is_ready: bool
) -> None:
    """Either way."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(UTC) + timedelta(seconds=seconds)

    monkeypatch.setattr(survey, "datetime", Clock)

    reply = await ready(server)

    assert (reply.status == 200) is is_ready
    if not is_ready:
        assert reply.document["failing"] == ["clock"]
        assert reply.document["checks"]["clock"] == f"{seconds:+.1f} s off the database's"


@pytest.mark.parametrize(("free", "is_ready"), [(1024**3 - 1, False), (1024**3, True)])
async def test_a_disk_with_less_than_a_gibibyte_is_not_ready(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, *, is_ready: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    async with served(ledger, data=tmp_path) as server:
        reply = await ready(server)

    assert reply.document["failing"] == ([] if is_ready else ["disk"])


async def test_a_data_folder_that_is_gone_is_not_ready(ledger: Ledger, tmp_path: Path) -> None:
    async with served(ledger, data=tmp_path / "gone") as server:
        reply = await ready(server)

    assert reply.document["failing"] == ["disk"]


async def test_being_asked_often_costs_one_look(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred who ask at once, or within half a second, get one answer."""
    monkeypatch.setattr(health, "GOOD_FOR_S", 60.0)
    looks = 0
    look = survey.Surveyor.survey

    async def count(self: survey.Surveyor) -> survey.Survey:
        nonlocal looks
        looks += 1
        return await look(self)

    monkeypatch.setattr(survey.Surveyor, "survey", count)

    replies = await asyncio.gather(*(ready(server) for _ in range(100)))

    assert {reply.status for reply in replies} == {200}
    assert looks == 1


async def test_other_methods_are_refused(server: Server) -> None:
    api = Api(server.session, server.url)
    for path in ("/healthz", "/readyz", "/metrics"):
        reply = await api.send("POST", server.url + path)
        assert reply.status == 405
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert (await api.send("HEAD", server.url + path)).body == b""
