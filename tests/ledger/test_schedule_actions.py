"""What schedules do: archives and exports as those ask for them who made the schedule, for as long as they may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE, Principal
from jobledger.ledger.domain.access_commands import ChangePrincipal, DisablePrincipal
from jobledger.ledger.domain.archive import Archive, instant_text
from jobledger.ledger.domain.command import Caller, Command, Outcome, UnitOfWork
from jobledger.ledger.domain.export import Export
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.schedule import Schedule, schedule_stream
from jobledger.ledger.domain.schedule_commands import CreateSchedule, FireSchedule, ResumeSchedule, RunSchedule
from jobledger.ledger.errors import InvalidCommandError, NotAllowedError
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.projections.schedule_query import ScheduleQuery
from tests.ledger.archived import archive_of, archiver, ended, finished, job_of
from tests.ledger.exported import export_of, exporter, signed_until_over
from tests.ledger.test_access import ITSELF, add
from tests.ledger.test_firing import firing
from tests.ledger.test_schedules import BEGUN, SCHEDULE, STEPS, World, fall_due, state
from tests.world import ALICE, ORG, SALES, serving, types_of

DAYS = timedelta(days=1)
ARCHIVE: dict[str, Any] = {"kind": "archive", "older_than_days": 90, "purge": True, "type": "copy", "reason": "old"}
EXPORT: dict[str, Any] = {"kind": "export"}
MAKERS = ("operator", "compliance")


async def made(ledger: Ledger, action: Any, *, expression: str = "0 0 4 ? * *", **members: Any) -> UUID:
    """The id of a schedule that principal-1 makes, who is an operator and a compliance officer at first."""
    if await ledger.aggregate(ORG, "principal-1") is None:
        await ledger.execute(add("alice", roles=MAKERS))
    schedule_id = uuid4()
    command = CreateSchedule(
        caller=members.pop("caller", ALICE), schedule_id=schedule_id, expression=expression, action=action
    )
    await ledger.execute(command)
    return schedule_id


def fire(schedule_id: UUID, due_at: datetime, made_by: str | None = "principal-1") -> FireSchedule:
    return FireSchedule(caller=ledger_itself(ORG), schedule_id=schedule_id, due_at=due_at, made_by=made_by)


async def fired_once(ledger: Ledger, url: str, schedule_id: UUID, ago: timedelta = timedelta(seconds=1)) -> Outcome:
    """What comes of its next due time, which three ask for."""
    due_at = await fall_due(ledger, url, schedule_id, ago=ago)
    async with serving(url) as other:
        outcomes = [await it.execute(fire(schedule_id, due_at)) for it in (ledger, other, ledger)]
    assert [it.event_count for it in outcomes[1:]] == [0, 0]
    return outcomes[0]


async def test_an_archive_is_asked_for_once_a_due_time_by_who_made_the_schedule(
    ledger: Ledger, database_url: str
) -> None:
    """One append: the job, the archive, the fire. Its span counts from the due time, which is long past by then."""
    schedule_id = await made(ledger, ARCHIVE)

    outcome = await fired_once(ledger, database_url, schedule_id, ago=timedelta(hours=50))

    assert [it.type_name for it in outcome.events] == ["job.registered", "archive.requested", "schedule.fired"]
    registered, requested, fired = outcome.events
    job_id, due_at = fired.data["job_id"], fired.data["due_at"]
    assert fired.data["missed"] == 2
    assert requested.data == {
        "requested_by": "principal-1",
        "ended_before": due_at - 90 * DAYS,
        "purge": True,
        "type": "copy",
        "reason": "old",
    }
    assert registered.data["work"]["owner"] == "principal-1"
    job = await ledger.job(ORG, job_id)
    assert (job.type, job.scheduled_at, job.attributes) == (
        "Archive/Purge Jobs",
        due_at,
        {"schedule": str(schedule_id)},
    )


async def test_a_scheduled_archive_purges_what_is_old_enough_and_only_that(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    """By the firing and the runner of a server; of jobs that ended within the span none is touched."""
    jobs = await ended(ledger, 2, type="copy")
    await made(ledger, {**ARCHIVE, "older_than_days": 1})
    now = await made(ledger, {**ARCHIVE, "older_than_days": 0}, expression="* * * ? * *")
    async with archiver(ledger, tmp_path), firing(ledger):
        async with asyncio.timeout(20):
            while (last := (await state(ledger, now)).last_job_id) is None:
                await asyncio.sleep(0.02)
        job = await finished(ledger, last)
    spared = await ledger.execute(
        RunSchedule(caller=ALICE, schedule_id=await made(ledger, {**ARCHIVE, "purge": False}))
    )

    assert job.state is State.SUCCESS
    assert (await archive_of(ledger, last)).requested_by == "principal-1"
    assert [(await job_of(ledger, it)).gone for it in jobs] == ["purged", "purged"]
    order = (await archive_of(ledger, spared.result["job_id"])).order
    assert datetime.fromisoformat(order["ended_before"]) == spared.recorded_at - 90 * DAYS


LOST: dict[str, Command] = {
    "disabled": DisablePrincipal(caller=ITSELF, principal="alice", reason="left"),
    "another role": ChangePrincipal(caller=ITSELF, principal="alice", roles=("client",)),
    "some domains": ChangePrincipal(caller=ITSELF, principal="alice", domains=("Sales",)),
}


@pytest.mark.parametrize(
    ("action", "lost"),
    [
        (ARCHIVE, "disabled"),
        (ARCHIVE, "another role"),
        ({**ARCHIVE, "domains": ["Global", "Sales"]}, "some domains"),
        (EXPORT, "disabled"),
        (EXPORT, "another role"),
        (EXPORT, "some domains"),
    ],
)
async def test_whoever_may_not_any_more_fires_nothing(
    ledger: Ledger, database_url: str, action: Any, lost: str
) -> None:
    """The schedule is paused by the ledger, which says why; resumed, it is paused again, until they may."""
    schedule_id = await made(ledger, action)
    await ledger.execute(LOST[lost])

    for number in (1, 2):
        outcome = await fired_once(ledger, database_url, schedule_id)
        [paused] = outcome.events
        assert (outcome.result, paused.type_name) == ({"fired": False}, "schedule.paused")
        assert paused.data["reason"].startswith("It may not fire: ")
        assert (await state(ledger, schedule_id)).fires == 0
        assert (await ledger.recorder.head(ORG)).numbers.get("job") is None
        await ledger.execute(ResumeSchedule(caller=ALICE, schedule_id=schedule_id))
        assert len(await types_of(ledger, schedule_stream(schedule_id))) == 1 + 2 * number


async def test_maintenance_is_the_orgs_own_and_fires_whoever_made_it(ledger: Ledger, database_url: str) -> None:
    schedule_id = await made(ledger, {"kind": "maintenance"})
    await ledger.execute(LOST["disabled"])

    outcome = await fired_once(ledger, database_url, schedule_id)

    assert outcome.result == {"fired": True}


async def test_a_fire_that_names_another_maker_does_nothing(ledger: Ledger, database_url: str) -> None:
    """Nor one that names none: what it may do cannot be known then."""
    schedule_id = await made(ledger, ARCHIVE)
    due_at = await fall_due(ledger, database_url, schedule_id, ago=timedelta(seconds=1))

    for maker in ("principal-2", None):
        assert (await ledger.execute(fire(schedule_id, due_at, maker))).event_count == 0
    assert (await ledger.execute(fire(schedule_id, due_at))).result == {"fired": True}


OPERATOR = replace(ALICE, capabilities=CAPABILITIES_BY_ROLE["operator"])
ADMIN = replace(ALICE, capabilities=CAPABILITIES_BY_ROLE["admin"])


@pytest.mark.parametrize(
    ("caller", "action", "error"),
    [
        (ADMIN, ARCHIVE, NotAllowedError),
        (OPERATOR, EXPORT, NotAllowedError),
        (SALES, EXPORT, NotAllowedError),
        (SALES, {**ARCHIVE, "domains": ["Global"]}, NotAllowedError),
        (ALICE, {**ARCHIVE, "reason": "\u200b"}, InvalidCommandError),
        (ALICE, {"kind": "archive"}, InvalidCommandError),
        *((ALICE, {**ARCHIVE, "older_than_days": days}, InvalidCommandError) for days in (-1, 1.5, True, "1", 36_601)),
        *((ALICE, {**ARCHIVE, "domains": it}, InvalidCommandError) for it in ([], "Sales", [1], [""])),
        (ALICE, {**ARCHIVE, "full_build": True}, InvalidCommandError),
        (ALICE, {**EXPORT, "last_days": 0}, InvalidCommandError),
        (ALICE, {**EXPORT, "render": "pdf"}, InvalidCommandError),
        (ALICE, {**EXPORT, "purge": True}, InvalidCommandError),
    ],
)
async def test_who_may_not_do_it_makes_no_schedule_of_it(
    ledger: Ledger, caller: Caller, action: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await made(ledger, action, caller=caller)

    assert (await ScheduleQuery(ledger.database).schedules(ORG, limit=9)).documents == []


async def test_running_it_needs_what_it_does_and_is_done_as_who_runs_it(ledger: Ledger) -> None:
    """Its domains are those of who made it, whoever runs it."""
    schedule_id = await made(ledger, ARCHIVE, caller=SALES)
    assert (await state(ledger, schedule_id)).action["domains"] == ["Sales"]

    with pytest.raises(NotAllowedError):
        await ledger.execute(RunSchedule(caller=ADMIN, schedule_id=schedule_id))
    ran = await ledger.execute(RunSchedule(caller=OPERATOR, schedule_id=schedule_id))

    archive = await archive_of(ledger, ran.result["job_id"])
    assert (archive.requested_by, archive.order["domains"]) == ("principal-1", ["Sales"])
    assert (await state(ledger, schedule_id)).last_job_id == 1


async def test_a_scheduled_export_is_made_of_what_was_recorded_before_its_due_time(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    await ended(ledger, 2)
    schedule_id = await made(ledger, {**EXPORT, "private": True})
    size = (await ledger.recorder.head(ORG)).size
    outcome = await fired_once(ledger, database_url, schedule_id)
    export_id = outcome.events[-1].data["job_id"]

    async with exporter(ledger, tmp_path):
        job = await signed_until_over(ledger, export_id)

    export = await export_of(ledger, export_id)
    assert job.state is State.SUCCESS, job.reason
    assert (export.requested_by, export.order["private"]) == ("principal-1", True)
    assert export.written is not None
    assert (export.written["from"], export.written["to"]) == (0, size)


@dataclass(slots=True, kw_only=True, eq=False)
class Enter(Command):
    """Let principal-1 be there."""

    capability = "anything"

    def streams(self) -> Iterable[str]:
        return ("principal-1",)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        unit.begin(Principal.Added, "principal-1", name="alice", roles=list(MAKERS), home_domain="Global")
        return {}


@given(
    expression=st.sampled_from(["*/7 * * ? * *", "0 * * ? * *", "30 5/10 * * * ?"]),
    steps=st.lists(STEPS, min_size=4, max_size=30),
    last_days=st.sampled_from([None, 7]),
)
def test_exports_of_one_schedule_leave_nothing_out_and_archives_keep_their_span(
    expression: str, steps: Sequence[float], last_days: int | None
) -> None:
    """Whatever the clock does, and however many fires were missed: each begins where the one before ended."""
    world, archives = World(), UUID(int=SCHEDULE.int + 1)
    world.execute(BEGUN, Enter(caller=ALICE))
    for schedule_id, action in ((SCHEDULE, {**EXPORT, "last_days": last_days}), (archives, ARCHIVE)):
        world.execute(
            BEGUN, CreateSchedule(caller=ALICE, schedule_id=schedule_id, expression=expression, action=action)
        )
    clock = BEGUN

    for step in steps:
        clock += timedelta(seconds=step)
        due_at = world.schedule.next_at
        assert due_at is not None
        for schedule_id in (SCHEDULE, archives):
            world.execute(clock, fire(schedule_id, due_at))

    orders = [it.order for it in world.events if isinstance(it, Export.Requested)]
    befores = [it.ended_before for it in world.events if isinstance(it, Archive.Requested)]
    dues = [
        it.due_at for it in world.events if isinstance(it, Schedule.Fired) and it.originator_id.endswith(str(SCHEDULE))
    ]
    assert [it["recorded_to"] for it in orders] == [instant_text(it) for it in dues]
    assert befores == [it - 90 * DAYS for it in dues]
    if last_days is None:
        assert all("recorded_from" not in it for it in orders[:1])
        assert all(before["recorded_to"] == after["recorded_from"] for before, after in pairwise(orders))
    else:
        assert [it["recorded_from"] for it in orders] == [instant_text(it - 7 * DAYS) for it in dues]
    assert all(it.astimezone(UTC) <= world.recorded_at for it in dues)
