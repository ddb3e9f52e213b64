"""Jobs that follow others, and what becomes of them when those break."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_commands import CancelJob, FailJob, JudgeOverdueJob, StartJob, StopJob
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.store import batch
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from tests.examples import examples
from tests.world import (
    ALICE,
    ORG,
    cancel,
    fail,
    ids,
    register,
    register_chain,
    register_running,
    registration,
    spec,
    start,
    succeed,
)

ORG_NUMBERS = count(1)


async def state(ledger: Ledger, job_id: int, org: str = ORG) -> State:
    return (await ledger.job(org, job_id)).state


@pytest.mark.parametrize(
    ("breaking", "type_name", "why"), [(fail, "job.failed", "failed"), (cancel, "job.cancelled", "was cancelled")]
)
async def test_follow_ups_are_discarded_with_the_job_they_follow(
    ledger: Ledger, breaking: Callable[[int], Command], type_name: str, why: str
) -> None:
    """All in one append, nearest first: no reader sees one without the others. Each says which job broke before it."""
    first, second, third = await register_chain(ledger, length=3)

    outcome = await ledger.execute(breaking(first))

    assert [it.type_name for it in outcome.events] == [type_name, "job.discarded", "job.discarded"]
    assert outcome.result["discarded"] == [second, third]
    assert (await ledger.job(ORG, second)).reason == f"preceding job {first} {why}"
    assert (await ledger.job(ORG, third)).reason == f"preceding job {second} was discarded"


async def test_follow_ups_of_a_job_that_never_started_are_discarded_with_it(ledger: Ledger) -> None:
    job_id = await register(ledger, start_timeout=0)
    follower = await register(ledger, preceding_job_id=job_id)

    outcome = await ledger.execute(JudgeOverdueJob(caller=ledger_itself(ORG), job_id=job_id))

    assert [it.type_name for it in outcome.events] == ["job.discarded", "job.discarded"]
    assert await state(ledger, follower) is State.DISCARDED


async def test_follow_ups_of_a_job_that_ended_well_stay(ledger: Ledger) -> None:
    first, second = await register_chain(ledger, length=2)

    await ledger.execute(succeed(first))

    assert await state(ledger, second) is State.SCHEDULED


async def test_a_follow_up_that_has_started_goes_on(ledger: Ledger) -> None:
    """And so does what follows it."""
    first, second, third = await register_chain(ledger, length=3)
    await ledger.execute(start(second))

    outcome = await ledger.execute(fail(first))

    assert outcome.result["discarded"] == []
    assert [await state(ledger, it) for it in (second, third)] == [State.RUNNING, State.SCHEDULED]


async def test_a_follow_up_registered_beside_the_failure_is_discarded(ledger: Ledger) -> None:
    """Decided in one batch, before or after the failure."""
    job_id = await register_running(ledger)

    outcomes = await asyncio.gather(
        *(ledger.execute(registration(preceding_job_id=job_id)) for _ in range(3)),
        ledger.execute(fail(job_id)),
        *(ledger.execute(registration(preceding_job_id=job_id)) for _ in range(3)),
    )

    followers = [n for outcome in outcomes if "jobs" in outcome.result for n in ids(outcome)]
    assert len(followers) == 6
    assert {await state(ledger, it) for it in followers} == {State.DISCARDED}


async def test_every_failure_in_a_batch_sees_every_follow_up_registered_in_it(ledger: Ledger) -> None:
    """What one failure asks anew is not taken for asked by the next."""
    jobs = [await register_running(ledger) for _ in range(4)]

    outcomes = await asyncio.gather(
        *(ledger.execute(registration(preceding_job_id=it)) for it in jobs), *(ledger.execute(fail(it)) for it in jobs)
    )

    followers = [n for outcome in outcomes[:4] for n in ids(outcome)]
    assert [it.result["discarded"] for it in outcomes[4:]] == [[it] for it in followers]


async def test_a_follow_up_that_starts_beside_the_failure_counts_as_started(ledger: Ledger) -> None:
    first, second, third = await register_chain(ledger, length=3)

    outcomes = await asyncio.gather(ledger.execute(start(second)), ledger.execute(fail(first)))

    assert outcomes[1].result["discarded"] == []
    assert [await state(ledger, it) for it in (second, third)] == [State.RUNNING, State.SCHEDULED]


async def test_a_wide_and_deep_tree_is_discarded_whole(ledger: Ledger) -> None:
    """Hundreds of follow-ups go with the job in one append."""
    root = await register_running(ledger)
    [layer] = [[root]]
    everything = []
    for _ in range(6):
        outcome = await ledger.execute(
            registration(
                *(spec(preceding_job_id=parent) for parent in layer for _ in range(3 if len(layer) < 200 else 1))
            )
        )
        layer = ids(outcome)
        everything += layer

    outcome = await ledger.execute(fail(root))

    assert sorted(outcome.result["discarded"]) == everything
    assert outcome.event_count == len(everything) + 1


@st.composite
def forests(draw: st.DrawFn) -> tuple[list[int | None], list[bool], list[tuple[str, int]]]:
    """Of each job its preceding one's index, whether it runs, and which jobs break, how."""
    size = draw(st.integers(1, 12))
    preceding: list[int | None] = [None]
    preceding += [draw(st.none() | st.integers(0, n - 1)) for n in range(1, size)]
    running = [draw(st.booleans()) for _ in range(size)]
    breaking = draw(
        st.lists(st.tuples(st.sampled_from(["fail", "cancel", "stop"]), st.integers(0, size - 1)), max_size=4)
    )
    return preceding, running, breaking


