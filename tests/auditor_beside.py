"""What the auditor reads beside the ledger: each row there is one that the events tell of, and the other way round."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import asyncpg

from jobledger.ledger.domain.access import Principal
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.job import Job


async def audit_credentials(
    connection: asyncpg.Connection[asyncpg.Record], org: str, aggregates: Iterable[Aggregate]
) -> None:
    """Each credential is one that counts by the events of its principal, and the other way round: none is left over."""
    counting = {
        (credential, it.principal_id)
        for it in aggregates
        if isinstance(it, Principal)
        for credential in (*it.tokens, it.password)
        if credential is not None
    }
    records = await connection.fetch("SELECT id, principal_id FROM credential WHERE org = $1", org)
    assert {(str(record["id"]), record["principal_id"]) for record in records} == counting


async def audit_attachments(
    connection: asyncpg.Connection[asyncpg.Record], org: str, aggregates: Iterable[Aggregate]
) -> None:
    """What the events say is attached is there, byte for byte, and nothing else is recorded."""
    attached = {
        attachment_id: (it.job_id, said)
        for it in aggregates
        if isinstance(it, Job)
        for attachment_id, said in (it.attachments or {}).items()
    }
    records = await connection.fetch("SELECT id, job_id, size_bytes, chunk_count FROM attachment WHERE org = $1", org)
    assert {str(it["id"]): it["job_id"] for it in records} == {name: job for name, (job, _) in attached.items()}
    for it in records:
        chunks = await connection.fetch(
            "SELECT number, body FROM attachment_chunk WHERE org = $1 AND id = $2 ORDER BY number", org, it["id"]
        )
        assert [chunk["number"] for chunk in chunks] == list(range(1, it["chunk_count"] + 1))
        body = b"".join(chunk["body"] for chunk in chunks)
        said = attached[str(it["id"])][1]
        assert (len(body), sha256(body).hexdigest()) == (said["size_bytes"], said["sha256"])
        assert it["size_bytes"] == said["size_bytes"]
