"""Schedules: what is decided about them, and that each due time is fired for once, whatever asks and whatever a clock says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Command, Outcome
from jobledger.ledger.domain.cron import CronExpression, InvalidExpressionError
from jobledger.ledger.domain.schedule import LATE, Schedule, schedule_stream
from jobledger.ledger.domain.schedule_commands import (
    CreateSchedule,
    DeleteSchedule,
    FireSchedule,
    PauseSchedule,
    ResumeSchedule,
    RunMaintenance,
    RunSchedule,
)
from jobledger.ledger.errors import GoneError, InvalidCommandError, NotAllowedError, NotFoundError
from jobledger.ledger.store.batch import Batch
from jobledger.ledger.store.head import Head
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.projections.schedule_query import ScheduleQuery
from tests.cluster import session
from tests.world import ALICE, AUDITOR, ORG, idempotency, serving, types_of

MAINTENANCE = {"kind": "maintenance"}
BEGUN = datetime(2026, 11, 21, 12, 0, 0, 500_000, tzinfo=UTC)
SCHEDULE = UUID("0b6f5f0e-3c0e-4a53-9d42-6f3c3c7a7c11")


async def create(ledger: Ledger, expression: str = "0 0 4 ? * *", **members: Any) -> UUID:
    """A schedule's id."""
    schedule_id = uuid4()
    command = CreateSchedule(
        caller=ALICE, schedule_id=schedule_id, expression=expression, action=MAINTENANCE, **members
    )
    await ledger.execute(command)
    return schedule_id


async def state(ledger: Ledger, schedule_id: UUID) -> Schedule:
    schedule = await ledger.aggregate(ORG, schedule_stream(schedule_id))
    assert isinstance(schedule, Schedule)
    return schedule


async def fall_due(ledger: Ledger, url: str, schedule_id: UUID, *, ago: timedelta) -> datetime:
    """Let the ledger's clock be so far beyond the schedule's next fire, which is returned: the head was so by then."""
    due_at = (await state(ledger, schedule_id)).next_at
    assert due_at is not None
    async with session(url) as owner:
        # What the clock said when the last event was recorded, told by one more event of that time.
        await owner.execute("UPDATE ledger_head SET recorded_at = $1 WHERE org = $2", due_at + ago, ORG)
    return due_at


def fire(schedule_id: UUID, due_at: datetime) -> FireSchedule:
    return FireSchedule(caller=ledger_itself(ORG), schedule_id=schedule_id, due_at=due_at)


async def test_a_schedule_fires_once_for_a_due_time_and_registers_its_job_in_the_same_append(
    ledger: Ledger, database_url: str
) -> None:
    schedule_id = await create(ledger)
    due_at = await fall_due(ledger, database_url, schedule_id, ago=timedelta(seconds=1))

    async with serving(database_url) as other:
        outcomes = [await it.execute(fire(schedule_id, due_at)) for it in (ledger, other, ledger)]

    assert [it.result["fired"] for it in outcomes] == [True, False, False]
    assert [it.event_count for it in outcomes] == [2, 0, 0]
    registered, fired = outcomes[0].events
    assert (registered.type_name, fired.type_name) == ("job.registered", "schedule.fired")
    assert fired.data == {"due_at": due_at, "missed": 0, "job_id": 1}
    job = await ledger.job(ORG, 1)
    assert (job.type, job.state, job.scheduled_at) == ("Aggregate Maintenance", "SCHEDULED", due_at)
    assert job.attributes == {"full_build": False, "schedule": str(schedule_id)}
    after = await state(ledger, schedule_id)
    assert (after.next_at, after.last_due_at, after.last_job_id) == (due_at + timedelta(days=1), due_at, 1)


async def test_fires_that_were_missed_are_one_catch_up_that_counts_them(ledger: Ledger, database_url: str) -> None:
    schedule_id = await create(ledger, "0 0 4 ? * *")
    due_at = await fall_due(ledger, database_url, schedule_id, ago=timedelta(days=3, hours=1))

    outcome = await ledger.execute(fire(schedule_id, due_at))

    assert outcome.events[1].data == {"due_at": due_at + timedelta(days=3), "missed": 3, "job_id": 1}
    after = await state(ledger, schedule_id)
    assert (after.fires, after.missed, after.next_at) == (1, 3, due_at + timedelta(days=4))


