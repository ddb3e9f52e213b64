"""Queues and their consumers: what goes over the wire, that nothing is lost, and that waiting costs nothing."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import orjson
import pytest

from jobledger.http.context import MESSAGE_WAITING
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.domain.job_work import AdvanceWork, BeatWork, ClaimWork, CompleteWork
from jobledger.ledger.domain.queue_commands import DropUnusedQueue
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from tests.cluster import session
from tests.http.serving import Reply, Server
from tests.http.space.speaking import A_QUEUE, JSON, Space, space_client
from tests.world import ALICE, ORG, serving

ITSELF = ledger_itself(ORG)


async def work_of(ledger: Ledger, queue: int = 1, **members: Any) -> int:
    """A job that the ledger does itself, and tells the queue of."""
    work = {"kind": "maintenance", "order": {}, "queue": f"queue-{queue}"}
    spec = JobSpec(type="Aggregate Maintenance", name="m", work=work, **members)
    outcome = await ledger.execute(RegisterJobs(caller=ALICE, jobs=[spec]))
    job_id: int = outcome.result["jobs"][0]["id"]
    return job_id


async def consumer(space: Space, queue: str, body: str | None = None) -> Reply:
    """A new consumer."""
    headers = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
    data = None if body is None else body.encode()
    reply = await space.send("POST", f"{queue}/pull-consumers", headers=headers, data=data)
    assert reply.status == 201, reply.body
    return reply


async def take(space: Space, link: str, wait_s: int = 0) -> Reply:
    """What a link has."""
    return await space.send("POST", link, headers={"Accept-Wait": str(wait_s)})


async def test_a_queue_is_made_shown_and_deleted(space: Space) -> None:
    made = await space.make_queue(A_QUEUE.format("q", "false"))
    assert made.status == 201
    url = f"{space.server.url}/api/hornet-q/queues/jms.queue.q"
    assert made.headers["Location"] == url

    again = await space.make_queue("<?xml version='1.0'?><queue name='q'><durable>true</durable></queue>")
    assert (again.status, again.body) == (412, b"Queue already exists.")

    for method in ("GET", "HEAD"):
        shown = await space.send(method, url)
        assert shown.status == 200
        assert {name: it for name, it in shown.headers.items() if name.startswith("msg-")} == {
            "msg-create": f"{url}/create",
            "msg-create-with-id": f"{url}/create/{{id}}",
            "msg-pull-consumers": f"{url}/pull-consumers",
            "msg-push-consumers": f"{url}/push-consumers",
        }
    assert (await space.send("GET", url)).body == b"<queue><name>jms.queue.q</name></queue>"

    assert (await space.send("DELETE", url)).status == 204
    for method in ("GET", "DELETE"):
        gone = await space.send(method, url)
        assert (gone.status, gone.body) == (404, b"Queue does not exist.")
    assert (await space.make_queue(A_QUEUE.format("q", "true"))).status == 201


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 129, "a/b"])
async def test_names_of_queues(space: Space, name: str) -> None:
    assert (await space.make_queue(A_QUEUE.format(name, "false"))).status == 400


async def test_a_queue_is_its_makers(space: Space, server: Server) -> None:
    url = await space.queue()
    other, admin = [await space_client(server, it, [it]) for it in ("client", "admin")]

    assert (await other.send("GET", url)).status == 404
    assert (await other.make_queue(A_QUEUE.format("q", "false"))).status == 201
    assert (await admin.send("GET", url)).status == 200


async def test_nobody_has_too_many(space: Space) -> None:
    for number in range(100):
        await space.queue(f"q{number}")

    assert (await space.make_queue(A_QUEUE.format("one-more", "false"))).status == 412


async def test_messages_are_taken_in_order(space: Space, server: Server) -> None:
    """And from the link before once more, for whoever lost an answer."""
    queue = await space.queue()
    made = await consumer(space, queue)
    first = f"{made.headers['Location']}/consume-next-1"
    assert made.headers["msg-consume-next"] == first

    empty = await take(space, first)
    assert (empty.status, empty.body) == (503, b"Timed out waiting for message receive.")
    assert empty.headers["msg-consume-next"] == first
    assert empty.headers["msg-consumer"] == made.headers["Location"]

    job_id = await work_of(server.ledger)
    await server.ledger.execute(
        ClaimWork(caller=ITSELF, job_id=job_id, claim=0, server="s", lapse=timedelta(seconds=15))
    )
    one = await take(space, first)
    assert (one.status, one.headers["Content-Type"]) == (200, "application/xml")
    assert one.body.decode() == (
        '<progress-update xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="parallel-progress">'
        '<job href="/api/space/job-management/jobs/1"/><taskId>1</taskId><jobName>m</jobName>'
        "<state>SCHEDULED</state><status>UNDETERMINED</status><percentage>0.0</percentage>"
        "<data><![CDATA[]]></data></progress-update>"
    )
    assert re.fullmatch(rf"{made.headers['Location']}/consume-next[1-9][0-9]*", one.headers["msg-consume-next"])
    assert (await take(space, first)).body == one.body
    two = await take(space, one.headers["msg-consume-next"])
    assert b"<state>INPROGRESS</state>" in two.body
    stale = await take(space, first)
    assert stale.status == 412
    assert stale.headers["msg-consume-next"] == two.headers["msg-consume-next"]
    shown = await space.send("HEAD", made.headers["Location"])
    assert (shown.status, shown.headers["msg-consume-next"]) == (204, two.headers["msg-consume-next"])

    for progress in (0.25, 0.5):
        await server.ledger.execute(AdvanceWork(caller=ITSELF, job_id=job_id, claim=1, progress=progress))
    await server.ledger.execute(BeatWork(caller=ITSELF, job_id=job_id, claim=1))
    await server.ledger.execute(CompleteWork(caller=ITSELF, job_id=job_id, claim=1))
    link, told = two.headers["msg-consume-next"], []
    while (reply := await take(space, link)).status == 200:
        told.append(reply.body.split(b"<percentage>")[1].split(b"<")[0])
        link = reply.headers["msg-consume-next"]
    assert told == [b"25.0", b"50.0", b"50.0", b"100.0"]
    assert (await space.send("DELETE", made.headers["Location"])).status == 204
    assert (await space.send("GET", made.headers["Location"])).status == 404


async def test_messages_are_acknowledged(space: Space, server: Server) -> None:
    queue = await space.queue()
    made = await consumer(space, queue, "autoAck=false")
    url = made.headers["Location"]
    assert made.headers["msg-acknowledge-next"] == f"{url}/acknowledge-next-1"
    await work_of(server.ledger)
    await work_of(server.ledger)

    one = await take(space, made.headers["msg-acknowledge-next"])
    link = re.fullmatch(rf"{url}/acknowledgement([1-9][0-9]*)", one.headers["msg-acknowledgement"])
    assert one.status == 200
    assert link is not None
    assert (await take(space, made.headers["msg-acknowledge-next"])).body == one.body
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    back = await space.send("POST", one.headers["msg-acknowledgement"], data=b"acknowledge=false", headers=form)
    assert back.status == 204
    again = await take(space, back.headers["msg-acknowledge-next"])
    assert again.body == one.body

    for _ in range(2):
        done = await space.send("POST", again.headers["msg-acknowledgement"], data=b"acknowledge=true", headers=form)
        assert (done.status, done.headers["msg-acknowledge-next"]) == (204, f"{url}/acknowledge-next{link[1]}")
    two = await take(space, done.headers["msg-acknowledge-next"])
    assert b"<taskId>2</taskId>" in two.body
    stale = await space.send("POST", f"{url}/acknowledgement0", data=b"acknowledge=true", headers=form)
    assert stale.status == 412


@pytest.mark.parametrize(
    ("said", "opposite"), [(b"acknowledge=true", b"acknowledge=false"), (b"acknowledge=false", b"acknowledge=true")]
)
async def test_what_was_said_of_a_message_is_not_unsaid(
    space: Space, server: Server, said: bytes, opposite: bytes
) -> None:
    """Who is told that a message is acknowledged, or put back, finds it so."""
    made = await consumer(space, await space.queue(), "autoAck=false")
    await work_of(server.ledger)
    link = (await take(space, made.headers["msg-acknowledge-next"])).headers["msg-acknowledgement"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    replies = [await space.send("POST", link, data=it, headers=form) for it in (said, said, opposite, said)]

    assert [it.status for it in replies] == [204, 204, 412, 204]
    left = await take(space, replies[0].headers["msg-acknowledge-next"])
    assert left.status == (503 if said == b"acknowledge=true" else 200)


async def test_two_consumers_never_have_the_same_message(space: Space, server: Server) -> None:
    queue = await space.queue()
    consumers = [await consumer(space, queue) for _ in range(2)]
    for _ in range(6):
        await work_of(server.ledger)

    async def drain(link: str) -> list[int]:
        taken = []
        while (reply := await space.send("POST", link, headers=JSON)).status == 200:
            taken.append(orjson.loads(reply.body)["progress-update"]["taskId"])
            link = reply.headers["msg-consume-next"]
        return taken

    taken = await asyncio.gather(*(drain(it.headers["msg-consume-next"]) for it in consumers))

    assert sorted(number for it in taken for number in it) == [1, 2, 3, 4, 5, 6]
    assert all(it == sorted(it) for it in taken)


async def test_one_who_waits_is_given_what_comes(space: Space, server: Server) -> None:
    queue = await space.queue()
    made = await consumer(space, queue)
    waiting = asyncio.create_task(take(space, made.headers["msg-consume-next"], 30))
    while not waiting_count(server):
        await asyncio.sleep(0)

    await work_of(server.ledger)

    assert (await asyncio.wait_for(waiting, 5)).status == 200


async def test_what_another_server_puts_comes_too(space: Space, server: Server, database_url: str) -> None:
    queue = await space.queue()
    made = await consumer(space, queue)
    waiting = asyncio.create_task(take(space, made.headers["msg-consume-next"], 30))
    while not waiting_count(server):
        await asyncio.sleep(0)

    async with serving(database_url) as elsewhere:
        await work_of(elsewhere)

    assert (await asyncio.wait_for(waiting, 5)).status == 200


async def test_an_idle_consumer_is_dropped_and_made_again(space: Space, server: Server, database_url: str) -> None:
    """What it held is had by another; what it asks to go on behind it has."""
    queue = await space.queue()
    idle, other = [await consumer(space, queue) for _ in range(2)]
    await work_of(server.ledger)
    await work_of(server.ledger)
    one = await take(space, idle.headers["msg-consume-next"])
    async with session(database_url) as connection:
        await connection.execute(
            "UPDATE consumer SET used_at = used_at - interval '301 seconds' WHERE id = $1",
            idle.headers["Location"].rpartition("/")[2],
        )

    assert (await space.send("GET", idle.headers["Location"])).status == 404
    again = await take(space, other.headers["msg-consume-next"])
    assert again.body == one.body
    back = await take(space, one.headers["msg-consume-next"])
    assert b"<taskId>2</taskId>" in back.body


async def test_a_queue_that_nobody_uses_is_dropped(space: Space, server: Server, database_url: str) -> None:
    await space.queue("brief")
    await space.queue("durable", durable=True)
    ledger = server.ledger
    assert not (await ledger.execute(DropUnusedQueue(caller=ITSELF, queue_id=1))).result["dropped"]
    async with session(database_url) as connection:
        await connection.execute("INSERT INTO queue_use SELECT $1, 1, clock_timestamp() - interval '25 hours'", ORG)
        await connection.execute("INSERT INTO queue_use SELECT $1, 2, clock_timestamp() - interval '25 hours'", ORG)

    for queue_id in (1, 2):
        # By when it was made.
        assert not (await ledger.execute(DropUnusedQueue(caller=ITSELF, queue_id=queue_id))).result["dropped"]


async def test_a_queue_that_is_gone_fails_nothing(space: Space, server: Server) -> None:
    url = await space.queue()
    job_id = await work_of(server.ledger)
    await space.send("DELETE", url)

    await server.ledger.execute(
        ClaimWork(caller=ITSELF, job_id=job_id, claim=0, server="s", lapse=timedelta(seconds=15))
    )

    assert (await space.native.job(job_id))["state"] == "RUNNING"


def waiting_count(server: Server) -> int:
    """How many wait for messages here."""
    return sum(map(len, server.app[MESSAGE_WAITING]._waiters.values()))
