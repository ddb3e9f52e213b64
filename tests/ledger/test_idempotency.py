"""Idempotency-Keys: a request repeated is answered again and recorded once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.job_commands import StartJob
from jobledger.ledger.errors import IdempotencyKeyReusedError, JobExistsError, JobIsFinalError, NotFoundError
from jobledger.ledger.store.ledger import Ledger
from tests.cluster import session
from tests.world import (
    ALICE,
    BOB,
    ORG,
    idempotency,
    ids,
    register,
    register_running,
    registration,
    serving,
    spec,
    start,
    succeed,
)

pytestmark = pytest.mark.usefixtures("either_way")


async def size(ledger: Ledger) -> int:
    return (await ledger.recorder.head(ORG)).size


async def test_a_repeated_request_gets_the_same_answer_and_records_nothing(ledger: Ledger) -> None:
    first = await ledger.execute(registration(spec(), spec(), key="k"))
    before = await size(ledger)

    again = await ledger.execute(registration(spec(), spec(), key="k"))

    assert again == first._replace(is_repeated=True, events=())
    assert await size(ledger) == before


async def test_a_request_that_records_nothing_is_remembered_too(ledger: Ledger) -> None:
    """Its answer then is the answer now, though the job has gone on."""
    job_id = await register(ledger)
    await ledger.execute(start(job_id))
    first = await ledger.execute(start(job_id, idempotency=idempotency("k")))
    await ledger.execute(start(job_id))

    again = await ledger.execute(start(job_id, idempotency=idempotency("k")))

    assert (first.event_count, first.first_position) == (0, None)
    assert again == first._replace(is_repeated=True)


async def test_a_request_repeated_at_once_is_recorded_once(ledger: Ledger) -> None:
    outcomes = await asyncio.gather(*(ledger.execute(registration(key=f"k-{n % 7}")) for n in range(100)))

    assert sorted({ids(it)[0] for it in outcomes}) == [1, 2, 3, 4, 5, 6, 7]
    assert sum(not it.is_repeated for it in outcomes) == 7
    assert await size(ledger) == 8


async def test_a_repeat_among_new_requests_leaves_them_as_they_are(ledger: Ledger) -> None:
    """The batch is decided anew with the answer at hand; each of its neighbours counts once."""
    first = await ledger.execute(registration(key="k"))

    outcomes = await asyncio.gather(
        *(ledger.execute(registration(key="k" if n == 70 else f"new-{n}", name=f"job {n}")) for n in range(150))
    )

    assert outcomes[70].result == first.result
    assert [ids(it)[0] for n, it in enumerate(outcomes) if n != 70] == list(range(2, 151))


async def test_another_server_knows_the_answer(ledger: Ledger, database_url: str) -> None:
    first = await ledger.execute(registration(key="k"))

    async with serving(database_url) as other:
        again = await other.execute(registration(key="k"))

    assert again == first._replace(is_repeated=True, events=())


async def test_two_servers_at_once_record_a_request_once(ledger: Ledger, database_url: str) -> None:
    async with serving(database_url) as other:
        outcomes = await asyncio.gather(
            *(it.execute(registration(key=f"k-{n}")) for n in range(60) for it in (ledger, other))
        )

    assert [a.result for a in outcomes[::2]] == [b.result for b in outcomes[1::2]]
    assert await size(ledger) == 61


async def test_a_key_sent_with_another_request_is_refused(ledger: Ledger) -> None:
    """Whether the first was answered long ago or in the same batch."""
    await ledger.execute(registration(key="k"))
    other = registration()
    other.idempotency = idempotency("k", "another request")
    with pytest.raises(IdempotencyKeyReusedError):
        await ledger.execute(other)

    third = registration()
    third.idempotency = idempotency("new", "another request")
    results = await asyncio.gather(
        ledger.execute(registration(key="new")), ledger.execute(third), return_exceptions=True
    )
    assert [type(it).__name__ for it in results] == ["Outcome", "IdempotencyKeyReusedError"]
    assert await size(ledger) == 3


async def test_a_key_is_a_principals_own(ledger: Ledger) -> None:
    alice, bob = await asyncio.gather(
        *(ledger.execute(registration(key="k", caller=caller)) for caller in (ALICE, BOB))
    )

    assert ids(alice) != ids(bob)


async def test_a_key_is_an_orgs_own(ledger: Ledger) -> None:
    await ledger.create_org("other")

    await ledger.execute(registration(key="k"))
    outcome = await ledger.execute(registration(key="k", caller=replace(ALICE, org="other")))

    assert not outcome.is_repeated


async def test_a_refusal_is_not_remembered(ledger: Ledger) -> None:
    """The same request may succeed later, under the same key."""
    command = StartJob(caller=ALICE, job_id=1, idempotency=idempotency("k"))
    with pytest.raises(NotFoundError):
        await ledger.execute(command)
    await register(ledger)

    outcome = await ledger.execute(command)

    assert (outcome.event_count, outcome.is_repeated) == (1, False)


async def test_a_refusal_and_its_repeat_in_one_batch_are_both_refused(ledger: Ledger) -> None:
    await register(ledger, source="s", external_id="x")
    command = registration(key="k", source="s", external_id="x", name="another")

    results = await asyncio.gather(*(ledger.execute(command) for _ in range(2)), return_exceptions=True)

    assert [type(it) for it in results] == [JobExistsError, JobExistsError]


@pytest.mark.parametrize(("age", "is_repeated"), [("23 hours 59 minutes", True), ("24 hours 1 minute", False)])
async def test_an_answer_is_kept_for_a_day(ledger: Ledger, database_url: str, age: str, is_repeated: bool) -> None:
    """After that the key counts as new, and its new answer is remembered."""
    await ledger.execute(registration(key="k"))
    async with session(database_url) as owner:
        await owner.execute("UPDATE idempotency SET recorded_at = clock_timestamp() - $1::text::interval", age)

    outcome = await ledger.execute(registration(key="k"))
    again = await ledger.execute(registration(key="k"))

    assert outcome.is_repeated is is_repeated
    assert (again.result, again.is_repeated) == (outcome.result, True)


async def test_what_can_be_done_only_once_is_answered_again(ledger: Ledger) -> None:
    """A worker whose connection broke repeats that its job ended, which the job's state now forbids."""
    job_id = await register_running(ledger)
    first = await ledger.execute(succeed(job_id, idempotency=idempotency("k")))

    results = await asyncio.gather(
        ledger.execute(succeed(job_id, idempotency=idempotency("k"))),
        ledger.execute(succeed(job_id, idempotency=idempotency("k", "another request"))),
        ledger.execute(succeed(job_id)),
        return_exceptions=True,
    )

    assert results[0] == first._replace(is_repeated=True, events=())
    assert [type(it) for it in results[1:]] == [IdempotencyKeyReusedError, JobIsFinalError]


@pytest.mark.usefixtures("under_lock")
async def test_a_refusal_before_its_acceptance_in_one_batch_stays_one(ledger: Ledger) -> None:
    command = start(1, idempotency=idempotency("k"))

    results = await asyncio.gather(
        ledger.execute(command), ledger.execute(registration()), ledger.execute(command), return_exceptions=True
    )

    assert isinstance(results[0], NotFoundError)
    assert isinstance(results[2], Outcome)
    assert not results[2].is_repeated
