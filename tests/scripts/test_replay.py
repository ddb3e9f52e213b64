"""``jobledger replay``: every event, and the state after it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import asyncpg
import pytest

from jobledger.ledger.domain.job_commands import ReportProgress
from jobledger.ledger.store.ledger import Ledger
from jobledger.scripts.failure import UsageError
from jobledger.scripts.replay import States, Unknown, members_of, read_limit
from tests.cluster import session
from tests.scripts.place import MADE, SAMPLE, Place
from tests.world import ALICE, ORG, cancel, register, register_running, succeed


@pytest.mark.slow
def test_a_replay_equals_the_jobs(place: Place) -> None:
    """The state after a job's last event is what the server's lists show of it."""
    for path in (SAMPLE, MADE):
        place.succeed("load", "swf", path, "--org", "default")
    lines = [json.loads(line) for line in place.succeed("replay", "--org", "default", "--json").splitlines()]
    with place.serving() as server:
        listed = server.ask("GET", "/default/jobs?limit=1000")[1]["jobs"]

    last = {line["stream"]: line for line in lines}
    assert [line["position"] for line in lines] == list(range(len(lines)))
    assert len(listed) == 208
    for job in listed:
        replayed = last[f"job-{job['id']}"]["state"]
        compared = replayed.keys() & job.keys()
        assert {"state", "name", "started_at", "ended_at", "source", "external_id"} <= compared
        assert {name: replayed[name] for name in compared} == {name: job[name] for name in compared}


async def test_states_that_made_room_are_folded_again(ledger: Ledger) -> None:
    """However little is remembered, the states are the same."""
    jobs = [await register_running(ledger, name=name) for name in ("one", "two", "three")]
    for progress in (0.25, 0.5, 0.75):
        for job_id in jobs:
            await ledger.execute(ReportProgress(caller=ALICE, job_id=job_id, progress=progress))

    async def replayed(limit_bytes: int) -> list[str]:
        states = States(ledger.recorder, ORG, limit_bytes)
        shown = []
        async for stored in ledger.recorder.scan(ORG):
            state = await states.after(stored, stored.envelope())
            assert not isinstance(state, Unknown)
            shown.append(repr(members_of(state)))
        return shown

    assert await replayed(1) == await replayed(10**9)


async def test_a_replay_of_a_job_reads_it_alone(ledger: Ledger, shared: Place) -> None:
    """Two lines an event: what happened, and what it came to."""
    await register(ledger, name="another")
    job_id = await register_running(ledger, name="nightly")
    await ledger.execute(succeed(job_id))

    lines = shared.succeed("replay", "--org", ORG, "--job", str(job_id)).splitlines()

    assert [line.split()[5] for line in lines[::2]] == ["job.registered", "job.started", "job.succeeded"]
    assert ' by principal-1 via native {"type":"copy","name":"nightly"' in lines[0]
    assert ['"state":"SCHEDULED"' in lines[1], '"state":"RUNNING"' in lines[3]] == [True, True]
    assert '"state":"SUCCESS"' in lines[5]
    assert lines[5].startswith("  -> {")
    assert "There is no job 99" in shared.fail("replay", "--org", ORG, "--job", "99")


async def test_a_replay_ends_where_it_is_told_to(ledger: Ledger, shared: Place, database_url: str) -> None:
    """At a position, itself included, or with the last event recorded by an instant."""
    job_id = await register_running(ledger)
    await ledger.execute(cancel(job_id))
    async with session(database_url) as connection:
        times = [it["recorded_at"] for it in await connection.fetch("SELECT recorded_at FROM event ORDER BY position")]

    def positions(*arguments: str) -> list[int]:
        said = shared.succeed("replay", "--org", ORG, "--json", *arguments)
        return [json.loads(line)["position"] for line in said.splitlines()]

    assert positions() == [0, 1, 2, 3]
    assert positions("--to", "2") == [0, 1, 2]
    assert positions("--to", times[1].isoformat()) == [0, 1]
    assert positions("--to", "2001-01-01T00:00:00Z") == []
    assert positions("--job", str(job_id), "--to", "1") == [1]
    assert "The last position of acme is 3" in shared.fail("replay", "--org", ORG, "--to", "4")
    assert "There is no org esa" in shared.fail("replay", "--org", "esa")


async def tamper(url: str, *statements: str) -> None:
    async with session(url) as connection:
        for statement in statements:
            await execute(connection, statement)


async def execute(connection: asyncpg.Connection[asyncpg.Record], statement: str) -> None:
    assert await connection.execute(statement) != "UPDATE 0"


async def test_a_purged_content_is_told(unaudited_url: str, unaudited: Place) -> None:
    """Its event is listed by its header; the state is not known from there on, and other streams are untouched."""
    unaudited.succeed("org", "add", ORG)
    unaudited.succeed("load", "swf", MADE, "--org", ORG)
    await tamper(unaudited_url, "DELETE FROM content WHERE position = 2")

    lines = [json.loads(line) for line in unaudited.succeed("replay", "--org", ORG, "--json").splitlines()]
    text = unaudited.succeed("replay", "--org", ORG)

    assert [line["type"] for line in lines[1:4]] == ["job.registered", "job.started", "job.succeeded"]
    assert [line["data"] is None for line in lines[1:4]] == [False, True, False]
    assert [line["state"] is None for line in lines[1:4]] == [False, True, True]
    assert lines[3]["unknown"] == "the content of position 2 was purged"
    assert all(line["state"] for line in lines[4:])
    assert "job.started by ledger via ? (not there)\n  -> not known: the content of position 2 was purged\n" in text


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE content SET body = '{}' WHERE position = 2", "is not the one its header names"),
        (
            "UPDATE event SET header = replace(convert_from(header, 'UTF8'), 'job.started', 'job.begun')::bytea"
            " WHERE position = 2",
            "Events of type job.begun, schema 1, are not known",
        ),
        (
            "UPDATE event SET header = replace(convert_from(header, 'UTF8'), '\"version\":2', '\"version\":9')::bytea"
            " WHERE position = 2",
            "it does not follow the one before",
        ),
    ],
)
async def test_an_event_that_cannot_be_applied_is_told(
    unaudited_url: str, unaudited: Place, statement: str, reason: str
) -> None:
    """The replay goes on with the others, and fails at its end."""
    unaudited.succeed("org", "add", ORG)
    unaudited.succeed("load", "swf", MADE, "--org", ORG)
    await tamper(unaudited_url, statement)

    ended = unaudited.run("replay", "--org", ORG, "--json")

    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert reason in lines[2]["unknown"]
    assert len(lines) == 25
    assert all(line["state"] for line in lines[4:])


def test_a_limit_is_a_position_or_an_instant() -> None:
    """With its zone."""
    assert read_limit("12") == 12
    assert read_limit("2026-11-21T22:34:05.5Z") == datetime(2026, 11, 21, 22, 34, 5, 500_000, UTC)
    assert read_limit("2026-11-21T23:34:05+01:00") == datetime(2026, 11, 21, 22, 34, 5, tzinfo=UTC)
    for text in ("", "-1", "2026-11-21", "2026-11-21T22:34:05", "now", "٣"):
        with pytest.raises(UsageError, match="--to is a position, or a time"):
            read_limit(text)
