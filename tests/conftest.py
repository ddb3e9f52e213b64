"""One Postgres for the session, a migrated database for each test, and an audit of it when the test is over."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator

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
from tests.leftovers import end
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


def pytest_collection_finish() -> None:
    """What was imported and collected stays: no need to look it through for garbage again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def _asyncio_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """The loop that servers have; it costs less, too.

    Not by pytest-asyncio's hook: tests that are no coroutines, and have fixtures that are, would be given another loop, and all
    that lives as long as the session be made anew for each.
    """
    return uvloop.new_event_loop


@pytest.fixture(scope="session")
async def loop() -> asyncio.AbstractEventLoop:
    """The loop of all tests of this process."""
    return asyncio.get_running_loop()


@pytest.fixture(autouse=True)
def leaves_no_task(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """When the test and its other fixtures are done, no task of theirs still runs."""
    before = asyncio.all_tasks(loop)
    yield
    left = asyncio.all_tasks(loop) - before
    if left:
        loop.run_until_complete(end(left))


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
async def caretaker(cluster_url: str, template: str) -> AsyncIterator[Caretaker]:
    """Who keeps a migrated database that tests share and each leaves empty: copying one costs far more."""
    async with session(cluster_url) as connection:
        await connection.execute(f"CREATE DATABASE {SHARED} TEMPLATE {template}")
    caretaker = Caretaker(url_of(cluster_url, SHARED))
    await caretaker.open()
    yield caretaker
    await caretaker.close()


@pytest.fixture
async def unaudited_url(caretaker: Caretaker) -> AsyncIterator[str]:
    """The URL of a migrated database, as its owner, which is emptied when the test is over and was audited.

    Modules whose tests change more than rows have the fixture give ``own_url`` instead.
    """
    yield caretaker.url
    try:
        await caretaker.must_be_alone()
    finally:
        await caretaker.empty()


@pytest.fixture
async def database_url(unaudited_url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a migrated database, as its owner; audited when the test is over."""
    yield unaudited_url
    caretaker = keeper(request, unaudited_url)
    await (audit(unaudited_url) if caretaker is None else caretaker.audit())


def keeper(request: pytest.FixtureRequest, url: str) -> Caretaker | None:
    """Who keeps the database at *url*; None where it is the test's own."""
    caretaker: Caretaker | None = request.getfixturevalue("caretaker") if "caretaker" in request.fixturenames else None
    return None if caretaker is None or caretaker.url != url else caretaker


@pytest.fixture
def own_connections() -> None:
    """The test has connections of its own to the database: it cuts or counts them."""


@pytest.fixture
async def database(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """The open database; its connections are those of the tests before, unless there are ``own_connections``."""
    caretaker = keeper(request, database_url)
    if caretaker is not None and "own_connections" not in request.fixturenames:
        yield caretaker.database
        return
    database = Database(database_url, readers=4, writers=4)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def ledger(database: Database, request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    """A ledger with the org ``acme``."""
    ledger = Ledger(database, projections(), catch_up_projections=catch_up_projections())
    caretaker = keeper(request, database.url)
    if caretaker is not None and database is caretaker.database:
        ledger._announcer = caretaker.announcer
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
