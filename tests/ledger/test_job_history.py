"""Jobs as they stood: at any position, by any filter, what is told is what a fold of the events up to there comes to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson
import pytest

from jobledger.ledger.domain.access import Org
from jobledger.ledger.domain.hold import Hold
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_commands import CancelJob, ReportProgress
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.domain.job_workflow_commands import UpdateJob
from jobledger.ledger.domain.policy import NO_POLICY
from jobledger.ledger.domain.retention import reasons_to_keep
from jobledger.ledger.errors import GoneError, InvalidCommandError, NotFoundError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work import catch_up
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections import past_query
from jobledger.projections.job_history import EVENTS_A_SNAPSHOT
from jobledger.projections.job_query import JobFilter, JobQuery
from jobledger.projections.jobs import PRIVATE
from jobledger.projections.past_query import Moment, PastQuery
from tests.cluster import session
from tests.dumps import dumped, is_in
from tests.ledger.histories import History
from tests.world import ALICE, ORG, fail, register, register_running, succeed

UPPER = 2**63


async def follow(ledger: Ledger) -> PastQuery:
    await CatchUp(ledger).wait_for(ORG, "job_history")
    return PastQuery(ledger.database, ledger.recorder)


async def folded(ledger: Ledger, position: int) -> dict[str, Any]:
    """All aggregates after the event at *position*, from the events that are in the store; those without contents left out."""
    aggregates: dict[str, Any] = {}
    lost: set[str] = set()
    async for stored in ledger.recorder.scan(ORG, end=position + 1):
        stream = stored.envelope()["stream"]
        if stored.content is None:
            lost.add(stream)
            aggregates.pop(stream, None)
            continue
        event = stored.event()
        if stream in lost:
            if not event.begins_anew:
                continue
            lost.discard(stream)
        aggregates[stream] = event.mutate(aggregates.get(stream))
    return aggregates


def lets_through(wanted: JobFilter, job: Job, reasons: list[Any]) -> bool:
    """The filter, as it is documented."""
    if wanted.states is not None and job.state not in wanted.states:
        return False
    if wanted.type not in (None, job.type) or wanted.domain not in (None, job.domain):
        return False
    if wanted.closed is not None and wanted.closed is not job.is_closed:
        return False
    if wanted.held is not None and wanted.held is not any(it.kind == "hold" for it in reasons):
        return False
    if wanted.retained is not None and wanted.retained is not bool(reasons):
        return False
    told = (job.type, job.name, job.external_id, (job.datastream or {}).get("name"))
    if wanted.q is not None and not any(wanted.q.lower() in (it or "").lower() for it in told):
        return False
    for name in ("scheduled", "started", "ended"):
        begin, end = getattr(wanted, f"{name}_from"), getattr(wanted, f"{name}_to")
        at = getattr(job, f"{name}_at")
        if (begin or end) and (at is None or (begin and at < begin) or (end and at >= end)):
            return False
    return True


FILTERS: list[Callable[[datetime], JobFilter]] = [
    lambda _: JobFilter(),
    lambda _: JobFilter(states=("RUNNING",)),
    lambda _: JobFilter(states=("SUCCESS", "FAILED", "SCHEDULED")),
    lambda _: JobFilter(type="copy", closed=False),
    lambda _: JobFilter(domain="Sales"),
    lambda _: JobFilter(closed=True),
    lambda _: JobFilter(held=True),
    lambda _: JobFilter(retained=True),
    lambda _: JobFilter(retained=False, states=("SUCCESS",)),
    lambda _: JobFilter(q="RUN 1"),
    lambda now: JobFilter(started_from=now - timedelta(seconds=1), ended_to=now + timedelta(days=1)),
]


@pytest.mark.parametrize("seed", [0, *(pytest.param(it, marks=pytest.mark.slow) for it in (1, 2))])
async def test_what_was_is_a_fold_of_the_events_up_to_there(
    ledger: Ledger, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any history, by any filter, page after page; in however small pieces it was told."""
    monkeypatch.setattr(catch_up, "EVENTS_A_PASS", 7)
    random = Random(seed)
    await History(ledger, seed).go_on(150)
    await follow(ledger)
    await History(ledger, seed + 100).go_on(100)
    past = await follow(ledger)
    size = (await ledger.recorder.head(ORG)).size

    for position in sorted([*random.sample(range(size), 12), size - 1]):
        if random.random() < 0.3:
            monkeypatch.setattr(past_query, "MOST_IN_STATES", random.choice([0, 20_000]))
            monkeypatch.setattr(past_query, "IDS_AT_ONCE", random.choice([2, 1_000]))
            monkeypatch.setattr(past_query, "FIRST_LOOK", random.choice([0, 1, 12]))
        moment = await past.moment(ORG, position)
        aggregates = await folded(ledger, position)
        org = aggregates.get("org")
        policy = org.policy if isinstance(org, Org) else NO_POLICY
        holds = [it for it in aggregates.values() if isinstance(it, Hold) and it.filter and not it.is_released]
        jobs = sorted(
            (it for it in aggregates.values() if isinstance(it, Job) and it.gone is None), key=lambda it: it.job_id
        )
        reasons = {it.job_id: reasons_to_keep(it, policy, holds, moment.now) for it in jobs}
        for wanted in (make(moment.now) for make in FILTERS):
            expected = [it for it in jobs if lets_through(wanted, it, reasons[it.job_id])]
            shown: list[dict[str, Any]] = []
            after: int | None = 0
            while after is not None:
                page = await past.page(ORG, wanted, moment, None, after=after, limit=random.randint(1, 9))
                shown += map(orjson.loads, page.jobs)
                after = page.next_after
            assert [it["id"] for it in shown] == [it.job_id for it in expected], (position, wanted)
            for job, told in zip(expected, shown, strict=True):
                must_tell(told, job, reasons[job.job_id])
        for job in jobs[:5]:
            assert orjson.loads(await past.job(ORG, job.job_id, moment, None)) == next(
                it
                for it in map(orjson.loads, (await past.page(ORG, JobFilter(), moment, None, limit=1000)).jobs)
                if it["id"] == job.job_id
            )


