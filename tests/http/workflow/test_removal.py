"""What was deleted is in no dump: neither what was said of a job, nor what was attached to it, nor what that was called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.store.attachments import CHUNK_BYTES
from tests.auditor import audit
from tests.cluster import session
from tests.dumps import dumped, is_in, kept_rows
from tests.http.serving import Reply
from tests.http.workflow.speaking import Workflow
from tests.world import ALICE, ORG

PERSON, PLACE, FILE_NAME = "Jane Doe", "Elm Street 5", "divorce.pdf"
SMALL, LARGE = b"the bytes of a secret plan", b"another secret" + b"x" * CHUNK_BYTES + b"its very end"
BYTES = [SMALL, LARGE[:100], b"its very end"]
GONE = [PERSON, PLACE, FILE_NAME, *map(bytes.decode, BYTES)]


async def by_dialect(workflow: Workflow) -> None:
    reply = await workflow.manage("Delete", "1")
    assert (reply.status, reply.document) == (200, {"success": True})


async def natively(workflow: Workflow) -> None:
    await workflow.server.ledger.execute(DeleteJob(caller=ALICE, job_id=1, reason="asked for"))


async def by_erasing(workflow: Workflow) -> None:
    await workflow.server.ledger.execute(EraseJob(caller=ALICE, job_id=1, reason="asked for"))


@pytest.mark.parametrize("remove", [by_dialect, natively, by_erasing])
async def test_what_was_removed_is_in_no_dump(
    workflow: Workflow, database_url: str, remove: Callable[[Workflow], Awaitable[None]]
) -> None:
    """Also where tables were analysed while it was there. Requests that brought it are answered as before under their keys, and
    bring nothing back; headers and the other job are as they were.
    """
    await workflow.create(await workflow.diagram(), numberOfJobs=2)
    said = {
        "location": {"geometryType": "Point", "geometry": PLACE},
        "extendedProperties": [{"identifier": "owner", "value": PERSON}],
    }

    async def send() -> list[Reply]:
        return [
            await workflow.post("jobs/1/update", said, headers={"Idempotency-Key": "say"}),
            await workflow.attach("1", SMALL, FILE_NAME, headers={"Idempotency-Key": "small"}),
            await workflow.attach("1", LARGE, f"large {FILE_NAME}", headers={"Idempotency-Key": "large"}),
        ]

    first = await send()
    assert [it.status for it in first] == [200, 200, 200]
    assert (await workflow.attach("2", b"what stays", "stays.txt")).status == 200
    async with session(database_url) as owner:
        await owner.execute("ANALYZE")
    before, headers = await dumped(database_url), await kept_rows(database_url)
    assert all(is_in(before, it) for it in [*GONE, "what stays", "stays.txt"])

    await remove(workflow)

    again = await send()
    assert [(it.status, it.headers["Idempotent-Replayed"]) for it in again if it.status == 200] == [
        (200, "true") for it in again if it.status == 200
    ]
    after = await dumped(database_url)
    assert [it for it in GONE if is_in(after, it)] == []
    assert all(is_in(after, it) for it in ("what stays", "stays.txt"))
    assert (await kept_rows(database_url))[: len(headers)] == headers
    await audit(database_url, ORG)
