"""Registering jobs: atomically, once, behind others, and as imports."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest

from jobledger.ledger.domain.job import LARGEST_JOB_ID, State
from jobledger.ledger.domain.job_registration import JobSpec
from jobledger.ledger.errors import (
    ContentTooLargeError,
    InvalidCommandError,
    JobExistsError,
    NotAllowedError,
    NotFoundError,
)
from jobledger.ledger.store.appender import MOST_EVENTS_A_PART
from jobledger.ledger.store.ledger import Ledger
from tests.world import (
    AUDITOR,
    CLIENT,
    ORG,
    SALES,
    fail,
    ids,
    register,
    register_running,
    registration,
    spec,
    start,
    succeed,
    types_of,
)

PAST = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)


async def size(ledger: Ledger) -> int:
    return (await ledger.recorder.head(ORG)).size


async def test_a_job_is_registered_started_and_ends(ledger: Ledger) -> None:
    """Each command answers with the state after it, the version, and where its events stand."""
    registered = await ledger.execute(registration(name="first"))
    [job_id] = ids(registered)
    started = await ledger.execute(start(job_id, stage="copying"))
    ended = await ledger.execute(succeed(job_id, message="done"))

    assert registered.result == {"jobs": [{"id": 1, "state": "SCHEDULED", "version": 1, "offset": 0}]}
    assert started.result == {"id": 1, "state": "RUNNING", "version": 2}
    assert ended.result == {"id": 1, "state": "SUCCESS", "version": 3}
    assert [list(it.positions) for it in (registered, started, ended)] == [[1], [2], [3]]
    assert await types_of(ledger, "job-1") == ["job.registered", "job.started", "job.succeeded"]
    job = await ledger.job(ORG, 1)
    assert (job.state, job.stage, job.message, job.progress) == (State.SUCCESS, "copying", "done", 1.0)
    assert job.started_at == started.recorded_at


async def test_every_member_is_kept(ledger: Ledger) -> None:
    """What was registered is what a job says of itself, read from its row or from its events."""
    plus_two = timezone(timedelta(hours=2))
    earlier = await register(ledger)
    members: dict[str, Any] = {
        "type": "fetch",
        "name": "Größe 𝄞",
        "domain": "Sales",
        "priority": "high",
        "datastream": {"name": "Orders", "id": 7},
        "stage": "waiting",
        "preceding_job_id": earlier,
        "required_job_ids": [earlier],
        "retry_of_job_id": earlier,
        "source": "scheduler",
        "external_id": "x-1",
        "scheduled_at": datetime(2030, 1, 2, 3, 4, 5, tzinfo=plus_two),
        "heartbeat_timeout": 60,
        "start_timeout": 90,
        "backup": {"z": 1, "a": [1.5, None, {"b": True}]},
        "attributes": {"z": "", "a": {"y": 1, "x": 2**63}},
    }

    job = await ledger.job(ORG, await register(ledger, **members))

    assert {name: getattr(job, name) for name in members} == members
    assert list(job.attributes or ()) == ["z", "a"]
    assert job.due_at == members["scheduled_at"] + timedelta(seconds=90)


async def test_many_jobs_are_one_append(ledger: Ledger) -> None:
    """More than one part of an append takes, registered in one request, stand side by side, with dense ids in their order."""
    count = 2 * MOST_EVENTS_A_PART + 500
    outcome = await ledger.execute(registration(*(spec(name=f"job {n}") for n in range(count))))

    assert ids(outcome) == list(range(1, count + 1))
    assert [job["offset"] for job in outcome.result["jobs"]] == list(range(count))
    assert outcome.positions == range(1, count + 1)
    assert (await ledger.job(ORG, count)).name == f"job {count - 1}"


async def test_one_bad_job_registers_none(ledger: Ledger) -> None:
    """All or none: the last of many is refused, and neither an event nor a number is used up."""
    before = await size(ledger)

    with pytest.raises(NotFoundError):
        await ledger.execute(registration(*(spec() for _ in range(999)), spec(preceding_job_id=5_000)))

    assert await size(ledger) == before
    assert await register(ledger) == 1


@pytest.mark.slow
async def test_a_request_makes_no_more_than_10_000_events(ledger: Ledger) -> None:
    before = await size(ledger)

    with pytest.raises(InvalidCommandError):
        await ledger.execute(registration(*(spec() for _ in range(10_001))))

    assert await size(ledger) == before


async def test_content_over_1_mib_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ContentTooLargeError):
        await register(ledger, attributes={"large": "x" * 1024 * 1024})

    assert await register(ledger, attributes={"large": "x" * (1024 * 1024 - 1_000)}) == 1


@pytest.mark.parametrize("attributes", [{"huge": 2**64}, {"half": "\ud800"}, {"object": object()}, {1: "one"}])
@pytest.mark.parametrize("external_id", [None, "x"])
async def test_what_json_cannot_say_is_refused(ledger: Ledger, attributes: Any, external_id: str | None) -> None:
    with pytest.raises(InvalidCommandError):
        await register(ledger, attributes=attributes, source="s", external_id=external_id)


async def test_without_the_capability_nothing_is_registered(ledger: Ledger) -> None:
    with pytest.raises(NotAllowedError):
        await ledger.execute(registration(caller=AUDITOR))


async def test_a_job_is_registered_in_the_callers_home_domain(ledger: Ledger) -> None:
    """And only in a domain that the caller sees."""
    [job_id] = ids(await ledger.execute(registration(caller=SALES)))
    assert (await ledger.job(ORG, job_id)).domain == "Sales"

    with pytest.raises(NotAllowedError):
        await ledger.execute(registration(caller=SALES, domain="Global"))


async def test_a_job_outside_the_callers_domains_does_not_exist(ledger: Ledger) -> None:
    """Neither to change nor to follow, require or retry."""
    hidden = await register(ledger, source="s", external_id="x", domain="Global")

    for members in (
        {"preceding_job_id": hidden},
        {"required_job_ids": [hidden]},
        {"retry_of_job_id": hidden},
        {"source": "s", "preceding_external_id": "x"},
    ):
        with pytest.raises(NotFoundError):
            await ledger.execute(registration(caller=SALES, **members))
    command = start(hidden)
    command.caller = SALES
    with pytest.raises(NotFoundError):
        await ledger.execute(command)


async def test_the_same_external_id_and_body_is_the_same_job(ledger: Ledger) -> None:
    """Registered again it answers with the job that is there and where it was registered, and records nothing."""
    first = await ledger.execute(registration(source="s", external_id="x", attributes={"a": 1, "b": 2}))
    [job_id] = ids(first)
    await ledger.execute(start(job_id))
    before = await size(ledger)

    again = await ledger.execute(registration(source="s", external_id="x", attributes={"b": 2, "a": 1}))

    assert again.result == {
        "jobs": [{"id": job_id, "state": "RUNNING", "version": 2, "position": first.first_position}]
    }
    assert (again.event_count, await size(ledger)) == (0, before)


async def test_the_same_external_id_with_another_body_is_refused(ledger: Ledger) -> None:
    await register(ledger, source="s", external_id="x")

    with pytest.raises(JobExistsError) as refusal:
        await register(ledger, source="s", external_id="x", name="another")

    assert refusal.value.facts == {"source": "s", "external_id": "x"}


async def test_another_source_may_use_the_same_external_id(ledger: Ledger) -> None:
    assert await register(ledger, source="s", external_id="x") == 1
    assert await register(ledger, source="t", external_id="x") == 2


@pytest.mark.parametrize(
    "members",
    [
        {"external_id": "x"},
        {"preceding_external_id": "x"},
        {"source": "s", "preceding_external_id": "x", "preceding_job_id": 1},
        {"ended_at": PAST},
        {"started_at": PAST},
        {"reason": "none"},
        {"state": State.SUCCESS, "ended_at": PAST},
        {"state": State.FAILED, "ended_at": PAST},
        {"state": State.SUCCESS, "started_at": PAST, "ended_at": PAST - timedelta(seconds=1)},
    ],
)
async def test_members_that_contradict_each_other_are_refused(ledger: Ledger, members: dict[str, Any]) -> None:
    with pytest.raises(InvalidCommandError):
        await register(ledger, **members)


async def test_an_external_id_twice_in_one_list_is_one_job(ledger: Ledger) -> None:
    """With another body the list is refused whole."""
    twin = spec(source="s", external_id="x")
    outcome = await ledger.execute(registration(twin, spec(), spec(source="s", external_id="x")))
    assert ids(outcome) == [1, 2, 1]
    assert outcome.event_count == 2
    assert outcome.result["jobs"][2]["offset"] == 0

    with pytest.raises(JobExistsError):
        await ledger.execute(
            registration(spec(source="s", external_id="y"), spec(source="s", external_id="y", name="another"))
        )
    assert await register(ledger, source="s", external_id="y") == 3


async def test_an_external_id_twice_at_once_is_one_job(ledger: Ledger) -> None:
    """Also in one batch, whether before or after the first was written."""
    outcomes = await asyncio.gather(
        *(ledger.execute(registration(source="s", external_id=f"x-{n % 10}")) for n in range(200))
    )

    assert sorted({job for outcome in outcomes for job in ids(outcome)}) == list(range(1, 11))
    assert sum(outcome.event_count for outcome in outcomes) == 10
    for outcome in outcomes:
        [job] = outcome.result["jobs"]
        position = job.get("position", outcome.first_position)
        [stored] = (await ledger.recorder.page(ORG, position - 1, 1)).events
        assert stored.envelope()["stream"] == f"job-{job['id']}"


async def test_another_body_at_once_is_refused(ledger: Ledger) -> None:
    results = await asyncio.gather(
        *(register(ledger, source="s", external_id="x", name=f"job {n}") for n in range(10)), return_exceptions=True
    )

    assert [type(it) for it in results] == [int] + [JobExistsError] * 9


async def test_a_preceding_job_is_named_by_its_external_id(ledger: Ledger) -> None:
    """Registered before, earlier in the same list, or earlier in the same batch; not in another source."""
    first = await register(ledger, source="s", external_id="x")
    second = await register(ledger, source="s", preceding_external_id="x")
    listed = await ledger.execute(
        registration(spec(source="s", external_id="y"), spec(source="s", preceding_external_id="y"))
    )
    batched = await asyncio.gather(
        register(ledger, source="s", external_id="z"), register(ledger, source="s", preceding_external_id="z")
    )

    for preceding, following in ((first, second), ids(listed), batched):
        assert (await ledger.job(ORG, following)).preceding_job_id == preceding
    with pytest.raises(NotFoundError):
        await register(ledger, source="t", preceding_external_id="x")


@pytest.mark.parametrize("job_id", [0, -1, 77, 2**31, 2**70])
async def test_a_preceding_job_must_be_there(ledger: Ledger, job_id: int) -> None:
    with pytest.raises(NotFoundError):
        await register(ledger, preceding_job_id=job_id)


async def test_behind_a_job_that_broke_a_job_is_discarded_at_once(ledger: Ledger) -> None:
    failed = await register_running(ledger)
    await ledger.execute(fail(failed))

    outcome = await ledger.execute(registration(spec(preceding_job_id=failed), spec(preceding_job_id=failed + 1)))

    assert [it.type_name for it in outcome.events] == ["job.registered", "job.discarded"] * 2
    assert [it["state"] for it in outcome.result["jobs"]] == ["DISCARDED"] * 2
    assert [it["offset"] for it in outcome.result["jobs"]] == [0, 2]
    assert (await ledger.job(ORG, failed + 2)).reason == f"preceding job {failed + 1} was discarded"


async def test_behind_a_job_that_ended_well_a_job_is_scheduled(ledger: Ledger) -> None:
    job_id = await register_running(ledger)
    await ledger.execute(succeed(job_id))

    follower = await register(ledger, preceding_job_id=job_id)

    assert (await ledger.job(ORG, follower)).state is State.SCHEDULED


async def test_a_fetch_has_a_start_timeout(ledger: Ledger) -> None:
    """Two days, unless it names its own; a job without a datastream has none."""
    fetch = await ledger.job(ORG, await register(ledger, datastream={"id": 1}))
    own = await ledger.job(ORG, await register(ledger, datastream={"id": 1}, start_timeout=5))
    copy = await ledger.job(ORG, await register(ledger))

    assert [it.start_timeout for it in (fetch, own, copy)] == [2 * 24 * 3600, 5, None]
    assert fetch.due_at == fetch.registered_at + timedelta(days=2)


async def test_an_import_tells_its_id_and_its_past(ledger: Ledger) -> None:
    """Final times long gone are kept; the next number lies beyond the highest id."""
    outcome = await ledger.execute(
        registration(
            spec(job_id=40, state=State.SUCCESS, started_at=PAST, ended_at=PAST + timedelta(hours=1)),
            spec(job_id=7, state=State.FAILED, started_at=PAST, ended_at=PAST, reason="no route"),
            spec(job_id=8, state=State.CANCELLED, ended_at=PAST),
            spec(job_id=9, state=State.DISCARDED, ended_at=PAST),
            spec(state=State.SUCCESS, started_at=PAST, ended_at=PAST),
        )
    )

    jobs = [await ledger.job(ORG, job_id) for job_id in ids(outcome)]
    assert ids(outcome) == [40, 7, 8, 9, 41]
    assert [it.state for it in jobs] == ["SUCCESS", "FAILED", "CANCELLED", "DISCARDED", "SUCCESS"]
    assert [it.ended_at for it in jobs] == [PAST + timedelta(hours=1), PAST, PAST, PAST, PAST]
    assert jobs[1].reason == "no route"
    assert await register(ledger) == 42


async def test_an_import_needs_the_capability(ledger: Ledger) -> None:
    for members in ({"job_id": 5}, {"state": State.SUCCESS, "started_at": PAST}):
        with pytest.raises(NotAllowedError):
            await ledger.execute(registration(caller=CLIENT, **members))


async def test_an_import_does_not_take_a_jobs_id(ledger: Ledger) -> None:
    """Nor one given earlier in the same list, nor one that lies outside int32."""
    taken = await register(ledger)

    for specs in ([spec(job_id=taken)], [spec(), spec(job_id=taken + 1)], [spec(job_id=9), spec(job_id=9)]):
        with pytest.raises(JobExistsError):
            await ledger.execute(registration(*specs))
    for job_id in (0, -3, LARGEST_JOB_ID + 1):
        with pytest.raises(InvalidCommandError):
            await register(ledger, job_id=job_id)


async def test_there_is_a_last_job_id(ledger: Ledger) -> None:
    assert await register(ledger, job_id=LARGEST_JOB_ID) == LARGEST_JOB_ID

    with pytest.raises(InvalidCommandError):
        await register(ledger)


def test_a_body_is_known_again_by_what_was_given() -> None:
    """The hash is that of the members given, in whatever order: a release that knows more of them computes the same."""
    body = spec(attributes={"b": 1, "a": {"d": 1, "c": 2}}, external_id="x")
    twin = JobSpec(external_id="x", attributes={"a": {"c": 2, "d": 1}, "b": 1}, name="nightly", type="copy")

    assert body.body_hash() == twin.body_hash()
    text = b'{"attributes":{"a":{"c":2,"d":1},"b":1},"external_id":"x","name":"nightly","type":"copy"}'
    assert body.body_hash() == sha256(text).hexdigest()
    assert body.body_hash() != spec(attributes={"b": 1, "a": {"d": 1, "c": 3}}, external_id="x").body_hash()
