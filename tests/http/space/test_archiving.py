"""Archiving and purging as this dialect asks for it: both requests, schedules, queues, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from jobledger.http.space.archiving import host, read_schedule
from jobledger.ledger.domain.job_work import ClaimWork
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.store.ledger import ledger_itself
from tests.cluster import session
from tests.http.serving import Reply, Server
from tests.http.space.speaking import JSON, MT, Space
from tests.world import ORG

ITSELF = ledger_itself(ORG)
PASSWORD = "a password that is nowhere"
LOCAL = (
    "<archive-purge-jobs-local-request><purge-from-all-domains>false</purge-from-all-domains>"
    "<archive-jobs-before>1767225600000</archive-jobs-before><job-type>Delete Script</job-type>"
    "</archive-purge-jobs-local-request>"
)
REMOTE = (
    "<archive-purge-jobs-remote-request><archive-jobs-before>1767225600000</archive-jobs-before>"
    "<job-type>Delete Script</job-type><purge-from-all-domains>false</purge-from-all-domains><user>archiver</user>"
    f"<password>{PASSWORD}</password><ip>192.0.2.7</ip><path>/srv/archive/</path></archive-purge-jobs-remote-request>"
)
LOCAL_TYPE = f"{MT}archive-purge-jobs-local-request+xml;version=3;charset=UTF-8"
REMOTE_TYPE = f'{MT}archive-purge-jobs-remote-request+xml;charset=UTF-8;version="3"'
AT = "/archive-purge-jobs"
TASK = '<task href="/api/space/job-management/jobs/1"><id>1</id></task>'


async def order_of(server: Server, job_id: int) -> dict[str, Any]:
    """What the job is to do."""
    work = (await server.ledger.job(ORG, job_id)).work
    assert work is not None
    return dict(work["order"])


@pytest.mark.parametrize("media_type", [LOCAL_TYPE, "application/xml", "text/xml"])
async def test_a_local_request(space: Space, server: Server, media_type: str) -> None:
    reply = await space.post(AT, LOCAL, media_type, headers={"Accept": f"{MT}task+xml;version=1"})

    assert (reply.status, reply.body.decode()) == (202, TASK)
    assert reply.headers["Content-Type"] == f"{MT}task+xml; version=1; charset=UTF-8"
    assert await order_of(server, 1) == {
        "ended_before": "2026-01-01T00:00:00Z",
        "purge": True,
        "type": "Delete Script",
        "domains": ["Global"],
    }
    job = await space.get("/jobs/1")
    assert b"<name>Archive/Purge Jobs-1</name>" in job.body
    assert b"<owner>super</owner>" in job.body


async def test_a_request_in_json(space: Space, server: Server) -> None:
    body = {
        "archive-purge-jobs-local-request": {"archive-jobs-before": 1767225600000, "purge-from-all-domains": "true"}
    }

    reply = await space.post(
        AT,
        orjson.dumps(body).decode(),
        f"{MT}archive-purge-jobs-local-request+json;version=3",
        headers={"Accept": f"{MT}task+json;version=1"},
    )

    assert reply.status == 202
    assert orjson.loads(reply.body) == {"task": {"@href": "/api/space/job-management/jobs/1", "id": 1}}
    assert "domains" not in await order_of(server, 1)


async def test_a_remote_request(space: Space, server: Server, database_url: str) -> None:
    """The password is in no event, and no row but its own, encrypted."""
    reply = await space.post(AT, REMOTE, REMOTE_TYPE, headers={"Idempotency-Key": "k"})
    again = await space.post(AT, REMOTE, REMOTE_TYPE, headers={"Idempotency-Key": "k"})

    assert (reply.status, reply.body.decode()) == (202, TASK)
    assert again.body == reply.body
    destination = (await order_of(server, 1))["destination"]
    secret = destination.pop("secret")
    assert destination == {"host": "192.0.2.7", "port": 22, "path": "/srv/archive/", "user": "archiver"}
    async with session(database_url) as connection:
        assert [str(it["id"]) for it in await connection.fetch("SELECT id FROM secret")] == [secret]
        for table in ("content", "event", "job", "idempotency", "secret"):
            rows = await connection.fetch(f"SELECT t::text AS row FROM {table} AS t")
            assert not any(PASSWORD in it["row"] or PASSWORD.encode().hex() in it["row"] for it in rows)


async def test_a_refused_remote_request_leaves_no_secret(space: Space, database_url: str) -> None:
    for host_name in ("127.0.0.1", "localhost", "[::1]:22", "169.254.1.1", "224.0.0.1"):
        refused = await space.post(AT, REMOTE.replace("192.0.2.7", host_name), REMOTE_TYPE)
        assert refused.status == 400
        assert PASSWORD.encode() not in refused.body

    async with session(database_url) as connection:
        assert not await connection.fetch("SELECT FROM secret")


def without(name: str) -> str:
    """The remote request without an element."""
    begin, end = REMOTE.index(f"<{name}>"), REMOTE.index(f"</{name}>") + len(name) + 3
    return REMOTE[:begin] + REMOTE[end:]


def changed(old: str, new: str) -> str:
    """The local request with something else."""
    assert old in LOCAL
    return LOCAL.replace(old, new)


BAD: list[tuple[str, str, int]] = [
    *((without(it), "application/xml", 400) for it in ("archive-jobs-before", "user", "password", "ip", "path")),
    (changed("1767225600000", ""), "application/xml", 400),
    (changed("1767225600000", "soon"), "application/xml", 400),
    (changed("1767225600000", "-1"), "application/xml", 400),
    (changed("1767225600000", "99999999999999"), "application/xml", 400),
    (changed(">false<", ">maybe<"), "application/xml", 400),
    (changed("<job-type>", "<other/><job-type>"), "application/xml", 400),
    (REMOTE.replace("/srv/archive/", "srv"), "application/xml", 400),
    (REMOTE.replace("/srv/archive/", "/srv&#10;x"), "application/xml", 400),
    (REMOTE.replace("192.0.2.7", "a b"), "application/xml", 400),
    (
        '{"archive-purge-jobs-remote-request":{"archive-jobs-before":1,"user":"u","password":"p","ip":"192.0.2.7","path":"/\\u0000"}}',
        "application/json",
        400,
    ),
    (
        '{"archive-purge-jobs-local-request":{"archive-jobs-before":1},"archive-purge-jobs-remote-request":{}}',
        "application/json",
        400,
    ),
    ("{}", "application/json", 400),
    ("<!DOCTYPE x []>" + LOCAL, "application/xml", 400),
    (LOCAL, REMOTE_TYPE, 400),
    (LOCAL, f"{MT}archive-purge-jobs-local-request+xml;version=2", 415),
    (LOCAL, f"{MT}cancel-jobs-request+xml", 415),
    (LOCAL, "text/plain", 415),
    ("<other/>", "application/xml", 400),
]


@pytest.mark.parametrize(("body", "media_type", "status"), BAD)
async def test_what_is_refused(space: Space, server: Server, body: str, media_type: str, status: int) -> None:
    size = (await server.ledger.recorder.head(ORG)).size

    reply = await space.post(AT, body, media_type)

    assert (reply.status, reply.headers["Content-Type"]) == (status, "text/plain; charset=utf-8"), reply.body
    assert (await server.ledger.recorder.head(ORG)).size == size
    assert PASSWORD.encode() not in reply.body


@pytest.mark.parametrize(
    "query",
    [
        "queue=http://server/api/hornet-q/queues/jms.queue.none",
        "schedule=(at(0+0+0+30+2+?+2027))",
        "schedule=(at(0+0+0+1+1+?+2020))",
        "schedule=(at(x))",
        "schedule=(after(1))",
        "schedule=now",
        "schedule=(after(00+01)",
        "schedule=at(5+0+0+*+*+?+*))",
        "schedule=(after(00+01))&schedule-time=(after(00+01))",
        "queue=&queue-url=",
    ],
)
async def test_a_bad_query_records_nothing(space: Space, server: Server, query: str) -> None:
    size = (await server.ledger.recorder.head(ORG)).size

    assert (await space.post(f"{AT}?{query}", LOCAL, LOCAL_TYPE)).status == 400

    assert (await server.ledger.recorder.head(ORG)).size == size


def test_schedules() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    assert read_schedule("(at(0 30 14 9 5 ? 2027))", now) == (datetime(2027, 5, 9, 14, 30, tzinfo=UTC), None)
    assert read_schedule(" ( at( 5 0 0 * * ? * ) ) ", now) == (
        datetime(2026, 11, 23, 0, 0, 5, tzinfo=UTC),
        "5 0 0 * * ? *",
    )
    assert read_schedule("(after(01 30))", now) == (now + timedelta(hours=1, minutes=30), None)
    assert read_schedule(None, now) == (None, None)
    with pytest.raises(InvalidCommandError):
        read_schedule("(after(01 60))", now)


def test_hosts() -> None:
    assert host.read("192.0.2.7") == ("192.0.2.7", 22)
    assert host.read("archive.example.org:2222") == ("archive.example.org", 2222)
    assert host.read("[2001:db8::7]:2222") == ("2001:db8::7", 2222)
    assert host.read("2001:db8::7") == ("2001:db8::7", 22)
    for wrong in ("", "[192.0.2.7]", "a:b", "a:0", "a:99999", "[::1", "[::1]x", "-x", "a..b", "x;y", "a/b"):
        with pytest.raises(ValueError, match="is n"):
            host.read(wrong)


async def claim(server: Server, job_id: int) -> dict[str, Any]:
    """What becomes of a server's claim."""
    command = ClaimWork(caller=ITSELF, job_id=job_id, claim=0, server="s", lapse=timedelta(seconds=15))
    return (await server.ledger.execute(command)).result


