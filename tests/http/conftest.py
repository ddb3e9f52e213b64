"""A server for each test, on a database that all of them here share and each leaves empty: copying one costs far more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from jobledger.ledger.store.ledger import Ledger
from tests.cluster import session, url_of
from tests.http.peer import Peers
from tests.http.serving import OWNER_PASSWORD, Api, Server, add_principal, served
from tests.http.targets import TOKEN_ID
from tests.http.trial import Trial
from tests.world import ORG

SHARED = "shared_by_http"
# What a migration writes, and what stays.
KEPT = ("installation", "schema_migration")


@pytest.fixture(scope="session")
def shared_url(cluster_url: str, template: str) -> str:
    """The URL of the database."""

    async def make() -> None:
        async with session(cluster_url) as connection:
            await connection.execute(f"CREATE DATABASE {SHARED} TEMPLATE {template}")

    asyncio.run(make())
    return url_of(cluster_url, SHARED)


@pytest.fixture
async def unaudited_url(shared_url: str) -> AsyncIterator[str]:
    """The URL of the database, which is emptied when the test is over and was audited."""
    yield shared_url
    async with session(shared_url) as connection:
        tables = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL ($1)", KEPT
        )
        await connection.execute("SET lock_timeout = '10s'")
        await connection.execute(f"TRUNCATE {', '.join(it['tablename'] for it in tables)}")


@pytest.fixture
async def server(ledger: Ledger) -> AsyncIterator[Server]:
    """A server of the org ``acme``."""
    async with served(ledger) as server:
        yield server


@pytest.fixture
async def api(server: Server) -> Api:
    """A client that may do what operators may."""
    return await server.client("operator")


@pytest.fixture
async def trial(server: Server) -> AsyncIterator[Trial]:
    """A running job, 1, in the domain Global, a hold, 1, and a principal, 2, with a token; asked by one who may do everything."""
    api = await server.client(*CAPABILITIES_BY_ROLE, password=OWNER_PASSWORD)
    await add_principal(server.ledger, ["client"], name="bob", password="secret", credential=UUID(TOKEN_ID))
    await api.register_running()
    await api.post("holds", {"name": "case 6", "reason": "a lawsuit", "filter": {"type": "none"}})
    trial = Trial(server, api, (await server.ledger.recorder.head(ORG)).size)
    yield trial
    trial.nothing_is_wrong()


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Clients that speak byte by byte."""
    peers = Peers()
    yield peers
    await peers.close()
