"""What holds of each event that a job can have, also of those to come: it is looked at by its members, not by its name.

What a hold's filter judges a job by stays as it is, so that no job leaves a hold; what is private stays among the members and
in the column that erasing empties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import orjson
import pytest

from jobledger.ledger.domain.aggregate import ENVELOPE, Aggregate
from jobledger.ledger.domain.event_types import EVENT_CLASSES
from jobledger.ledger.domain.hold import FILTER_MEMBERS, FILTER_TIMES, HoldFilter
from jobledger.ledger.domain.job import FINAL_STATES, Job, State
from jobledger.ledger.domain.job_removal import Erased, Removal, residue_of
from jobledger.projections.jobs import DECISIONS, PRIVATE, render_decided, updated_row
from tests.located import SECRET, Located

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
JOB_EVENTS: list[Any] = [it for it in EVENT_CLASSES if issubclass(it, Job.Event) and it is not Job.Registered]
# From which states an event of the job's course is decided; all others may come whenever they like.
RUNNING = (State.RUNNING, State.STALE)
FROM_STATES: dict[type[Any], tuple[State, ...]] = {
    Job.Started: (State.SCHEDULED,),
    Job.StageEntered: RUNNING,
    Job.Progressed: RUNNING,
    Job.Succeeded: RUNNING,
    Job.Failed: RUNNING,
    Job.Cancelled: (State.SCHEDULED, *RUNNING),
    Job.Discarded: (State.SCHEDULED, *RUNNING),
    Job.WentStale: (State.RUNNING,),
    Job.Resumed: (State.STALE,),
}


class Leaking(Located):
    """As ``Located``, but what is private goes where nobody erases it."""

    def apply(self, aggregate: Job) -> None:
        super().apply(aggregate)
        if self.location is not None:
            aggregate.message = self.location["name"]


class Moved(Job.Decision):
    """The job is to be run at another time."""

    type_name: ClassVar[str] = "job.moved"
    scheduled_at: datetime

    def apply(self, aggregate: Job) -> None:
        super().apply(aggregate)
        aggregate.scheduled_at = self.scheduled_at


def some(kind: Any, text: str) -> Any:
    """A value of the type that a member is declared with."""
    arguments = [it for it in get_args(kind) if it is not type(None)]
    if get_origin(kind) in (list, tuple, Sequence):
        return [some(arguments[0], text)]
    if get_origin(kind) is dict:
        # Members that plain objects in events have.
        return {"id": 7, "name": text, "state": "ready", "reason": text}
    if arguments:
        return some(arguments[0], text)
    plain = {str: text, int: 7, float: 0.5, bool: True, datetime: NOW + timedelta(days=30)}
    return {"id": 7, "name": text} if kind is Any else plain[kind]


def job_in(state: State) -> Job:
    """A job that stands so, with all that a filter can judge it by."""
    registered: Any = Job.begin(
        Job.Registered,
        "job-5",
        NOW - timedelta(days=9),
        [],
        type="copy",
        name="nightly",
        domain="Sales",
        datastream={"id": 5, "name": "five"},
        source="cron",
        external_id="a",
        scheduled_at=NOW - timedelta(days=8),
    )
    job: Job = registered
    if state is State.SCHEDULED:
        return job
    job.start(NOW, started_at=NOW - timedelta(days=7))
    match state:
        case State.STALE:
            job.go_stale(NOW, NOW)
        case State.SUCCESS:
            job.succeed(NOW, ended_at=NOW - timedelta(days=6))
        case State.FAILED:
            job.fail(NOW, ended_at=NOW - timedelta(days=6))
        case State.CANCELLED:
            job.cancel(NOW, ended_at=NOW - timedelta(days=6))
        case State.DISCARDED:
            job.discard(NOW, "not needed", ended_at=NOW - timedelta(days=6))
    return job


def tightest(job: Job) -> HoldFilter:
    """The filter that lets nothing through but what is as this job is: any other that covers it asks for less."""
    assert job.datastream is not None
    members: dict[str, Any] = {name: getattr(job, name) for name in ("type", "domain", "source", "external_id")}
    members["datastream_id"] = str(job.datastream["id"])
    if job.state in FINAL_STATES:
        members["state"] = str(job.state)
    for name in sorted(FILTER_TIMES):
        instant = getattr(job, f"{name.rpartition('_')[0]}_at")
        if instant is not None:
            members[name] = instant if name.endswith("_from") else instant + MOMENT
    assert members.keys() <= set(FILTER_MEMBERS)
    return HoldFilter(**members)


def happen(job: Job, event_class: type[Any], text: str = "another", only: Sequence[str] | None = None) -> None:
    """Such an event, with *text* in each member, or in those of *only*, and another in what it cannot do without."""
    hints = get_type_hints(event_class)
    members = {
        it.name: some(hints[it.name], text if only is None or it.name in only else "another")
        for it in fields(event_class)
        if it.name not in ENVELOPE and (only is None or it.name in only or it.default is MISSING)
    }
    if issubclass(event_class, Removal) and "residue" in members:
        members["residue"] = residue_of(job)
    job.trigger_event(event_class, timestamp=NOW, **members)


def is_left(event_class: type[Any], state: State) -> bool:
    """Whether the event takes a job that stands so out of a hold that covers it."""
    job = job_in(state)
    wanted = tightest(job)
    assert wanted.covers(job)
    happen(job, event_class)
    return not wanted.covers(job)


@pytest.mark.parametrize("event_class", JOB_EVENTS, ids=lambda it: it.type_name)
def test_no_event_takes_a_job_out_of_a_hold_over_a_filter(event_class: type[Any]) -> None:
    """But a cancelled job that is discarded in the append that cancelled it: nobody saw it otherwise."""
    left = [state for state in FROM_STATES.get(event_class, tuple(State)) if is_left(event_class, state)]

    assert left == []


def test_an_event_that_moves_a_job_is_noticed() -> None:
    assert is_left(Moved, State.SCHEDULED)


def leaks(event_class: type[Any]) -> list[str]:
    """Where a private value that such an event carries is known besides where erasing looks for it, and afterwards."""
    job = job_in(State.RUNNING)
    happen(job, event_class, SECRET, only=event_class.private)
    event: Any = job._pending_events[-1]
    found = []
    if SECRET not in str(event.private_data):
        found.append("not among what is private")
    if SECRET in str(event.data):
        found.append("data")
    apart = {name: it for name, it in job.__dict__.items() if name not in (*Job.PRIVATE_MEMBERS, "_pending_events")}
    found += [name for name, it in apart.items() if SECRET in str(it)]
    rendered = render_decided(job, PRIVATE)
    if rendered is None or SECRET not in rendered:
        found.append("not in the column of what is private")
    found += [f"column {number}" for number, it in enumerate(updated_row(job)) if it != rendered and SECRET in str(it)]
    job.trigger_event(Erased, timestamp=NOW, scope="private")
    if SECRET in str({name: it for name, it in job.__dict__.items() if name != "_pending_events"}):
        found.append("after it was erased")
    return found


WITH_PRIVATE_MEMBERS = [it for it in EVENT_CLASSES if getattr(it, "private", ())]


@pytest.mark.parametrize("event_class", [Located, *WITH_PRIVATE_MEMBERS], ids=lambda it: it.type_name)
def test_what_is_private_in_an_event_can_be_erased(event_class: Any) -> None:
    """Only the streams of jobs are reached by what removes it, and of a job only the members that say so."""
    assert issubclass(event_class, Job.Event)
    assert set(event_class.private) <= {it.name for it in fields(event_class)} - ENVELOPE
    assert leaks(event_class) == []


def test_a_private_member_that_nobody_erases_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert leaks(Leaking)
    monkeypatch.setattr(Job, "PRIVATE_MEMBERS", ("extended_properties",))

    assert "location" in leaks(Located)


def test_members_that_are_private_are_in_no_other_column() -> None:
    assert set(PRIVATE) == set(Job.PRIVATE_MEMBERS)
    assert not set(PRIVATE) & set(DECISIONS)
    assert all(getattr(Job, name) is None for name in Job.PRIVATE_MEMBERS)


def test_every_event_is_written_with_the_values_that_it_was_given() -> None:
    """So that what is looked at here is what events hold: no member of theirs is passed over."""
    for event_class in (*JOB_EVENTS, Located, Moved):
        job = job_in(State.RUNNING)
        happen(job, event_class)
        [event] = job._pending_events[-1:]
        assert isinstance(event, Aggregate.Event)
        written = orjson.loads(orjson.dumps([event.data, event.private_data]))
        given = {it.name for it in fields(event_class)} - ENVELOPE
        assert {*written[0], *(written[1] or {})} == given
