"""A job's states as a truth table, and random histories."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from eventsourcing.domain import OriginatorVersionError
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.aggregate import Aggregate, event_from_data
from jobledger.ledger.domain.event_types import read_event
from jobledger.ledger.domain.job import FINAL_STATES, LARGEST_JOB_ID, Job, State, job_id_of, job_stream
from jobledger.ledger.errors import ConflictError, JobCannotBeStoppedError, JobIsFinalError, JobIsNotRunningError

NOW = datetime(2026, 11, 21, 22, 34, 5, 123456, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)

Transition = Callable[[Job], None]
TRANSITIONS: dict[str, Transition] = {
    "start": lambda job: job.start(LATER, "copying"),
    "enter_stage": lambda job: job.enter_stage(LATER, "verifying"),
    "enter_fetch": lambda job: job.enter_stage(LATER, "fetch"),
    "enter_same_stage": lambda job: job.enter_stage(LATER, job.stage or ""),
    "report_progress": lambda job: job.report_progress(LATER, 0.5, {f"at {job.version}": 7}, "half"),
    "give_sign_of_life": lambda job: job.give_sign_of_life(LATER),
    "succeed": lambda job: job.succeed(LATER, message="well"),
    "fail": lambda job: job.fail(LATER, error="no route"),
    "cancel": lambda job: job.cancel(LATER, reason="not needed"),
    "stop": lambda job: job.stop(LATER),
    "discard": lambda job: job.discard(LATER, "never"),
    "go_stale": lambda job: job.go_stale(LATER, NOW),
}
FINAL, NOT_RUNNING, NOT_STOPPABLE = JobIsFinalError, JobIsNotRunningError, JobCannotBeStoppedError
# What each transition records in SCHEDULED, RUNNING and STALE, or why it is refused. In a final state all are refused.
# (A job is stopped in the stage fetch alone, in which none of these is.)
TRUTH: dict[str, tuple[Any, Any, Any]] = {
    "start": (["job.started"], [], ["job.resumed"]),
    "enter_stage": (NOT_RUNNING, ["job.stage_entered"], ["job.resumed", "job.stage_entered"]),
    "enter_fetch": (NOT_RUNNING, ["job.stage_entered"], ["job.resumed", "job.stage_entered"]),
    "enter_same_stage": (NOT_RUNNING, [], ["job.resumed"]),
    "report_progress": (NOT_RUNNING, ["job.progressed"], ["job.resumed", "job.progressed"]),
    "give_sign_of_life": (NOT_RUNNING, [], ["job.resumed"]),
    "succeed": (NOT_RUNNING, ["job.succeeded"], ["job.succeeded"]),
    "fail": (NOT_RUNNING, ["job.failed"], ["job.failed"]),
    "cancel": (["job.cancelled"], ["job.cancelled"], ["job.cancelled"]),
    "stop": (NOT_STOPPABLE, NOT_STOPPABLE, NOT_STOPPABLE),
    "discard": (["job.discarded"], ["job.discarded"], ["job.discarded"]),
    "go_stale": (NOT_RUNNING, ["job.went_stale"], []),
}
AFTERWARDS = {
    "job.started": State.RUNNING,
    "job.resumed": State.RUNNING,
    "job.succeeded": State.SUCCESS,
    "job.failed": State.FAILED,
    "job.cancelled": State.CANCELLED,
    "job.discarded": State.DISCARDED,
    "job.went_stale": State.STALE,
}
WAYS: dict[State, list[str]] = {
    State.SCHEDULED: [],
    State.RUNNING: ["start"],
    State.STALE: ["start", "go_stale"],
    State.SUCCESS: ["start", "succeed"],
    State.FAILED: ["start", "fail"],
    State.CANCELLED: ["cancel"],
    State.DISCARDED: ["discard"],
}


def registered(**members: Any) -> Job:
    return Job.begin(Job.Registered, "job-42", NOW, [], type="copy", name="nightly", domain="Global", **members)


def job_in(state: State) -> Job:
    job = registered(stage="waiting")
    for name in WAYS[state]:
        TRANSITIONS[name](job)
    assert job.state is state
    job.settle()
    return job


def members(job: Job) -> dict[str, Any]:
    return {name: value for name, value in vars(job).items() if name != "_pending_events"}


def test_every_transition_is_in_the_truth_table() -> None:
    assert TRUTH.keys() == TRANSITIONS.keys()
    assert WAYS.keys() == set(State)


@pytest.mark.parametrize("name", TRANSITIONS)
@pytest.mark.parametrize("state", State)
def test_a_transition_in_a_state(state: State, name: str) -> None:
    """It records what the truth table says, or is refused and changes nothing."""
    job = job_in(state)
    before = members(job)
    expected = (
        NOT_STOPPABLE
        if name == "stop"
        else FINAL
        if state in FINAL_STATES
        else TRUTH[name][[State.SCHEDULED, State.RUNNING, State.STALE].index(state)]
    )

    if isinstance(expected, list):
        TRANSITIONS[name](job)
        events: Any = job.pending_events
        assert [event.type_name for event in events] == expected
        assert job.version == before["_version"] + len(expected)
        changes = [AFTERWARDS[it] for it in expected if it in AFTERWARDS]
        assert job.state is (changes[-1] if changes else state)
    else:
        with pytest.raises(expected) as refusal:
            TRANSITIONS[name](job)
        assert refusal.value.facts["state"] == state
        assert members(job) == before
        assert job.pending_events == []


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_a_final_job_says_when_and_why_it_ended(state: State) -> None:
    job = job_in(state)

    assert job.is_final
    assert job.ended_at == LATER
    assert job.due_at is None
    assert job.reason == {State.FAILED: "no route", State.CANCELLED: "not needed", State.DISCARDED: "never"}.get(state)


@pytest.mark.parametrize("state", State)
def test_a_job_is_stopped_only_while_it_runs_in_the_stage_fetch(state: State) -> None:
    """It is cancelled, which the history shows, and ends discarded; a final job never does."""
    job = registered(stage="fetch")
    for name in WAYS[state]:
        if name == "start":
            job.start(LATER, "fetch")
        else:
            TRANSITIONS[name](job)
    job.settle()
    before = members(job)

    if state is State.RUNNING:
        job.stop(LATER)
        events: Any = job.pending_events
        assert [(it.type_name, it.data) for it in events] == [
            ("job.cancelled", {"reason": "cancelled manually"}),
            ("job.discarded", {"reason": "cancelled manually"}),
        ]
        assert (job.state, job.reason, job.ended_at) == (State.DISCARDED, "cancelled manually", LATER)
    else:
        with pytest.raises(JobCannotBeStoppedError) as refusal:
            job.stop(LATER)
        assert refusal.value.facts == {"job_id": 42, "state": state, "stage": "fetch"}
        assert members(job) == before


def test_a_reported_time_goes_before_that_of_recording() -> None:
    job = registered()

    job.start(LATER, started_at=NOW)
    job.fail(LATER, ended_at=NOW + timedelta(milliseconds=5))

    assert (job.started_at, job.ended_at) == (NOW, NOW + timedelta(milliseconds=5))


def test_a_report_keeps_what_it_does_not_mention() -> None:
    job = job_in(State.RUNNING)

    job.report_progress(LATER, progress=0.25, figures={"a": 1, "b": 2}, message="first")
    job.report_progress(LATER, figures={"b": 3})
    job.report_progress(LATER)

    assert (job.progress, job.figures, job.message) == (0.25, {"a": 1, "b": 3}, "first")


def test_a_job_is_overdue_by_its_own_timeouts() -> None:
    """A scheduled one counted from its scheduled start, a running one from its last report; others never."""
    at = NOW + timedelta(days=1)
    job = registered(start_timeout=60, heartbeat_timeout=30, scheduled_at=at)
    assert job.due_at == at + timedelta(seconds=60)
    assert registered(start_timeout=60).due_at == NOW + timedelta(seconds=60)

    job.start(LATER)
    assert job.due_at == LATER + timedelta(seconds=30)
    job.report_progress(LATER + timedelta(seconds=9))
    assert job.due_at == LATER + timedelta(seconds=39)
    job.go_stale(LATER + timedelta(seconds=60), LATER)
    assert job.due_at is None
    job.give_sign_of_life(LATER + timedelta(seconds=90))
    assert job.due_at == LATER + timedelta(seconds=120)
    assert job_in(State.RUNNING).due_at is None


@given(st.lists(st.sampled_from(sorted(TRANSITIONS)), max_size=25))
def test_any_history_folds_to_what_it_decided(names: list[str]) -> None:
    """A refusal changes nothing, a final state never changes, and the events alone make the same job."""
    events: list[Aggregate.Event] = []
    job = Job.begin(
        Job.Registered, "job-42", NOW, events, type="copy", name="n", domain="Global", heartbeat_timeout=5, stage="s"
    )
    for name in names:
        before, recorded = members(job), len(events)
        try:
            TRANSITIONS[name](job)
        except ConflictError:
            assert members(job) == before
            assert len(events) == recorded
        if before["state"] in FINAL_STATES:
            assert members(job) == before

    assert [event.originator_version for event in events] == list(range(1, len(events) + 1))
    folded: Any = None
    for event in events:
        data = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in event.data.items()}
        read = read_event(event.type_name, 1, "job-42", event.originator_version, event.timestamp, data)
        assert read == event
        folded = read.mutate(folded)
    assert members(folded) == members(job)


@given(st.lists(st.sampled_from(sorted(TRANSITIONS)), max_size=10), st.sampled_from(sorted(TRANSITIONS)))
def test_what_is_decided_on_a_copy_leaves_the_original_as_it_was(names: list[str], last: str) -> None:
    job = registered(attributes={"a": {"b": 1}}, heartbeat_timeout=5)
    for name in names:
        try:
            TRANSITIONS[name](job)
        except ConflictError:
            continue
    before = repr(members(job))
    events: list[Any] = []

    copy = job.working_copy(events)
    with suppress(ConflictError):
        TRANSITIONS[last](copy)

    assert repr(members(job)) == before
    assert copy.version == job.version + len(events)


def test_a_stream_begins_once() -> None:
    job = registered()
    event: Any = event_from_data(Job.Registered, "job-42", 1, NOW, {"type": "t", "name": "n", "domain": "d"})

    with pytest.raises(OriginatorVersionError):
        event.mutate(job)


def test_a_job_is_known_by_its_stream() -> None:
    assert job_stream(42) == "job-42"
    assert [job_id_of(it) for it in ("job-42", "job-1", f"job-{LARGEST_JOB_ID}")] == [42, 1, LARGEST_JOB_ID]
    others = (
        "org",
        "job-",
        "job-x",
        "job-1x",
        "jobs-1",
        "principal-1",
        f"job-{LARGEST_JOB_ID + 1}",
        "job--1",
        "job-٤",
        "job-07",
    )
    assert [job_id_of(it) for it in others] == [None] * len(others)