async def test_what_is_not_due_does_not_fire(ledger: Ledger) -> None:
    """Whatever time is named: one that is ahead, or one that is no due time at all."""
    schedule_id = await create(ledger)
    due_at = (await state(ledger, schedule_id)).next_at
    assert due_at is not None

    for named in (due_at, due_at - timedelta(days=1), due_at + timedelta(days=1)):
        assert (await ledger.execute(fire(schedule_id, named))).event_count == 0
    assert (await ledger.execute(fire(uuid4(), due_at))).event_count == 0


async def test_a_paused_schedule_does_not_fire_and_has_missed_nothing(ledger: Ledger, database_url: str) -> None:
    schedule_id = await create(ledger)
    due_at = await fall_due(ledger, database_url, schedule_id, ago=timedelta(seconds=1))

    for _ in range(2):
        paused = await ledger.execute(PauseSchedule(caller=ALICE, schedule_id=schedule_id, reason="moving"))
    assert (await ledger.execute(fire(schedule_id, due_at))).event_count == 0
    assert paused.result["next_at"] is None
    for _ in range(2):
        await ledger.execute(ResumeSchedule(caller=ALICE, schedule_id=schedule_id))

    after = await state(ledger, schedule_id)
    assert (after.next_at, after.missed) == (due_at + timedelta(days=1), 0)
    assert (await types_of(ledger, schedule_stream(schedule_id)))[1:] == ["schedule.paused", "schedule.resumed"]


async def test_a_deleted_schedule_is_gone(ledger: Ledger, database_url: str) -> None:
    schedule_id = await create(ledger)
    due_at = await fall_due(ledger, database_url, schedule_id, ago=timedelta(seconds=1))

    await ledger.execute(DeleteSchedule(caller=ALICE, schedule_id=schedule_id))

    assert (await ledger.execute(fire(schedule_id, due_at))).event_count == 0
    for command in (DeleteSchedule, PauseSchedule, ResumeSchedule, RunSchedule):
        with pytest.raises(GoneError):
            await ledger.execute(command(caller=ALICE, schedule_id=schedule_id))
    with pytest.raises(NotFoundError):
        await ledger.execute(DeleteSchedule(caller=ALICE, schedule_id=uuid4()))


async def test_running_at_once_leaves_the_due_times_as_they_are(ledger: Ledger) -> None:
    """Also of one that is paused; and maintenance may run by no schedule."""
    schedule_id = await create(ledger)
    before = await state(ledger, schedule_id)

    outcome = await ledger.execute(RunSchedule(caller=ALICE, schedule_id=schedule_id))
    maintenance = await ledger.execute(RunMaintenance(caller=ALICE, full_build=True))

    after = await state(ledger, schedule_id)
    assert (outcome.result["job_id"], maintenance.result) == (1, {"job_id": 2})
    assert (after.next_at, after.last_job_id, after.last_due_at) == (before.next_at, 1, None)
    assert (await ledger.job(ORG, 2)).attributes == {"full_build": True}