async def scheduled(space: Space, schedule: str) -> Reply:
    """An archiving at some time, told to a queue."""
    await space.queue()
    query = f"schedule={schedule.replace(' ', '+')}&queue=https://10.1.2.3:99/api/hornet-q/queues/jms.queue.q"
    reply = await space.post(f"{AT}?{query}", LOCAL, LOCAL_TYPE)
    assert reply.status == 202, reply.body
    return reply


async def test_a_job_that_waits_for_its_time_is_not_taken_up(space: Space, server: Server) -> None:
    await scheduled(space, "(after(01 00))")

    assert not (await claim(server, 1))["claimed"]
    assert (await space.native.job(1))["state"] == "SCHEDULED"


async def test_each_occurrence_registers_the_next(space: Space, server: Server, database_url: str) -> None:
    """With its own id, the same owner, domain and schedule."""
    await scheduled(space, "(at(* * * * * ? *))")
    while not (await claim(server, 1))["claimed"]:
        pass

    jobs = orjson.loads(
        (
            await space.get("/jobs?fields=(id,name,owner,domain-id,schedule-string,repeat-cron,mo-state)", headers=JSON)
        ).body
    )
    shown = [{name: it for name, it in job.items() if name[0] != "@"} for job in jobs["jobs"]["job"]]
    same = {
        "owner": "super",
        "schedule-string": "(at(* * * * * ? *))",
        "repeat-cron": "* * * * * ? *",
        "domain-id": 65537,
    }
    assert shown == [
        {"id": 1, "name": "Archive/Purge Jobs-1", "mo-state": "INPROGRESS", **same},
        {"id": 2, "name": "Archive/Purge Jobs-2", "mo-state": "SCHEDULED", **same},
    ]
    assert await order_of(server, 2) == await order_of(server, 1)
    assert b"<recurrence><startTime>" in (await space.get("/jobs/2/progress-update")).body

    assert (await space.post("/jobs/2/cancel")).status == 200
    assert not (await claim(server, 2))["claimed"]
    assert await space.ids() == [1, 2]
