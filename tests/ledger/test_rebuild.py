"""Rebuilding projections: what is made is what was live, and it takes its place unseen."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from jobledger.ledger.domain.archive_commands import RequestArchive
from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.diagram_commands import CreateDiagram, CreateTemplate
from jobledger.ledger.domain.hold_commands import PlaceHold
from jobledger.ledger.domain.job_copies import NoteCopied
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_removal import EraseJob
from jobledger.ledger.domain.queue_commands import CreateQueue
from jobledger.ledger.domain.schedule_commands import CreateSchedule, RunSchedule
from jobledger.ledger.errors import ConflictError, NotFoundError, ReleaseDiffersError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections.job_history import EVENTS_A_SNAPSHOT
from jobledger.projections.jobs import JobsProjection
from jobledger.projections.rebuild import course, streams
from jobledger.projections.rebuild.course import Rebuild
from jobledger.projections.rebuild.generations import HASH_MODULUS
from jobledger.projections.rebuild.report import Report
from jobledger.projections.rollups import RollupsProjection
from tests.auditor import PROJECTED, audit
from tests.cluster import session
from tests.examples import quick_or_slow
from tests.ledger.histories import History
from tests.world import (
    ALICE,
    ORG,
    catch_up_projections,
    projections,
    register,
    register_running,
    registration,
    serving,
    spec,
    start,
    succeed,
)

NAMES = [it.name for it in (*projections(), *catch_up_projections())]
SCHEDULE = UUID("6f0a1c52-08c5-4a7e-9b1d-2f4e6a8c0d13")
EVERY_ROW = "SELECT DISTINCT gen FROM {} WHERE org = $1 AND gen <> $2"


async def live(url: str, org: str = ORG) -> dict[str, Any]:
    """What the head says is live."""
    async with session(url) as connection:
        told: dict[str, Any] = json.loads(
            await connection.fetchval("SELECT projections FROM ledger_head WHERE org = $1", org)
        )
        return told


async def hash_of(url: str, table: str, generation: int, condition: str = "true") -> int:
    """The hash of rows as it is documented, by another statement than the product's."""
    async with session(url) as connection:
        columns = await connection.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_name = $1"
            " AND column_name NOT IN ('org', 'gen') ORDER BY ordinal_position",
            table,
        )
        row = ", ".join(it[0] for it in columns)
        hashes = await connection.fetch(
            f"SELECT hash_record_extended(ROW({row}), 0) FROM {table} WHERE org = $1 AND gen = $2 AND {condition}",
            ORG,
            generation,
        )
        return sum(int(it[0]) for it in hashes) % HASH_MODULUS


async def nothing_is_left(url: str) -> None:
    """No row lies there that is not live."""
    told = await live(url)
    tables = {table.name: it.name for it in [*projections(), *catch_up_projections()] for table in it.tables}
    assert set(tables) | {"tracking"} == set(PROJECTED)
    async with session(url) as connection:
        for table, name in tables.items():
            assert not await connection.fetch(EVERY_ROW.format(table), ORG, told[name]["gen"]), table
        for name in ("rollups", "job_history"):
            others = "SELECT FROM tracking WHERE org = $1 AND projection = $2 AND gen <> $3"
            assert not await connection.fetch(others, ORG, name, told[name]["gen"])


async def follow(ledger: Ledger) -> None:
    """All that follows the ledger has come as far."""
    for it in catch_up_projections():
        await CatchUp(ledger).wait_for(ORG, it.name)


async def hashes_are_told(url: str, report: Report) -> None:
    """The hashes are those of the rows that were put in place."""
    for rebuilt in report.projections:
        for table, hashed in rebuilt.tables.items():
            condition = "jobs <> 0" if table == "job_count" else "true"
            assert hashed.hash == await hash_of(url, table, rebuilt.generation, condition), table


def must_be_whole(report: Report) -> None:
    """It was put in place."""
    assert report.differences == []
    assert all(it.is_compared for it in report.projections)


