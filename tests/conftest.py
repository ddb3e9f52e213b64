"""One Postgres for the session, a migrated database for each test, and an audit of it when the test is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.migration import migrate
from jobledger.ledger.store.pipeline import Pipeline
from tests.auditor import audit
from tests.caretaker import Caretaker
from tests.cluster import fresh_database, running_cluster, session, url_of
from tests.examples import WHOLE
from tests.world import ORG, catch_up_projections, projections

TEMPLATE = "template_ledger"
SHARED = "shared_ledger"

# An example may wait for a disk that others use too; examples share a test's database, each in an org of its own.
settings.register_profile(
    "thorough", deadline=None, max_examples=WHOLE, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# The quick part tries a quarter of the examples; the slow one asks for the other profile.
settings.register_profile("ledger", settings.get_profile("thorough"), max_examples=WHOLE // 4)
settings.load_profile("ledger")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that servers have; it costs less, too."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def cluster_url() -> Iterator[str]:
    """The session's Postgres: of its own process, so that no test's event loop is bound to it."""
    with running_cluster() as url:
        yield url


@pytest.fixture(scope="session")
def template(cluster_url: str) -> str:
    """The name of a migrated database that is copied for each test."""

    async def make() -> None:
        async with session(cluster_url) as connection:
            await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await migrate(url_of(cluster_url, TEMPLATE))

    asyncio.run(make())
    return TEMPLATE


@pytest.fixture
async def own_url(cluster_url: str, template: str) -> AsyncIterator[str]:
    """The URL of a migrated database of the test's own, as its owner."""
    async with fresh_database(cluster_url, template=template) as url:
        yield url


@pytest.fixture(scope="session")
def caretaker(cluster_url: str, template: str) -> Iterator[Caretaker]:
    """Who keeps a migrated database that tests share and each leaves empty: copying one costs far more."""

    async def make() -> None:
        async with session(cluster_url) as connection:
            await connection.execute(f"CREATE DATABASE {SHARED} TEMPLATE {template}")

    asyncio.run(make())
    caretaker = Caretaker(url_of(cluster_url, SHARED))
    yield caretaker
    asyncio.run(caretaker.close())


@pytest.fixture
async def unaudited_url(caretaker: Caretaker) -> AsyncIterator[str]:
    """The URL of a migrated database, as its owner, which is emptied when the test is over and was audited.

    Modules whose tests change more than rows have the fixture give ``own_url`` instead.
    """
    yield caretaker.url
    await caretaker.empty()


@pytest.fixture
async def database_url(unaudited_url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a migrated database, as its owner; audited when the test is over."""
    yield unaudited_url
    caretaker: Caretaker | None = request.getfixturevalue("caretaker") if "caretaker" in request.fixturenames else None
    await (audit(unaudited_url) if caretaker is None or caretaker.url != unaudited_url else caretaker.audit())


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The open database."""
    database = Database(database_url, readers=4, writers=4)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    """A ledger with the org ``acme``."""
    ledger = Ledger(database, projections(), catch_up_projections=catch_up_projections())
    await ledger.create_org(ORG)
    yield ledger
    await ledger.close()


@pytest.fixture
def under_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decided ahead of the head's lock: what waits together is one batch."""
    monkeypatch.setattr(Pipeline, "is_worth_trying", False)


@pytest.fixture(params=["ahead", "under_lock"])
def either_way(request: pytest.FixtureRequest) -> str:
    """Whether batches are decided ahead of the head's lock, where they can be, or always under it."""
    if request.param == "under_lock":
        request.getfixturevalue("under_lock")
    return str(request.param)
