"""Legal holds: over jobs that they list, and over all that a filter lets through, now and later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from jobledger.ledger.domain.hold import HoldFilter
from jobledger.ledger.domain.hold_commands import MOST_FILTER_HOLDS, PlaceHold, ReleaseHold
from jobledger.ledger.domain.job_keeping import ReleaseJob
from jobledger.ledger.domain.job_removal import DeleteJob
from jobledger.ledger.domain.policy_commands import ChangePolicy
from jobledger.ledger.errors import (
    InvalidCommandError,
    JobIsHeldError,
    NotAllowedError,
    NotFoundError,
    TooManyHoldsError,
)
from jobledger.ledger.store.ledger import Ledger
from tests.world import ALICE, ORG, SALES, ids, register, registration, spec, types_of


def place(**members: Any) -> PlaceHold:
    return PlaceHold(**{"caller": ALICE, "name": "case 7", **members})


def release(hold_id: int, **members: Any) -> ReleaseHold:
    return ReleaseHold(**{"caller": ALICE, "hold_id": hold_id, "reason": "settled", **members})


def delete(job_id: int) -> DeleteJob:
    return DeleteJob(caller=ALICE, job_id=job_id, reason="asked for")


async def test_a_hold_over_a_list_stands_with_each_of_its_jobs(ledger: Ledger) -> None:
    await ledger.execute(registration(spec(), spec()))

    placed = await ledger.execute(place(job_ids=[2, 1, 2]))
    assert (placed.result, placed.event_count) == ({"id": 1, "name": "case 7", "version": 1}, 3)
    assert (await ledger.job(ORG, 1)).holds == {"1": "case 7"}

    released = await ledger.execute(release(1))
    assert released.event_count == 3
    assert (await ledger.job(ORG, 1)).holds == {}
    assert await types_of(ledger, "job-2") == ["job.registered", "job.hold_placed", "job.hold_released"]
    assert (await ledger.execute(release(1))).event_count == 0


async def test_a_hold_is_placed_and_released_in_one_batch(ledger: Ledger, under_lock: None) -> None:
    await register(ledger)

    outcomes = [
        await ledger.enqueue(it) for it in (place(job_ids=[1]), release(1), place(filter=HoldFilter(type="copy")))
    ]
    deleting = await ledger.enqueue(delete(1))

    assert [(await it).event_count for it in outcomes] == [2, 2, 1]
    with pytest.raises(JobIsHeldError):
        await deleting


async def test_a_hold_over_a_filter_is_one_event_and_holds_what_comes_later(ledger: Ledger) -> None:
    await register(ledger, type="audit")
    placed = await ledger.execute(
        place(filter=HoldFilter(type="audit", registered_from=datetime(2020, 1, 1, tzinfo=UTC)))
    )
    await register(ledger, type="audit")
    await register(ledger, type="copy")

    assert placed.event_count == 1
    for held in (1, 2):
        with pytest.raises(JobIsHeldError):
            await ledger.execute(delete(held))
    await ledger.execute(delete(3))
    await ledger.execute(release(1))
    await ledger.execute(delete(1))


async def test_a_hold_that_cannot_be_is_refused(ledger: Ledger) -> None:
    await register(ledger)
    await register(ledger)
    await ledger.execute(delete(2))

    refused: tuple[dict[str, Any], ...] = (
        {"job_ids": []},
        {},
        {"job_ids": [1], "filter": HoldFilter(type="copy")},
        {"filter": HoldFilter()},
        {"filter": HoldFilter(state="RUNNING")},
        {"job_ids": [1], "name": " "},
        {"job_ids": range(1, 10_002)},
    )
    for members in refused:
        with pytest.raises(InvalidCommandError):
            await ledger.execute(place(**members))
    with pytest.raises(NotFoundError) as refusal:
        await ledger.execute(place(job_ids=[1, 2, 77]))
    assert refusal.value.facts == {"job_ids": [2, 77]}
    with pytest.raises(NotAllowedError):
        await ledger.execute(replace_caller(place(job_ids=[1])))
    with pytest.raises(InvalidCommandError):
        await ledger.execute(release(1, reason=None))
    with pytest.raises(NotFoundError):
        await ledger.execute(release(1))
    assert (await ledger.job(ORG, 1)).version == 1


def replace_caller(command: PlaceHold) -> PlaceHold:
    command.caller = replace(SALES)
    return command


async def test_holds_over_filters_are_few(ledger: Ledger) -> None:
    waiting = [await ledger.enqueue(place(filter=HoldFilter(type=str(it)))) for it in range(MOST_FILTER_HOLDS)]
    assert [(await it).result["id"] for it in waiting] == list(range(1, MOST_FILTER_HOLDS + 1))

    with pytest.raises(TooManyHoldsError):
        await ledger.execute(place(filter=HoldFilter(type="one more")))
    await ledger.execute(release(50))
    await ledger.execute(place(filter=HoldFilter(type="one more")))


@pytest.mark.slow
async def test_ten_thousand_jobs_are_held_at_once(ledger: Ledger) -> None:
    held = ids(await ledger.execute(registration(*[spec()] * 10_000)))

    placed = await ledger.execute(place(job_ids=held))

    assert placed.event_count == 10_001
    with pytest.raises(JobIsHeldError):
        await ledger.execute(delete(10_000))


@pytest.mark.parametrize(
    "nothing", ["", " \t\n", "\u200b", "\u200e\u200f\u202e", "\ufeff\xad", "\u0301", "\u3164\u2800"]
)
async def test_what_cannot_be_seen_is_no_reason_and_no_name(ledger: Ledger, nothing: str) -> None:
    await register(ledger)
    await ledger.execute(place(job_ids=[1]))
    size = (await ledger.recorder.head(ORG)).size

    for command in (
        place(job_ids=[1], name=nothing),
        place(job_ids=[1], reason=nothing),
        release(1, reason=nothing),
        DeleteJob(caller=ALICE, job_id=1, reason=nothing),
        ReleaseJob(caller=ALICE, job_id=1, reason=nothing),
        ChangePolicy(caller=ALICE, rules=[], reason=nothing),
    ):
        with pytest.raises(InvalidCommandError):
            await ledger.execute(command)

    assert (await ledger.recorder.head(ORG)).size == size
    assert (await ledger.execute(release(1, reason=f"{nothing}é1.✓"))).event_count == 2
