"""What is refused is told by events, at most one a minute of a principal and kind, and shown by the audit view."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest

from jobledger.http.context import DENIED
from jobledger.ledger.domain.access_commands import DisablePrincipal
from jobledger.ledger.domain.denial import LOGIN, Asked
from jobledger.ledger.domain.hold_commands import PlaceHold
from jobledger.ledger.errors import OutcomeUnknownError
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.work import denied_attempts as denied_module
from jobledger.ledger.work.denied_attempts import MOST_LOGINS, MOST_OF_ORG, DeniedAttempts, Key
from jobledger.projections.kind_query import KindQuery
from tests.http.serving import OWNER_PASSWORD, Api, Server, add_principal
from tests.http.targets import GUARDED
from tests.ledger.test_watch import until
from tests.world import ALICE, ORG, held_head, serving


@pytest.fixture
async def recording(server: Server) -> AsyncIterator[DeniedAttempts]:
    """The server records what it refuses."""
    denied = server.app[DENIED]
    await denied.start()
    yield denied
    await denied.stop()


async def events(ledger: Ledger, org: str = ORG) -> list[dict[str, Any]]:
    """What was told: headers with ``data`` and what else the contents have."""
    scanned = [it async for it in ledger.recorder.scan(org)]
    told = [(it.envelope(), orjson.loads(it.content or b"{}")) for it in scanned]
    return [{**header, **content} for header, content in told if header["type"] == "access.denied"]


async def told(ledger: Ledger, count: int, org: str = ORG) -> list[dict[str, Any]]:
    """As ``events``, once so many attempts have been told."""

    async def is_told() -> bool:
        counts: list[int] = [it["data"]["count"] for it in await events(ledger, org)]
        return sum(counts) >= count

    await until(is_told)
    return await events(ledger, org)


def basic(login: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{login}:{password}".encode()).decode()}


async def test_what_is_refused_in_each_dialect_is_in_the_audit(server: Server, recording: DeniedAttempts) -> None:
    """As often as it was refused, with what was asked, whence and by which dialect; in JSON, XML and CSV."""
    token = await add_principal(server.ledger, [], name="nobody", password=OWNER_PASSWORD)
    auditor = await server.client("auditor")
    refused: Counter[str] = Counter()
    for target in GUARDED:
        if target.last == "Logout":
            continue
        shown = target.manners.let_in(token, f"nobody@{ORG}", OWNER_PASSWORD)
        headers = {**shown, **({"Content-Type": target.media_type} if target.media_type else {})}
        options = {} if target.content is None else {"data": target.content}
        reply = await Api(server.session, server.url).send(
            target.method, server.url + target.path, headers=headers, **options
        )
        is_refused = target.manners.statuses(reply) == {target.manners.status(target, 403)}
        # Of several jobs each is refused, in an answer of another status.
        if is_refused or b"InsufficientPrivileges" in reply.body:
            refused[target.manners.dialect.name] += len(reply.lines) if target.is_commands else 1
    assert min(refused.values()) > 0
    assert len(refused) == 6

    await recording.stop()
    found = await events(server.ledger)

    assert {it["data"]["kind"] for it in found} == {"not_allowed"}
    assert sum(it["data"]["count"] for it in found) == refused.total()
    assert found[0]["by"] == "principal-1"
    page = (await auditor.get("audit", {"outcome": "denied"})).document["audit"]
    assert [it["position"] for it in page] == [it["position"] for it in found]
    assert (page[0]["principal"], page[0]["outcome"], page[0]["kind"]) == ("nobody", "denied", "not_allowed")
    xml = await auditor.get("audit", {"outcome": "denied"}, headers={"Accept": "application/xml"})
    assert xml.body.count(b"<outcome>denied</outcome>") == len(page)
    csv = await auditor.get("audit", {"outcome": "denied"}, headers={"Accept": "text/csv"})
    assert csv.body.count(b"\r\n") == 1 + len(page)
    assert b",nobody,native,127.0.0.1," in csv.body
    done = (await auditor.get("audit", {"outcome": "done"})).document["audit"]
    whole = (await auditor.get("audit", {"limit": "1000"})).document["audit"]
    assert sorted((*done, *page), key=lambda it: it["position"]) == whole


async def test_a_thousand_refusals_are_one_event_and_their_count_in_the_next(
    server: Server, recording: DeniedAttempts
) -> None:
    """The first at once; what is counted at the stop is told by the stop."""
    client = await server.client("auditor")
    assert (await client.post("jobs", {"type": "t", "name": "n"})).status == 403
    await told(server.ledger, 1)

    for _ in range(10):
        replies = await asyncio.gather(*(client.post("jobs", {"type": "t", "name": "n"}) for _ in range(100)))
        assert {it.status for it in replies} == {403}
    assert len(await events(server.ledger)) == 1
    await recording.stop()

    first, second = await events(server.ledger)
    assert (first["data"]["count"], second["data"]["count"]) == (1, 1000)
    assert second["data"]["asked"] == [
        {
            "what": "POST /ledger/v1/{org}/jobs",
            "needs": "jobs.register",
            "via": "native",
            "from": "127.0.0.1",
            "count": 1000,
        }
    ]
    assert (second["via"], second["from"], second["by"]) == ("native", "127.0.0.1", "principal-1")
    assert first["data"]["last_at"] <= second["data"]["first_at"] < second["data"]["last_at"]


async def test_two_servers_tell_no_more_than_one_and_count_all(ledger: Ledger, unaudited_url: str) -> None:
    """Whichever counted it: between two events of a kind there is the interval, and no attempt is lost."""
    interval = timedelta(seconds=1)
    async with serving(unaudited_url) as other:
        servers = [DeniedAttempts(it, KindQuery(it.database).kinds, interval) for it in (ledger, other)]
        for number in range(300):
            servers[number % 2].note(Key(ORG, 7, "not_allowed"), Asked("GET /x", via="native"))
            servers[number % 2].note(Key(ORG, 8, "not_allowed"), Asked("GET /x", via="native"))
            if number == 20:
                for server in servers:
                    await server.start()
            if number % 20 == 0:
                await asyncio.sleep(0.01)
        found = await told(ledger, 600)
        for server in servers:
            await server.stop()

    assert await events(ledger) == found
    for stream in {it["stream"] for it in found}:
        own = [it for it in found if it["stream"] == stream]
        assert sum(it["data"]["count"] for it in own) == 300
        at = [datetime.fromisoformat(it["recorded_at"]) for it in own]
        assert all(later - earlier >= interval for earlier, later in pairwise(at))


async def test_a_ledger_that_takes_nothing_holds_up_no_refusal(
    server: Server, recording: DeniedAttempts, database_url: str
) -> None:
    """Nor another org's record. What was refused meanwhile is told when it takes something again."""
    await server.ledger.create_org("globex")
    client, other = await server.client("auditor"), await server.client("auditor", org="globex")
    async with held_head(database_url):
        async with asyncio.timeout(3):
            for _ in range(20):
                assert (await client.post("jobs", {"type": "t", "name": "n"})).status == 403
            assert (await other.post("jobs", {"type": "t", "name": "n"})).status == 403
            await told(server.ledger, 1, "globex")
        assert await events(server.ledger) == []

    await recording.stop()
    assert sum(it["data"]["count"] for it in await events(server.ledger)) == 20


