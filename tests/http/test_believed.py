"""Whoever was let in a while ago is believed where the ledger finds out by the way; nobody is for longer than they may."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from jobledger.http import believed as believed_module
from jobledger.http.believed import REMEMBERED_S, Believed
from jobledger.http.context import PRINCIPALS
from jobledger.ledger.domain.access_commands import AddPrincipal, ChangePrincipal, DisablePrincipal
from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.credential_commands import RevokeTokens
from jobledger.ledger.store.appender import EVENTS_A_PART
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from tests.cluster import session
from tests.http.serving import Api, Server, add_principal
from tests.world import ALICE, ORG, serving

ITSELF = ledger_itself(ORG)
PROGRESS = {"progress": 0.5}

CHANGES: dict[str, tuple[Callable[[], Command], int]] = {
    "its tokens are revoked": (lambda: RevokeTokens(caller=ITSELF, principal="bob"), 401),
    "it is disabled": (lambda: DisablePrincipal(caller=ITSELF, principal="bob"), 401),
    "its role is taken": (lambda: ChangePrincipal(caller=ITSELF, principal="bob", roles=("auditor",)), 403),
    "its domains are others": (
        lambda: ChangePrincipal(caller=ITSELF, principal="bob", home_domain="Sales", domains=("Sales",)),
        404,
    ),
    "it may do more": (lambda: ChangePrincipal(caller=ITSELF, principal="bob", roles=("operator", "admin")), 200),
    "somebody else is added": (lambda: AddPrincipal(caller=ITSELF, name="eve", roles=("client",)), 200),
}


@pytest.fixture
def asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often it was asked whose a token or a name is."""
    counts: Counter[str] = Counter()
    principals = server.app[PRINCIPALS]
    for kind in ("by_token", "by_name"):
        asking = getattr(principals, kind)

        async def count(*whom: Any, kind: str = kind, asking: Any = asking) -> Any:
            counts[kind] += 1
            return await asking(*whom)

        monkeypatch.setattr(principals, kind, count)
    return counts


@pytest.fixture
async def other(database_url: str, server: Server) -> AsyncIterator[Ledger]:
    """Another process on the same database."""
    async with serving(database_url) as other:
        yield other


@pytest.fixture
async def bob(server: Server) -> Api:
    """A client named bob, which has just reported the progress of the job 1."""
    api = server.api(await add_principal(server.ledger, ["operator"], name="bob", password="secret"))
    await api.register_running()
    await api.post("jobs/1/progress", PROGRESS)
    return api


async def size(ledger: Ledger) -> int:
    """How many events there are."""
    return (await ledger.recorder.head(ORG)).size


async def test_it_is_asked_once_who_reports_progress_and_each_time_who_reads(bob: Api, asked: Counter[str]) -> None:
    for _ in range(3):
        assert (await bob.post("jobs/1/progress", PROGRESS)).status == 200
    assert asked == {}
    for number in range(1, 3):
        assert (await bob.get("jobs/1")).status == 200
        assert asked == {"by_token": number}


async def test_of_a_password_too(server: Server, bob: Api, asked: Counter[str]) -> None:
    shown = {"Authorization": "Basic " + b64encode(b"bob:secret").decode()}
    answers = [(await bob.post("jobs/1/progress", PROGRESS, headers=shown)).status for _ in range(3)]
    assert answers == [200, 200, 200]
    # Of a bare name it is looked up in the path's org and in the default one.
    assert asked == {"by_name": 2}


@pytest.mark.parametrize("is_by_other", [False, True], ids=["by this process", "by another"])
@pytest.mark.parametrize(("change", "status"), CHANGES.values(), ids=list(CHANGES))
async def test_what_was_changed_counts_with_the_next_request(
    server: Server, other: Ledger, bob: Api, change: Callable[[], Command], status: int, *, is_by_other: bool
) -> None:
    """Nothing is recorded for who may no more, and what is recorded is so once."""
    await (other if is_by_other else server.ledger).execute(change())
    before = await size(server.ledger)

    for number in range(1, 3):
        assert (await bob.post("jobs/1/progress", PROGRESS)).status == status
        assert await size(server.ledger) == before + (number if status == 200 else 0)