@pytest.mark.parametrize(
    ("expression", "action", "error"),
    [
        ("0 0 24 ? * *", MAINTENANCE, InvalidExpressionError),
        ("0 0 0 30 2 ?", MAINTENANCE, InvalidExpressionError),
        ("0 0 4 ? * *", {"kind": "format the disk"}, InvalidCommandError),
        ("0 0 4 ? * *", {}, InvalidCommandError),
        ("0 0 4 ? * *", {"kind": ["maintenance"]}, InvalidCommandError),
        ("0 0 4 ? * *", {**MAINTENANCE, "full_build": 1}, InvalidCommandError),
        ("0 0 4 ? * *", {**MAINTENANCE, "path": "/"}, InvalidCommandError),
    ],
)
async def test_a_schedule_that_would_do_nothing_is_refused(
    ledger: Ledger, expression: str, action: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await ledger.execute(CreateSchedule(caller=ALICE, schedule_id=uuid4(), expression=expression, action=action))

    assert (await ScheduleQuery(ledger.database).schedules(ORG, limit=9)).documents == []


async def test_schedules_need_their_capability(ledger: Ledger) -> None:
    schedule_id = await create(ledger)

    for command in (
        CreateSchedule(caller=AUDITOR, schedule_id=uuid4(), expression="0 0 4 ? * *", action=MAINTENANCE),
        PauseSchedule(caller=AUDITOR, schedule_id=schedule_id),
        RunMaintenance(caller=AUDITOR),
        FireSchedule(caller=ALICE, schedule_id=schedule_id, due_at=BEGUN),
    ):
        with pytest.raises(NotAllowedError):
            await ledger.execute(command)


async def test_a_repeated_creation_creates_one(ledger: Ledger) -> None:
    """Under its Idempotency-Key, though each comes with an id of its own; without a key two are alike."""
    ids = []
    for _ in range(2):
        command = CreateSchedule(
            caller=ALICE,
            schedule_id=uuid4(),
            expression="0 0 4 ? * *",
            action=MAINTENANCE,
            idempotency=idempotency("a"),
        )
        ids.append((await ledger.execute(command)).result["id"])
    await create(ledger)

    documents = (await ScheduleQuery(ledger.database).schedules(ORG, limit=9)).documents
    assert ids[0] == ids[1] == documents[0]["id"]
    assert len(documents) == 2


class World:
    """The domain alone, under a clock that is told: as the sequencer decides, no command after another's time."""

    def __init__(self) -> None:
        self.aggregates: dict[str, Aggregate | None] = {}
        self.events: list[Any] = []
        self.recorded_at = BEGUN
        self.numbers: dict[str, int] = {}

    def execute(self, clock: datetime, command: Command) -> Outcome:
        # recorded_at never falls.
        self.recorded_at = now = max(clock, self.recorded_at)
        for stream in command.streams():
            self.aggregates.setdefault(stream, None)
        head = Head(len(self.events), b"", now, self.numbers, {}, 0)
        batch = Batch(ORG, head, now, self.aggregates)
        outcome = batch.execute(command, {})
        self.numbers = dict(batch.numbers)
        self.events += outcome.events
        return outcome

    @property
    def schedule(self) -> Schedule:
        schedule = self.aggregates[schedule_stream(SCHEDULE)]
        assert isinstance(schedule, Schedule)
        return schedule


HOUR = 3600.0
# How far the clock goes between two looks: as it should, or with a jump of an hour or more, forward or back.
STEPS = st.one_of(
    st.floats(0.01, 30),
    st.floats(0.01, 2),
    st.sampled_from([HOUR, -HOUR, 25 * HOUR, -25 * HOUR, 0.0, LATE.total_seconds()]),
)
EXPRESSIONS = st.sampled_from(
    ["* * * ? * *", "*/7 * * ? * *", "0 * * ? * *", "30 5/10 * * * ?", "0 0 4 ? * *", "0 0 0 L * ?"]
)


@settings(max_examples=150)
@given(expression=EXPRESSIONS, steps=st.lists(STEPS, max_size=40), servers=st.integers(1, 3))
def test_whatever_the_clock_does_each_due_time_is_fired_for_once_or_counted(
    expression: str, steps: Sequence[float], servers: int
) -> None:
    """Several servers, each with what it saw a look ago."""
    world, cron = World(), CronExpression.parse(expression)
    world.execute(BEGUN, CreateSchedule(caller=ALICE, schedule_id=SCHEDULE, expression=expression, action=MAINTENANCE))
    clock, seen = BEGUN, [world.schedule.next_at] * servers

    for number, step in enumerate(steps):
        clock += timedelta(seconds=step)
        server = number % servers
        due_at = seen[server]
        assert due_at is not None
        world.execute(clock, fire(SCHEDULE, due_at))
        seen[server] = world.schedule.next_at

    fired = [it for it in world.events if isinstance(it, Schedule.Fired)]
    dues = [it.due_at for it in fired]
    assert dues == sorted(set(dues))
    assert all(it.due_at <= it.timestamp for it in fired)
    covered = BEGUN
    for it in fired:
        assert cron.count_between(covered, it.due_at) == 1 + it.missed
        covered = it.due_at
    assert (world.schedule.fires, world.schedule.missed) == (len(fired), sum(it.missed for it in fired))