async def test_a_stop_waits_no_longer_than_it_says(
    server: Server, recording: DeniedAttempts, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denied_module, "PATIENCE_S", 0.2)
    client = await server.client("auditor")
    async with held_head(database_url):
        await client.post("jobs", {"type": "t", "name": "n"})
        async with asyncio.timeout(2):
            await recording.stop()

    assert recording.pending_count == 1


async def test_an_answer_does_not_depend_on_the_record(
    server: Server, recording: DeniedAttempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where noting fails it is logged, and the refusal is the same, byte for byte."""
    client = await server.client("auditor")
    before = await client.post("jobs", {"type": "t", "name": "n"})

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("noting fails")

    monkeypatch.setattr(recording, "note", fail)
    after = await client.post("jobs", {"type": "t", "name": "n"})

    assert (before.status, before.shown) == (after.status, after.shown)


async def test_another_org_is_not_told(server: Server, recording: DeniedAttempts) -> None:
    """Who asks for what is another org's, or nobody's, is told to its own org, and the other is not named."""
    await server.ledger.create_org("globex")
    client = await server.client("operator")
    other = replace(client, org="globex")
    sizes = (await server.ledger.recorder.head("globex")).size

    for path in ("jobs", "jobs/1", "no/such/path"):
        assert (await other.get(path)).status == (await replace(client, org="nowhere").get(path)).status == 404

    [first, *_] = found = await told(server.ledger, 1)
    await recording.stop()
    found = await events(server.ledger)
    assert sum(it["data"]["count"] for it in found) == 6
    assert {it["data"]["kind"] for it in found} == {"org"}
    assert first["data"]["asked"][0]["what"] == "GET /ledger/v1/{org}/jobs"
    assert b"globex" not in orjson.dumps(found)
    assert b"no/such" not in orjson.dumps(found)
    assert (await server.ledger.recorder.head("globex")).size == sizes


async def test_failed_logins_of_those_who_are_known(server: Server, recording: DeniedAttempts) -> None:
    """By the ledger, as nobody knows who it was; of an unknown name nothing is told, so that no stranger fills a ledger."""
    for name in ("ann", "gone"):
        await add_principal(server.ledger, ["client"], name=name, password="secret")
    await server.ledger.execute(DisablePrincipal(caller=ledger_itself(ORG), principal="gone"))
    auditor = await server.client("auditor")
    size = (await server.ledger.recorder.head(ORG)).size

    for login, password in (("ann", "wrong"), (f"ann@{ORG}", "worse"), ("gone", "secret"), ("nobody", "x")):
        reply = await Api(server.session, server.url, ORG, basic(login, password)).get("jobs")
        assert reply.status == 401
    body = {"username": f"ann@{ORG}", "password": "wrong"}
    assert (await server.api().send("POST", f"{server.url}/api/auth/token", json=body)).status == 400

    await told(server.ledger, 2)
    await recording.stop()
    found = await events(server.ledger)
    assert {(it["by"], it["data"]["kind"]) for it in found} == {("ledger", "login")}
    counts = Counter[int]()
    for it in found:
        counts[it["data"]["principal_id"]] += it["data"]["count"]
    assert counts == {1: 3, 2: 1}
    assert {asked["via"] for it in found for asked in it["data"]["asked"]} == {"native", "fetches"}
    assert (await server.ledger.recorder.head(ORG)).size == size + len(found)
    page = (await auditor.get("audit", {"principal_id": "1", "outcome": "denied"})).document["audit"]
    assert {(it["principal"], it["by"], it["kind"]) for it in page} == {("ann", "ledger", "login")}
    assert b"wrong" not in orjson.dumps(found)


async def test_strangers_fill_no_ledger(ledger: Ledger) -> None:
    """However many names are tried, so many events come of it in an interval; and what principals are refused is told still."""
    denied = DeniedAttempts(ledger, KindQuery(ledger.database).kinds)
    for number in range(1, MOST_OF_ORG + 100):
        denied.note(Key(ORG, number, LOGIN), Asked("GET /x", via="native"))
    denied.note(Key(ORG, 5, "not_allowed"), Asked("GET /x", via="native"))
    assert denied.pending_count == MOST_OF_ORG + 1  # of more principals than are counted

    await denied.start()
    found = await told(ledger, MOST_LOGINS + 1)
    await asyncio.sleep(3 * denied_module.GATHERING_S)

    assert await events(ledger) == found
    assert Counter(it["data"]["kind"] for it in found) == {"login": MOST_LOGINS, "not_allowed": 1}
    await denied.stop()
    assert len(await events(ledger)) == MOST_OF_ORG + 1


async def test_failed_logins_that_wait_are_told_one_an_interval(ledger: Ledger) -> None:
    """Of all principals of the org together; each with its count."""
    interval = timedelta(seconds=0.2)
    denied = DeniedAttempts(ledger, KindQuery(ledger.database).kinds, interval)
    for number in range(1, 2 * MOST_LOGINS + 1):
        denied.note(Key(ORG, number, LOGIN), Asked("GET /x", via="native"), count=3)
    await denied.start()

    found = await told(ledger, 3 * (MOST_LOGINS + 4))
    await denied.stop()

    at = [datetime.fromisoformat(it["recorded_at"]) for it in found]
    assert at[MOST_LOGINS + 3] - at[0] >= 3 * interval
    assert sum(it["data"]["count"] for it in await events(ledger)) == 3 * 2 * MOST_LOGINS


async def test_what_a_rule_forbids_is_told_with_the_job(server: Server, recording: DeniedAttempts) -> None:
    """Deleting what is held, of one job, in a line of many commands and of several at once."""
    api = await server.client("operator", "auditor")
    held, free = [await api.register_running() for _ in range(2)]
    for job_id in (held, free):
        await api.post(f"jobs/{job_id}/succeed")
    await server.ledger.execute(PlaceHold(caller=ALICE, name="case 6", reason="a lawsuit", job_ids=(held,)))

    assert (await api.post(f"jobs/{free}/start")).status == 409  # it has ended: that is how things stand
    assert (await api.post(f"jobs/{held}/delete", {"reason": "space"})).status == 409
    [line] = (await api.commands({"command": "delete", "id": held, "reason": "space"})).lines
    assert line["status"] == 409
    [line] = (await api.commands({"command": "erase", "id": free, "reason": "space"})).lines
    assert line["status"] == 403
    many = {"action": "delete", "job_ids": [held, free], "reason": "space"}
    assert (await api.post("jobs/manage", {**many, "all_or_none": True})).status == 409
    assert len((await api.post("jobs/manage", many)).document["refused"]) == 1

    await told(server.ledger, 1)
    await recording.stop()
    asked: Counter[tuple[str, str, int]] = Counter()
    for it in await events(server.ledger):
        for one in it["data"]["asked"]:
            asked[it["data"]["kind"], one["what"], one["job_id"]] += one["count"]
    assert asked == {
        ("job_is_held", "POST /ledger/v1/{org}/jobs/{job_id}/delete", held): 1,
        ("job_is_held", "POST /ledger/v1/{org}/commands delete", held): 1,
        ("job_is_held", "POST /ledger/v1/{org}/jobs/manage", held): 2,
        ("not_allowed", "POST /ledger/v1/{org}/commands erase", free): 1,
    }
    on_held = (await api.get("audit", {"job_id": str(held)})).document["audit"]
    assert {it["type"] for it in on_held} >= {"job.registered", "job.hold_placed", "access.denied"}
    assert [it["position"] for it in on_held] == sorted(it["position"] for it in on_held)
    on_free = (await api.get("audit", {"job_id": str(free), "outcome": "denied"})).document["audit"]
    assert [(it["kind"], it["job_id"]) for it in on_free] == [("not_allowed", free)]
    pages, parameters = [], {"limit": "1", "job_id": str(held)}
    while True:
        page = (await api.get("audit", parameters)).document
        pages += page["audit"]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    assert pages == on_held


async def test_a_job_outside_ones_domains_is_told_one_that_is_nowhere_is_not(
    server: Server, recording: DeniedAttempts
) -> None:
    """Read or changed; the answers are those for what is nowhere."""
    api, sales = await server.client("operator", "auditor"), await server.client("operator", domains=("Sales",))
    job_id = await api.register()

    for method, path in (("GET", "jobs/{}"), ("GET", "jobs/{}/events"), ("POST", "jobs/{}/cancel")):
        there = await sales.send(method, sales.path(path.format(job_id)))
        nowhere = await sales.send(method, sales.path(path.format(9)))
        assert there.status == nowhere.status == 404
        assert there.shown.replace(f"{job_id}", "ID") == nowhere.shown.replace("9", "ID")

    await told(server.ledger, 1)
    await recording.stop()
    found = await events(server.ledger)
    assert {it["data"]["kind"] for it in found} == {"domain"}
    assert [one["job_id"] for it in found for one in it["data"]["asked"]] == [job_id] * 3


async def test_an_event_whose_outcome_was_unknown_is_recorded_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed and did not happen, failed but did happen: the attempts are told once either way, and those that came since."""
    monkeypatch.setattr(denied_module, "RETRY_S", 0.05)
    execute, calls = ledger.execute, 0
    denied = DeniedAttempts(ledger, KindQuery(ledger.database).kinds, timedelta(seconds=0.5))

    async def fail_at_first(command: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            await execute(command)
        if calls <= 2:
            denied.note(Key(ORG, 7, "not_allowed"), Asked("GET /x", via="native"))
            raise OutcomeUnknownError("unknown")
        return await execute(command)

    monkeypatch.setattr(ledger, "execute", fail_at_first)
    denied.note(Key(ORG, 7, "not_allowed"), Asked("GET /x", via="native"))
    await denied.start()

    found = await told(ledger, 3)
    await denied.stop()
    assert [it["data"]["count"] for it in found] == [1, 2]


async def test_of_many_different_things_the_first_few_are_told_one_by_one(ledger: Ledger) -> None:
    denied = DeniedAttempts(ledger, KindQuery(ledger.database).kinds)
    await denied.start()
    for number in range(1, 101):
        denied.note(Key(ORG, 7, "not_allowed"), Asked("GET /x", number, via="native"), count=2)
    await denied.stop()

    found = await events(ledger)
    assert sum(it["data"]["count"] for it in found) == 200
    assert [one["job_id"] for it in found for one in it["data"]["asked"]] == list(range(1, 11))