async def test_many_jobs_at_once_are_managed_by_nobody_who_was_shut_out(
    server: Server, other: Ledger, bob: Api
) -> None:
    """Of so many it is decided at length: natively, and by manage of the workflow dialect."""
    reply = await bob.post("jobs", [{"type": "copy", "name": "n"}] * EVENTS_A_PART)
    assert reply.status == 201
    job_ids = [it["id"] for it in reply.document["jobs"]]
    requests = [
        (f"{server.url}/workflow/Global/jobs/manage", {"type": "Close", "jobIds": [str(it) for it in job_ids]}),
        (f"{server.url}/ledger/v1/{ORG}/jobs/manage", {"action": "reopen", "job_ids": job_ids}),
    ]
    headers = {"Content-Type": "application/json"}

    async def ask() -> list[int]:
        sent = [await bob.send("POST", url, data=json.dumps(body), headers=headers) for url, body in requests]
        return [it.status for it in sent]

    assert await ask() == [200, 200]
    await other.execute(DisablePrincipal(caller=ITSELF, principal="bob"))
    before = await size(server.ledger)
    assert await ask() == [401, 401]
    assert await size(server.ledger) == before


async def test_who_is_given_a_capability_has_it_at_once(server: Server, other: Ledger, bob: Api) -> None:
    """Though it was refused a moment before, by what was known of it."""
    assert (await bob.post("principals", {"name": "eve", "roles": ["client"]})).status == 403
    await other.execute(ChangePrincipal(caller=ITSELF, principal="bob", roles=("operator", "admin")))
    assert (await bob.post("principals", {"name": "eve", "roles": ["client"]})).status == 201


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("jobs/1/progress", {"progress": "much"}, 400),
        ("jobs/99/progress", PROGRESS, 404),
        ("jobs/1/no", PROGRESS, 404),
        ("principals", {"name": "eve", "roles": ["client"]}, 403),
    ],
)
async def test_whatever_else_is_told_only_to_who_is_let_in(
    server: Server, other: Ledger, bob: Api, path: str, body: Any, status: int
) -> None:
    assert (await bob.post(path, body)).status == status
    await other.execute(DisablePrincipal(caller=ITSELF, principal="bob"))
    reply = await bob.post(path, body)
    assert reply.status == 401
    assert reply.document["code"] == "unauthorized"


async def test_what_was_answered_under_a_key_is_told_only_to_who_is_let_in(
    server: Server, other: Ledger, bob: Api
) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await bob.post("jobs/1/progress", PROGRESS, headers=headers)
    again = await bob.post("jobs/1/progress", PROGRESS, headers=headers)
    assert (first.status, again.status, again.headers["Idempotent-Replayed"]) == (200, 200, "true")
    await other.execute(RevokeTokens(caller=ITSELF, principal="bob"))
    assert (await bob.post("jobs/1/progress", PROGRESS, headers=headers)).status == 401


async def test_nothing_is_recorded_of_a_caller_after_it_was_shut_out(
    server: Server, other: Ledger, bob: Api, database_url: str
) -> None:
    """Whenever another process does it, in the midst of many requests."""
    statuses: Counter[int] = Counter()
    is_shut_out = asyncio.Event()

    async def report() -> None:
        while not statuses[401]:
            statuses[(await bob.post("jobs/1/progress", PROGRESS)).status] += 1
            if statuses[200] > 20:
                is_shut_out.set()

    async def shut_out() -> None:
        await is_shut_out.wait()
        # Others who are added meanwhile make everybody be asked for anew.
        await other.execute(AddPrincipal(caller=ITSELF, name="eve", roles=("client",)))
        await other.execute(DisablePrincipal(caller=ITSELF, principal="bob"))

    await asyncio.gather(shut_out(), *(report() for _ in range(8)))

    assert set(statuses) == {200, 401}
    async with session(database_url) as connection:
        records = await connection.fetch("SELECT header FROM event WHERE org = $1 ORDER BY position", ORG)
    headers = [json.loads(it["header"]) for it in records]
    number = next(it["stream"] for it in headers if it["type"] == "principal.disabled")
    disabled_at = next(it["position"] for it in headers if it["type"] == "principal.disabled")
    assert max(it["position"] for it in headers if it["by"] == number) < disabled_at
    # Its job was registered and started; each report that was acknowledged is there once.
    reports = [it for it in headers if it["type"] == "job.progressed"]
    assert len(reports) == statuses[200] + 1


def test_nobody_is_believed_for_longer_than_what_was_shown_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now, newest = 100.0, 7
    monkeypatch.setattr(believed_module, "monotonic", lambda: now)
    believed = Believed(lambda _org: newest)
    believed.keep("Bearer a", ORG, ALICE, 7, None)
    believed.keep("Bearer b", ORG, ALICE, 7, 5.0)

    def known() -> list[bool]:
        return [believed.recall(f"Bearer {it}", ORG) is not None for it in "abc"]

    assert known() == [True, True, False]
    assert believed.recall("Bearer a", "default") is None
    now = 105.0
    assert known() == [True, False, False]
    now = 100.0 + REMEMBERED_S
    assert known() == [False, False, False]
    believed.keep("Bearer a", ORG, ALICE, 7, None)
    newest = 8
    assert known() == [False, False, False]