def must_tell(told: dict[str, Any], job: Job, reasons: list[Any]) -> None:
    for name in (
        "type",
        "name",
        "stage",
        "progress",
        "message",
        "figures",
        "attributes",
        "details",
        "copies",
        "version",
    ):
        assert told[name] == getattr(job, name), name
    assert told["state"] == job.state
    assert told["closed"] == job.is_closed
    for name, shown in PRIVATE.items():
        assert told[shown] == getattr(job, name)
    assert [it["id"] for it in told["holds"]] == [it.hold_id for it in reasons if it.kind == "hold"]
    assert told["retention"] == [it.data for it in reasons if it.kind != "hold"]


async def test_the_newest_is_what_the_list_of_jobs_shows(ledger: Ledger) -> None:
    await History(ledger, 9).go_on(150)
    past = await follow(ledger)
    moment = await past.moment(ORG, (await ledger.recorder.head(ORG)).size - 1)

    then = await past.page(ORG, JobFilter(), moment, None, limit=1000)
    now = await JobQuery(ledger.database).page(ORG, JobFilter(now=moment.now), None, limit=1000)

    untimed = [[{**orjson.loads(it), "retention": None} for it in page.jobs] for page in (then, now)]
    assert untimed[0] == untimed[1]
    assert untimed[0] != []


async def test_a_long_stream_is_folded_from_a_snapshot(ledger: Ledger, database_url: str) -> None:
    """A report each second writes no row but each 64th time; what was reported is told for each of them all the same."""
    job_id = await register_running(ledger)
    begin = (await ledger.recorder.head(ORG)).size
    count = 3 * EVENTS_A_SNAPSHOT
    for n in range(count):
        await ledger.enqueue(ReportProgress(caller=ALICE, job_id=job_id, figures={"n": n, f"f{n % 7}": n}))
    await ledger.execute(succeed(job_id))
    past = await follow(ledger)

    for n in (0, 5, EVENTS_A_SNAPSHOT - 3, EVENTS_A_SNAPSHOT - 2, 2 * EVENTS_A_SNAPSHOT, count - 1):
        job = orjson.loads(await past.job(ORG, job_id, await past.moment(ORG, begin + n), None))
        assert (job["figures"]["n"], job["version"], job["state"]) == (n, n + 3, "RUNNING")
    async with session(database_url) as owner:
        told = [await owner.fetchval(f"SELECT count(*) FROM {it}") for it in ("job_history", "job_snapshot")]
    assert told == [3, 3]


