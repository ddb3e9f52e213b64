"""A server for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from jobledger.http.context import ACCESS, DATA
from jobledger.http.throttle import Throttle
from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from jobledger.ledger.store.ledger import Ledger
from tests.http.dialects.manners import ATTACHMENT_ID, SCHEDULE_ID
from tests.http.dialects.native import TOKEN_ID
from tests.http.equipment import add_archive, add_export, add_queue, add_schedule, equip
from tests.http.peer import Peers
from tests.http.serving import OWNER_PASSWORD, WEAK_HASHER, Api, Server, add_principal, served
from tests.http.trial import Spread, Trial
from tests.http.walk import Walk, register_copies, walked
from tests.signing import sign
from tests.world import ORG


@pytest.fixture
async def server(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Server]:
    """A server of the org ``acme``, where passwords given by requests are hashed at no cost, as the tests' own are."""
    async with served(ledger, data=tmp_path) as server:
        monkeypatch.setattr(server.app[ACCESS], "_hasher", WEAK_HASHER)
        yield server


@pytest.fixture
async def api(server: Server) -> Api:
    """A client that may do what operators may."""
    return await server.client("operator")


@pytest.fixture
async def trial(server: Server) -> AsyncIterator[Trial]:
    """A running job, 1, in the domain Global, which fetches the datastream 3, is to be copied to copy 7, goes through a diagram, 1,
    of a template, 2, and has an attachment; a hold, 1, a schedule, and a principal, 2, with a token. Asked by one who may
    do everything.
    """
    token = await add_principal(server.ledger, CAPABILITIES_BY_ROLE, name="owner", password=OWNER_PASSWORD)
    await add_principal(server.ledger, ["client"], name="bob", password="secret", credential=UUID(TOKEN_ID))
    api = server.api(token)
    await register_copies(api)
    await api.register_running(stage="fetch", datastream={"id": 3}, copies=[{"id": 7, "state": "to_be_copied"}])
    await api.draw()
    await equip(server.ledger, ORG, 1, diagram_id=1, template_id=2, attachment_id=ATTACHMENT_ID)
    await api.post("holds", {"name": "case 6", "reason": "a lawsuit", "filter": {"type": "none"}})
    await add_schedule(server.ledger, ORG, SCHEDULE_ID)
    await add_archive(server.ledger, ORG, "51", server.app[DATA])
    await add_export(server.ledger, ORG, "61", server.app[DATA])
    await add_queue(server.ledger, ORG, "q")
    await sign(server.ledger)
    trial = Trial(server, api, token, (await server.ledger.recorder.head(ORG)).size)
    yield trial
    await trial.nothing_is_wrong()


@pytest.fixture(params=[pytest.param(False, id="some"), pytest.param(True, id="whole", marks=pytest.mark.slow)])
def spread(request: pytest.FixtureRequest) -> Spread:
    """Which faults a route is tried with: some in the quick part, all in the slow one."""
    return Spread(is_whole=request.param)


@pytest.fixture
async def walk(server: Server, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """Two orgs that hold the same, and who may do everything in each."""
    # What is compared is not how often one asks.
    monkeypatch.setattr(server.app[ACCESS], "_by_name", Throttle(10**6, 1.0))
    monkeypatch.setattr(server.app[ACCESS], "_by_address", Throttle(10**6, 1.0))
    return await walked(server, database_url)


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Clients that speak byte by byte."""
    peers = Peers()
    yield peers
    await peers.close()