@pytest.mark.parametrize("seed", quick_or_slow(range(3), 1))
async def test_rebuilt_is_live(ledger: Ledger, database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any history, erased and deleted jobs among it, byte for byte; and the hash told is that of what is live."""
    monkeypatch.setattr(streams, "EVENTS_A_PAGE", 7)
    monkeypatch.setattr(streams, "EVENTS_A_RANGE", 20)
    monkeypatch.setattr(streams, "STREAMS_A_WRITE", 5)
    monkeypatch.setattr("jobledger.projections.rebuild.generations.ROWS_A_COMPARISON", 3)
    history = History(ledger, seed)
    await history.go_on(250)
    while not {"job.purged", "job.archived", "archive.completed"} <= {
        it.envelope()["type"] async for it in ledger.recorder.scan(ORG)
    }:
        await history.go_on(50)
    await follow(ledger)

    report = await Rebuild(ledger).rebuild(ORG)

    must_be_whole(report)
    assert [it.name for it in report.projections] == NAMES
    assert report.events == report.position == (await ledger.recorder.head(ORG)).size
    assert {name: it["gen"] for name, it in (await live(database_url)).items()} == dict.fromkeys(NAMES, 2)
    await nothing_is_left(database_url)
    await audit(database_url)
    await hashes_are_told(database_url, report)
    await History(ledger, seed + 100).go_on(20)
    must_be_whole(await Rebuild(ledger).rebuild(ORG))


@pytest.mark.parametrize("name", quick_or_slow(NAMES, 3))
async def test_one_projection_is_rebuilt_alone(ledger: Ledger, database_url: str, name: str) -> None:
    await History(ledger, 7).go_on(60)

    report = await Rebuild(ledger).rebuild(ORG, [name])

    must_be_whole(report)
    generations = {it: told["gen"] for it, told in (await live(database_url)).items()}
    # Who has which copies, and what work is open, is brought up to date by the rows of the jobs.
    also = {"jobs": 2} if name in ("job_copies", "work", "archived_jobs", "domains") else {}
    assert generations == {**dict.fromkeys(NAMES, 1), name: 2, **also}
    await nothing_is_left(database_url)


TAMPERED = {
    "job": ("UPDATE job SET q = 'other' WHERE id = 2", ["2"], ["q"]),
    "job_residue": (
        "INSERT INTO job_residue SELECT org, gen, 99, 1, 'Global', 'deleted', now(), '{}' FROM job LIMIT 1",
        ["99"],
        ["a row that no event makes"],
    ),
    "job_count": ("UPDATE job_count SET jobs = jobs + 1 WHERE jobs > 0", ["0"], ["jobs"]),
    "principal": ("DELETE FROM principal WHERE id = 1", ["1"], ["no row"]),
    "org_policy": ("UPDATE org_policy SET policy = '{}'", None, ["policy"]),
    "storage_copy": ("UPDATE storage_copy SET name = 'other'", ["4"], ["name"]),
    "job_copy": ("UPDATE job_copy SET domain = 'other' WHERE job_id = 2", ["4,2"], ["domain"]),
    "job_requirement": (
        "INSERT INTO job_requirement SELECT org, gen, 3, 1 FROM job_requirement",
        ["3,1"],
        ["a row that no event makes"],
    ),
    "hold": ("UPDATE hold SET reason = 'other'", ["1"], ["reason"]),
    "diagram": ("UPDATE diagram SET is_deleted = true", ["1"], ["is_deleted"]),
    "diagram_version": ("DELETE FROM diagram_version", ["1"], ["no row"]),
    "template": ("UPDATE template SET defaults = '{}'", ["2"], ["defaults"]),
    "schedule": ("UPDATE schedule SET fires = fires + 1", [str(SCHEDULE)], ["fires"]),
    "job_work": ("UPDATE job_work SET claim = 7 WHERE id = 5", ["5"], ["claim"]),
    "archive": ("UPDATE archive SET requested_by = 'other'", ["6"], ["requested_by"]),
    "archived_job": (
        "INSERT INTO archived_job SELECT org, gen, 6, 2, 3, 'copy', 'Global', 'SUCCESS', now(), NULL, NULL, now(), now(), NULL,"
        " NULL, false, '[]' FROM archive",
        ["6,2"],
        ["a row that no event makes"],
    ),
    "job_domain": ("UPDATE job_domain SET first_id = 99", ["Sales"], ["first_id"]),
    "queue": ("UPDATE queue SET durable = NOT durable", ["1"], ["durable"]),
    "rollup": ("UPDATE rollup SET bytes = bytes + 1", None, ["bytes"]),
    "rollup_duration": ("DELETE FROM rollup_duration", None, ["no row"]),
    "job_past": ("UPDATE job_past SET type = 'other' WHERE id = 2", ["2"], ["type"]),
    "job_history": ("UPDATE job_history SET q = 'other' WHERE id = 1 AND level = 63", ["1"], ["q"]),
    "job_snapshot": ("UPDATE job_snapshot SET job = '{}'", ["3"], ["job"]),
}


def test_every_table_is_tampered_with() -> None:
    every = {table.name for it in (*projections(), *catch_up_projections()) for table in it.tables}
    assert TAMPERED.keys() == every


@pytest.mark.parametrize("table", quick_or_slow(TAMPERED, 3))
async def test_rows_that_differ_are_told_and_nothing_is_put_in_place(unaudited_url: str, table: str) -> None:
    """The table, the keys and the columns, and no value; what was live stays so."""
    sql, keys, columns = TAMPERED[table]
    async with serving(unaudited_url) as ledger:
        await ledger.create_org(ORG)
        await ledger.execute(History(ledger, 1).principal())
        await ledger.execute(
            PutCopy(caller=ALICE, copy_id=4, name="primary", storage_policy_id=2, storage_policy_name="nightly")
        )
        for _ in range(3):
            await ledger.execute(succeed(await register_running(ledger)))
        for job_id in (1, 2):
            await ledger.execute(NoteCopied(caller=ALICE, job_id=job_id, copy_id=4))
        for _ in range(EVENTS_A_SNAPSHOT // 2):
            await ledger.execute(CloseJob(caller=ALICE, job_id=3))
            await ledger.execute(ReopenJob(caller=ALICE, job_id=3))
        await ledger.execute(registration(spec(required_job_ids=[2])))
        await ledger.execute(PlaceHold(caller=ALICE, name="case", reason="law", job_ids=(3,)))
        content = {"steps": [{"id": "a", "next": []}], "initial_step": "a"}
        await ledger.execute(CreateDiagram(caller=ALICE, name="drawn", content=content, is_active=True))
        await ledger.execute(CreateTemplate(caller=ALICE, name="t", diagram_id=1, defaults={"priority": "High"}))
        nightly, action = "0 0 4 ? * *", {"kind": "maintenance"}
        await ledger.execute(CreateSchedule(caller=ALICE, schedule_id=SCHEDULE, expression=nightly, action=action))
        await ledger.execute(RunSchedule(caller=ALICE, schedule_id=SCHEDULE))
        await ledger.execute(RequestArchive(caller=ALICE, ended_before=datetime(2026, 1, 1, tzinfo=UTC)))
        await ledger.execute(registration(spec(domain="Sales")))
        await ledger.execute(CreateQueue(caller=ALICE, name="q"))
        await follow(ledger)
        async with session(unaudited_url) as connection:
            await connection.execute(sql)

        report = await Rebuild(ledger).rebuild(ORG)

    [difference] = report.differences
    assert difference.table == table
    assert difference.count == 1
    assert keys is None or list(difference.keys) == keys
    assert [list(it) for it in difference.columns.values()] == [columns]
    assert {it["gen"] for it in (await live(unaudited_url)).values()} == {1}
    await nothing_is_left(unaudited_url)


async def test_what_was_erased_before_it_was_counted_is_counted_by_what_is_left(
    ledger: Ledger, database_url: str
) -> None:
    """Type, domain, state, times and bytes: nothing tells whether contents were there when the job was counted."""
    job_id = await register_running(ledger, backup={"sizeOfApplication": 11}, type="audit")
    await ledger.execute(succeed(job_id))
    await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope="all", reason="asked for"))
    await CatchUp(ledger).wait_for(ORG, "rollups")

    must_be_whole(await Rebuild(ledger).rebuild(ORG, ["rollups"]))

    async with session(database_url) as connection:
        [row] = await connection.fetch("SELECT type, jobs, bytes FROM rollup")
    assert (row["type"], row["jobs"], row["bytes"]) == ("audit", 1, 11)


async def test_what_happens_while_rows_are_made_is_in_them(ledger: Ledger, database_url: str) -> None:
    """Streams that begin, go on, lose their contents or end after they were folded, or before; however much of it."""
    history = History(ledger, 3)
    await history.go_on(120)
    fold_all = streams.fold_here(ledger.projections, ledger.catch_up_projections)

    async def fold_slowly(filling: Any, ranges: Any, tell: Any) -> None:
        half = len(ranges) // 2
        await history.go_on(60)
        await fold_all(filling, ranges[:half], tell)
        await history.go_on(60)
        await fold_all(filling, ranges[half:], tell)
        await history.go_on(400)

    report = await Rebuild(ledger, fold_slowly).rebuild(ORG)

    must_be_whole(report)
    await hashes_are_told(database_url, report)
    assert {it["gen"] for it in (await live(database_url)).values()} == {2}
    await nothing_is_left(database_url)


async def test_what_came_while_the_lock_was_waited_for_is_applied_before_it_is_tried_again(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much: the head is never held for long."""
    history = History(ledger, 7)
    await history.go_on(40)
    take_place, attempts = course._Course._take_place, 0

    async def take_place_late(self: course._Course, made: Any) -> float:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            await history.go_on(20)
        return await take_place(self, made)

    monkeypatch.setattr(course, "MOST_LAST_EVENTS", 5)
    monkeypatch.setattr(course, "LAST_EVENTS", 3)
    monkeypatch.setattr(course._Course, "_take_place", take_place_late)

    must_be_whole(await Rebuild(ledger).rebuild(ORG))

    assert attempts == 3
    assert {it["gen"] for it in (await live(database_url)).values()} == {2}


@pytest.mark.parametrize(
    "step", quick_or_slow(["set_live", "_fill", "_come_near", "_compare_all", "_must_not_differ", "_put_in_place"], 1)
)
async def test_a_rebuild_that_ends_anywhere_leaves_what_is_live(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The next one deletes what it made, and numbers its rows anew."""
    await History(ledger, 4).go_on(40)

    async def die(*_arguments: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        if step == "set_live":
            patch.setattr("jobledger.projections.rebuild.made_rows.MadeRows.must_be_equal", die)
        else:
            patch.setattr(course._Course, step, die)
        with pytest.raises(asyncio.CancelledError):
            await Rebuild(ledger).rebuild(ORG)
    assert {it["gen"] for it in (await live(database_url)).values()} == {1}
    await audit(database_url)
    await ledger.execute(start(await register(ledger)))

    must_be_whole(await Rebuild(ledger).rebuild(ORG))

    assert {it["gen"] for it in (await live(database_url)).values()} == {3}
    await nothing_is_left(database_url)


async def test_an_org_is_rebuilt_by_one_at_a_time(ledger: Ledger, database_url: str) -> None:
    """The other is told so at once; of another org it may go on."""
    await ledger.create_org("other")
    async with serving(database_url) as second:

        async def fold_and_ask(filling: Any, ranges: Any, tell: Any) -> None:
            with pytest.raises(ConflictError, match="acme is being rebuilt already"):
                await Rebuild(second).rebuild(ORG)
            must_be_whole(await Rebuild(second).rebuild("other"))
            await streams.fold_here(ledger.projections, ledger.catch_up_projections)(filling, ranges, tell)

        must_be_whole(await Rebuild(ledger, fold_and_ask).rebuild(ORG))


async def test_what_is_not_there_is_not_rebuilt(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await Rebuild(ledger).rebuild("nowhere")
    with pytest.raises(NotFoundError, match="There are jobs, job_copies, policy, holds, "):
        await Rebuild(ledger).rebuild(ORG, ["nothing"])


class NewerJobs(JobsProjection):
    """The jobs of a later release."""

    fold_version = JobsProjection.fold_version + 1


class NewerRollups(RollupsProjection):
    """The rollups of a later release."""

    fold_version = RollupsProjection.fold_version + 1


async def test_a_later_release_rebuilds_and_an_older_server_appends_no_more(ledger: Ledger, database_url: str) -> None:
    """Its rows would be stale: it refuses with what an operator must know, and reads on. The new one appends."""
    job_id = await register_running(ledger)
    await ledger.execute(succeed(await register_running(ledger)))
    database = Database(database_url, readers=3, writers=3)
    await database.open()
    inline: list[Any] = [NewerJobs(), *projections()[1:]]
    newer = Ledger(database, inline, catch_up_projections=[NewerRollups()])
    with pytest.raises(ReleaseDiffersError):
        await newer.execute(succeed(job_id))

    report = await Rebuild(newer).rebuild(ORG)

    assert [it.name for it in report.projections if not it.is_compared] == ["jobs", "rollups"]
    told = await live(database_url)
    assert (told["jobs"], told["rollups"]) == ({"gen": 2, "fold": NewerJobs.fold_version}, {"gen": 2, "fold": 2})
    await newer.execute(succeed(job_id))
    size = (await newer.recorder.head(ORG)).size
    for command in (start(await register(newer)), succeed(job_id)):
        with pytest.raises(ReleaseDiffersError):
            await ledger.execute(command)
    assert (await ledger.recorder.head(ORG)).size == size + 1
    assert (await ledger.job(ORG, job_id)).is_final
    with pytest.raises(ReleaseDiffersError):
        await CatchUp(ledger).wait_for(ORG, "rollups")
    assert not await ledger.database.write(lambda it: CatchUp(ledger).move_on(it, ORG, RollupsProjection()))
    await CatchUp(newer).wait_for(ORG, "rollups")
    await newer.close()
    await database.close()