@pytest.mark.parametrize("is_told_first", [True, False])
async def test_what_is_erased_is_in_no_row_and_no_dump(ledger: Ledger, database_url: str, is_told_first: bool) -> None:
    """In the very append: nobody waits for what follows the ledger. Of what is private nothing was ever there."""
    job_id = await register(ledger, name="somebody's name", external_id="somebody", source="hr")
    await ledger.execute(UpdateJob(caller=ALICE, job_id=job_id, members={"location": {"geometry": "their place"}}))
    for n in range(EVENTS_A_SNAPSHOT):
        await ledger.enqueue(UpdateJob(caller=ALICE, job_id=job_id, members={"name": f"somebody's name {n}"}))
    await ledger.execute(fail(await register_running(ledger)))
    if is_told_first:
        await follow(ledger)
        async with session(database_url) as owner:
            await owner.execute("ANALYZE")
            assert "somebody" in await owner.fetchval("SELECT job FROM job_snapshot")
            assert "place" not in await owner.fetchval("SELECT job FROM job_snapshot")
    before = (await ledger.recorder.head(ORG)).size - 1
    await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope="private", reason="asked for"))
    past = await follow(ledger) if is_told_first else PastQuery(ledger.database, ledger.recorder)
    assert not is_in(await dumped(database_url), "their place")
    if is_told_first:
        shown = orjson.loads(await past.job(ORG, job_id, await past.moment(ORG, before), None))
        assert (shown["name"], shown["location"]) == (f"somebody's name {EVENTS_A_SNAPSHOT - 1}", None)
    await ledger.execute(CancelJob(caller=ALICE, job_id=job_id))
    await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope="all", reason="asked for"))

    assert not is_in(await dumped(database_url), "somebody")
    past = await follow(ledger)
    with pytest.raises(GoneError):
        await past.job(ORG, job_id, await past.moment(ORG, before), None)
    page = await past.page(ORG, JobFilter(), await past.moment(ORG, before), None)
    assert [orjson.loads(it)["id"] for it in page.jobs] == [job_id + 1]
    assert not is_in(await dumped(database_url), "somebody")


async def test_a_deleted_job_is_shown_as_it_was_before(ledger: Ledger) -> None:
    job_id = await register(ledger, name="once")
    before = (await ledger.recorder.head(ORG)).size - 1
    await ledger.execute(DeleteJob(caller=ALICE, job_id=job_id, reason="asked for"))
    past = await follow(ledger)

    assert orjson.loads(await past.job(ORG, job_id, await past.moment(ORG, before), None))["name"] == "once"
    with pytest.raises(GoneError, match="was deleted"):
        await past.job(ORG, job_id, await past.moment(ORG, before + 1), None)
    with pytest.raises(NotFoundError, match="no job 1 then"):
        await past.job(ORG, job_id, await past.moment(ORG, before - 1), None)
    with pytest.raises(NotFoundError):
        await past.job(ORG, job_id, await past.moment(ORG, before), frozenset({"Sales"}))


async def test_a_time_is_the_last_position_recorded_by_then(ledger: Ledger) -> None:
    """What has not come yet is refused: it would be told otherwise later."""
    await register(ledger)
    past = await follow(ledger)
    head = await ledger.recorder.head(ORG)

    assert await past.moment(ORG, head.recorded_at) == Moment(head.size - 1, head.recorded_at)
    assert (await past.moment(ORG, head.recorded_at - timedelta(days=1))).position == -1
    nothing = await past.page(ORG, JobFilter(), await past.moment(ORG, datetime(2001, 1, 1, tzinfo=UTC)), None)
    assert list(nothing.jobs) == []
    for later in (head.size, UPPER - 1, datetime(2100, 1, 1, tzinfo=UTC)):
        with pytest.raises(InvalidCommandError):
            await past.moment(ORG, later)
