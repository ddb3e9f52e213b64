"""A body that takes its time: what counts is who its sender is by its end."""

from __future__ import annotations

from time import monotonic
from typing import Any
from uuid import uuid4

import orjson
import pytest

from jobledger.http import standing as standing_module
from jobledger.http.context import ACCESS
from jobledger.http.standing import ASK_AGAIN_S
from jobledger.ledger.domain.access_commands import ChangePrincipal, DisablePrincipal
from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.credential_commands import RevokeToken, RevokeTokens
from jobledger.ledger.errors import TooManyAttemptsError
from jobledger.ledger.store.ledger import ledger_itself
from tests.http.peer import Peer, Peers, head
from tests.http.serving import Api, Server, add_principal
from tests.world import ORG

ITSELF = ledger_itself(ORG)
CREDENTIAL = uuid4()
A_JOB = {"type": "copy", "name": "n"}
PRINCIPAL = {"name": "backdoor", "roles": ["admin"], "password": "open sesame"}
A_LATER_TOKEN = {"principal": "ann"}
SHUT_OUT = [
    DisablePrincipal(caller=ITSELF, principal="ann"),
    RevokeTokens(caller=ITSELF, principal="ann"),
    RevokeToken(caller=ITSELF, credential=CREDENTIAL),
]
BODIES = [
    ("jobs", A_JOB),
    ("jobs", [A_JOB]),
    ("principals", PRINCIPAL),
    ("tokens", A_LATER_TOKEN),
    ("jobs/1/cancel", {}),
]


class Clock:
    """What a request's standing takes for the time."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return monotonic() + self.ahead_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that can be put forward."""
    clock = Clock()
    monkeypatch.setattr(standing_module, "monotonic", clock)
    return clock


@pytest.fixture
async def ann(server: Server) -> Api:
    """An admin, who has registered a job."""
    api = server.api(await add_principal(server.ledger, ["admin"], name="ann", credential=CREDENTIAL))
    await add_principal(server.ledger, ["admin"], name="bob", password="secret")
    await api.register()
    return api


async def begin(peers: Peers, server: Server, api: Api, path: str, body: bytes) -> Peer:
    """A request whose caller was let in, and which lacks the last byte of its body."""
    peer = await peers.connect(server)
    peer.send(head(api, path, f"Content-Length: {len(body)}", "Content-Type: application/json", "Expect: 100-continue"))
    assert await peer.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    peer.send(body[:-1])
    return peer


async def status(peer: Peer) -> int:
    """That of the answer."""
    return int((await peer.reader.readline()).split()[1])


@pytest.mark.parametrize("shut_out", SHUT_OUT, ids=lambda it: type(it).__name__)
@pytest.mark.parametrize(("path", "document"), BODIES, ids=lambda it: it if isinstance(it, str) else "")
async def test_who_was_shut_out_while_its_body_came_does_nothing(
    peers: Peers, server: Server, ann: Api, clock: Clock, shut_out: Command, path: str, document: Any
) -> None:
    body = orjson.dumps(document)
    peer = await begin(peers, server, ann, path, body)
    await server.ledger.execute(shut_out)
    size = (await server.ledger.recorder.head(ORG)).size

    clock.ahead_s = ASK_AGAIN_S
    peer.send(body[-1:])

    assert await status(peer) == 401
    assert (await server.ledger.recorder.head(ORG)).size == size


@pytest.mark.parametrize(
    ("grant", "expected"),
    [({"roles": ("auditor",)}, 403), ({"domains": ("Sales",)}, 404), ({"capabilities": ("PurgeJobs",)}, 200)],
    ids=["role", "domains", "more"],
)
async def test_it_may_what_it_may_by_its_bodys_end(
    peers: Peers, server: Server, ann: Api, clock: Clock, grant: dict[str, Any], expected: int
) -> None:
    peer = await begin(peers, server, ann, "jobs/1/cancel", b"{}")
    await server.ledger.execute(ChangePrincipal(caller=ITSELF, principal="ann", **grant))

    clock.ahead_s = ASK_AGAIN_S
    peer.send(b"}")

    assert await status(peer) == expected


async def test_where_it_cannot_be_told_nothing_is_done(
    peers: Peers, server: Server, ann: Api, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever was shut out would only have to make it so."""
    peer = await begin(peers, server, ann, "jobs", orjson.dumps(A_JOB))
    size = (await server.ledger.recorder.head(ORG)).size

    async def cannot_tell(*_: Any) -> None:
        raise TooManyAttemptsError("It cannot be told.")

    monkeypatch.setattr(server.app[ACCESS], "known", cannot_tell)
    clock.ahead_s = ASK_AGAIN_S
    peer.send(b"}")

    assert await status(peer) == 429
    assert (await server.ledger.recorder.head(ORG)).size == size