@examples(40)
@given(forests(), st.booleans())
async def test_exactly_the_scheduled_jobs_behind_a_broken_one_are_discarded(
    ledger: Ledger, forest: tuple[list[int | None], list[bool], list[tuple[str, int]]], is_at_once: bool
) -> None:
    """Whatever the forest, which of its jobs run, and whether all of it comes one by one or at once."""
    preceding, running, breaking = forest
    org = f"forest-{next(ORG_NUMBERS)}"
    await ledger.create_org(org)
    caller = replace(ALICE, org=org)
    commands: list[Command] = [
        registration(caller=caller, preceding_job_id=None if it is None else it + 1) for it in preceding
    ]
    commands += [StartJob(caller=caller, job_id=n + 1, stage="fetch") for n, runs in enumerate(running) if runs]
    kinds: dict[str, Any] = {"fail": FailJob, "cancel": CancelJob, "stop": StopJob}
    commands += [kinds[kind](caller=caller, job_id=n + 1) for kind, n in breaking]

    if is_at_once:
        await asyncio.gather(*(ledger.execute(it) for it in commands), return_exceptions=True)
    else:
        for command in commands:
            await asyncio.gather(ledger.execute(command), return_exceptions=True)

    assert [await state(ledger, n + 1, org) for n in range(len(preceding))] == _expected(preceding, running, breaking)


def _expected(preceding: list[int | None], running: list[bool], breaking: list[tuple[str, int]]) -> list[State]:
    states = [State.RUNNING if runs else State.SCHEDULED for runs in running]
    for kind, broken in breaking:
        if kind == "fail" and states[broken] is State.RUNNING:
            states[broken] = State.FAILED
        elif kind == "cancel" and states[broken] in (State.RUNNING, State.SCHEDULED):
            states[broken] = State.CANCELLED
        elif kind == "stop" and states[broken] is State.RUNNING:
            states[broken] = State.DISCARDED
        else:
            continue
        fallen = {broken}
        for n, before in enumerate(preceding):  # a job follows only one registered before it
            if before in fallen and states[n] is State.SCHEDULED:
                states[n] = State.DISCARDED
                fallen.add(n)
    return states


async def test_a_job_ends_however_many_wait_for_it(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows by the ledger's own rules is not counted against the most events of a request: here a hundred."""
    monkeypatch.setattr(batch, "LARGEST_COMMAND_EVENTS", 100)
    first = await register_running(ledger)
    await ledger.execute(registration(*(spec(preceding_job_id=first) for _ in range(100))))
    with pytest.raises(InvalidCommandError):
        await ledger.execute(registration(*(spec(preceding_job_id=first) for _ in range(101))))

    outcome = await ledger.execute(fail(first))

    assert outcome.event_count == 101
