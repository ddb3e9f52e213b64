"""A store that holds what this release did not write: an org stops, or what was remembered is forgotten."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import pytest

from jobledger.ledger.errors import CorruptLedgerError, JobIsFinalError, NotFoundError
from jobledger.ledger.store.database import Connection as Owner
from jobledger.ledger.store.ledger import Ledger
from tests.auditor import audit
from tests.cluster import session
from tests.world import ALICE, ORG, fail, register, register_running, registration, serving, start, succeed


@pytest.fixture
def unaudited_url(own_url: str) -> str:
    """A database of the test's own: more than rows is put into it."""
    return own_url


async def insert_event(
    owner: Owner, *, stream: str, version: int, type_name: str, schema: int = 1, data: dict[str, Any] | None = None
) -> None:
    """Append an event by hand, as another release, or somebody else, might."""
    head = await owner.fetchrow("SELECT size, recorded_at FROM ledger_head WHERE org = $1", ORG)
    assert head is not None
    position, recorded_at = head["size"], head["recorded_at"]
    body = json.dumps({"data": data or {}, "via": "native", "from": None, "request": None, "salt": "0" * 32}).encode()
    header = json.dumps(
        {
            "org": ORG,
            "position": position,
            "recorded_at": recorded_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "stream": stream,
            "version": version,
            "type": type_name,
            "schema": schema,
            "by": "principal-1",
            "content": sha256(body).hexdigest(),
        },
        separators=(",", ":"),
    ).encode()
    async with owner.transaction():
        await owner.execute(
            "INSERT INTO event VALUES ($1, $2, $3, $4, $5, $6, $7)",
            ORG, position, stream, version, type_name, recorded_at, header,
        )  # fmt: skip
        await owner.execute("INSERT INTO content VALUES ($1, $2, $3)", ORG, position, body)
        await owner.execute(
            "UPDATE ledger_head SET size = size + 1, last_leaf = $2 WHERE org = $1",
            ORG,
            sha256(b"\0" + header).digest(),
        )


@pytest.fixture
async def tampered(unaudited_url: str) -> str:
    """The URL of a database with the orgs ``acme``, that has a running job, and ``other``."""
    async with serving(unaudited_url) as ledger:
        for org in (ORG, "other"):
            await ledger.create_org(org)
        await register_running(ledger)
    return unaudited_url


@pytest.mark.parametrize(("type_name", "schema"), [("job.teleported", 1), ("job.progressed", 2)])
@pytest.mark.parametrize("stream", ["job-1", "job-77"])
async def test_an_event_that_is_not_known_stops_its_org_alone(
    tampered: str, type_name: str, schema: int, stream: str
) -> None:
    """Whether or not its stream is asked for. Other orgs go on, and so do reads."""
    async with serving(tampered) as ledger, session(tampered) as owner:
        await ledger.execute(registration())
        version = 3 if stream == "job-1" else 1
        await insert_event(owner, stream=stream, version=version, type_name=type_name, schema=schema)

        for command in (registration(), succeed(1), registration()):
            with pytest.raises(CorruptLedgerError, match=f"{type_name}, schema {schema}"):
                await ledger.execute(command)

        assert (await ledger.recorder.head(ORG)).size == 5
        assert len((await ledger.recorder.page(ORG, -1, 10)).events) == 5
        assert (await ledger.execute(registration(caller=replace(ALICE, org="other")))).first_position == 1
        assert ledger.stopped_count == 1


async def test_an_event_that_is_not_known_is_never_skipped_when_its_stream_is_loaded(tampered: str) -> None:
    """By a server that begins after it was written."""
    async with session(tampered) as owner:
        await insert_event(owner, stream="job-1", version=3, type_name="job.teleported")

    async with serving(tampered) as ledger:
        with pytest.raises(CorruptLedgerError):
            await ledger.job(ORG, 1)
        with pytest.raises(CorruptLedgerError):
            await ledger.execute(succeed(1))


async def test_a_content_that_was_altered_stops_its_org(tampered: str) -> None:
    async with serving(tampered) as ledger, session(tampered) as owner:
        await ledger.execute(start(1))
        async with serving(tampered) as other:
            await other.execute(fail(1, error="no route"))
        await owner.execute(
            "UPDATE content SET body = convert_to(replace(convert_from(body, 'UTF8'), 'no route', 'new root'), 'UTF8')"
        )

        with pytest.raises(CorruptLedgerError, match="content of position"):
            await ledger.execute(succeed(1))


async def test_a_header_that_was_altered_is_noticed_by_whoever_knew_it(tampered: str) -> None:
    """What was remembered is forgotten, and what is stored is decided on."""
    async with serving(tampered) as ledger, session(tampered) as owner:
        await register(ledger)
        await owner.execute(
            "UPDATE event SET header = convert_to(replace(convert_from(header, 'UTF8'), 'principal-1', 'principal-9'), 'UTF8')"
            " WHERE position = (SELECT max(position) FROM event WHERE org = $1)",
            ORG,
        )
        async with serving(tampered) as other:
            await other.execute(registration())

        known = ledger._sequencers[ORG]._writer.cache
        assert known.get("job-2") is not None
        await ledger.execute(registration())
        assert known.get("job-2") is None


class Backup:
    """The tables of one moment, to go back to."""

    TABLES = (
        "ledger_head",
        "event",
        "content",
        "job",
        "job_count",
        "principal",
        "idempotency",
        "credential",
        "heartbeat",
    )

    def __init__(self, owner: Owner) -> None:
        self.owner = owner

    async def take(self) -> None:
        for table in self.TABLES:
            await self.owner.execute(f"CREATE TABLE backup_{table} AS TABLE {table}")

    async def restore(self) -> None:
        async with self.owner.transaction():
            for table in self.TABLES:
                await self.owner.execute(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM backup_{table}")


@pytest.mark.parametrize("appended_since", [0, 1, 2, 5])
async def test_a_database_that_went_back_is_noticed(ledger: Ledger, database_url: str, appended_since: int) -> None:
    """A server that knew more decides on what is there: whether the new history is shorter, as long, or longer."""
    job_id = await register(ledger)
    async with session(database_url) as owner:
        backup = Backup(owner)
        await backup.take()
        await ledger.execute(start(job_id))
        await ledger.execute(succeed(job_id))
        with pytest.raises(JobIsFinalError):
            await ledger.execute(start(job_id))
        await backup.restore()
    async with serving(database_url) as other:
        for _ in range(appended_since):
            await other.execute(registration())

    outcome = await ledger.execute(start(job_id))

    assert outcome.result == {"id": job_id, "state": "RUNNING", "version": 2}
    assert outcome.first_position == 2 + appended_since
    assert await register(ledger) == 2 + appended_since
    await audit(database_url)


async def test_a_database_that_went_back_before_a_job_does_not_know_it(ledger: Ledger, database_url: str) -> None:
    async with session(database_url) as owner:
        backup = Backup(owner)
        await backup.take()
        job_id = await register_running(ledger)
        await backup.restore()

    with pytest.raises(NotFoundError):
        await ledger.execute(succeed(job_id))
    assert await register(ledger) == job_id


async def test_recorded_at_never_falls(ledger: Ledger, database_url: str) -> None:
    """Even where the database's clock has gone back: what is appended then bears the last time."""
    async with session(database_url) as owner:
        ahead: datetime = await owner.fetchval(
            "UPDATE ledger_head SET recorded_at = clock_timestamp() + interval '1 hour' RETURNING recorded_at"
        )

    outcomes = [await ledger.execute(registration()) for _ in range(2)]

    assert [it.recorded_at for it in outcomes] == [ahead, ahead]
