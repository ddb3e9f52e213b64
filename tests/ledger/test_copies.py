"""Copies of storage policies, and what may happen to jobs on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.copy_operations import (
    AllowCopy,
    CopyOperation,
    DeleteFromCopy,
    DisallowAllCopies,
    DisallowCopy,
    ReleaseOnCopy,
    RetainOnCopy,
)
from jobledger.ledger.domain.hold import HoldFilter
from jobledger.ledger.domain.hold_commands import PlaceHold
from jobledger.ledger.domain.job_copies import NoteCopied
from jobledger.ledger.domain.job_removal import DeleteJob
from jobledger.ledger.errors import (
    CopyStaysError,
    InvalidCommandError,
    JobCopyIsDisallowedError,
    JobsNotFoundError,
    JobsRefusedError,
    NameIsTakenError,
    NotAllowedError,
    NotFoundError,
)
from jobledger.ledger.store.ledger import Ledger
from tests.world import ALICE, CLIENT, ORG, SALES, register, register_running, registration, spec, start, succeed

COPIED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PRIMARY, SECOND, THIRD, ELSEWHERE = 9, 10, 11, 20


def put(copy_id: int, **members: Any) -> PutCopy:
    """Alice registers or changes a copy."""
    given = {"name": f"copy {copy_id}", "storage_policy_id": 7, "storage_policy_name": "nightly", **members}
    return PutCopy(caller=ALICE, copy_id=copy_id, **given)


async def put_copies(ledger: Ledger) -> None:
    """Three copies of policy 7, and one of another."""
    for copy_id in (PRIMARY, SECOND, THIRD):
        await ledger.execute(put(copy_id, is_default=copy_id == PRIMARY, precedence=copy_id - 8))
    await ledger.execute(put(ELSEWHERE, storage_policy_id=8))


def on(kind: type[CopyOperation], *job_ids: int, copy_id: int = PRIMARY, **members: Any) -> CopyOperation:
    """Alice asks for it."""
    if kind in (DeleteFromCopy, ReleaseOnCopy):
        members.setdefault("reason", "asked for")
    return kind(caller=members.pop("caller", ALICE), copy_id=copy_id, job_ids=job_ids, **members)


async def states(ledger: Ledger, job_id: int) -> dict[int, str]:
    """How the job stands on its copies."""
    job = await ledger.job(ORG, job_id)
    return {it["id"]: "deleted" if it["deleted_at"] else it["state"] for it in job.copies or ()}


async def test_a_copy_is_registered_once_and_changed_by_events(ledger: Ledger) -> None:
    first = await ledger.execute(put(PRIMARY))
    again = await ledger.execute(put(PRIMARY))
    changed = await ledger.execute(put(PRIMARY, is_default=True))

    assert first.result == {"id": PRIMARY, "version": 1}
    assert [it.event_count for it in (first, again, changed)] == [1, 0, 1]
    assert changed.result == {"id": PRIMARY, "version": 2}


async def test_a_copy_stays_in_its_policy_and_commcell(ledger: Ledger) -> None:
    await ledger.execute(put(PRIMARY))

    for members in ({"storage_policy_id": 8}, {"commcell_id": 3}):
        with pytest.raises(CopyStaysError):
            await ledger.execute(put(PRIMARY, **members))
    with pytest.raises(NotAllowedError):
        await ledger.execute(PutCopy(caller=CLIENT, copy_id=1, name="a", storage_policy_id=1, storage_policy_name="b"))
    for copy_id in (0, 2**31):
        with pytest.raises(InvalidCommandError):
            await ledger.execute(put(copy_id))


async def test_a_policy_has_no_two_copies_of_one_name(ledger: Ledger) -> None:
    """Also within one batch, and whatever the case."""
    await put_copies(ledger)

    with pytest.raises(NameIsTakenError):
        await ledger.execute(put(12, name="COPY 9"))
    futures = [await ledger.enqueue(put(it, name="Same")) for it in (12, 13)]
    await futures[0]
    with pytest.raises(NameIsTakenError):
        await futures[1]
    await ledger.execute(put(14, name="Same", storage_policy_id=8))


async def test_a_job_names_the_copies_that_hold_it(ledger: Ledger) -> None:
    await put_copies(ledger)
    job_id = await register(
        ledger, copies=[{"id": SECOND, "state": "to_be_copied"}, {"id": PRIMARY, "copied_at": COPIED_AT}]
    )

    await ledger.execute(start(job_id))
    await ledger.execute(succeed(job_id))
    job = await ledger.job(ORG, job_id)

    assert job.copies == [
        {"id": PRIMARY, "state": "available", "copied_at": "2026-01-02T03:04:05.000000Z", "deleted_at": None},
        {"id": SECOND, "state": "to_be_copied", "copied_at": None, "deleted_at": None},
    ]
    for wrong, error in (
        ([{"id": 99}], NotFoundError),
        ([{"id": PRIMARY}, {"id": PRIMARY}], InvalidCommandError),
        ([{"id": PRIMARY, "state": "to_be_copied", "copied_at": COPIED_AT}], InvalidCommandError),
    ):
        with pytest.raises(error):
            await register(ledger, copies=wrong)


async def test_an_auxiliary_copy_is_noted_once(ledger: Ledger) -> None:
    await put_copies(ledger)
    job_id = await register(ledger, copies=[{"id": PRIMARY}])

    noted = await ledger.execute(NoteCopied(caller=ALICE, job_id=job_id, copy_id=SECOND, copied_at=COPIED_AT))
    again = await ledger.execute(NoteCopied(caller=ALICE, job_id=job_id, copy_id=SECOND))
    await ledger.execute(on(DisallowCopy, job_id, copy_id=THIRD))

    assert (noted.event_count, again.event_count) == (1, 0)
    with pytest.raises(JobCopyIsDisallowedError):
        await ledger.execute(NoteCopied(caller=ALICE, job_id=job_id, copy_id=THIRD))
    with pytest.raises(NotFoundError):
        await ledger.execute(NoteCopied(caller=ALICE, job_id=job_id, copy_id=99))
    assert await states(ledger, job_id) == {PRIMARY: "available", SECOND: "available", THIRD: "not_to_be_copied"}


async def test_copying_is_disallowed_and_allowed(ledger: Ledger) -> None:
    await put_copies(ledger)
    job_id = await register(ledger, copies=[{"id": PRIMARY}, {"id": SECOND, "state": "to_be_copied"}])

    await ledger.execute(on(DisallowCopy, job_id, copy_id=SECOND))
    assert (await ledger.execute(on(DisallowCopy, job_id, copy_id=SECOND))).event_count == 0
    assert await states(ledger, job_id) == {PRIMARY: "available", SECOND: "not_to_be_copied"}
    with pytest.raises(JobsRefusedError):
        await ledger.execute(on(DisallowCopy, job_id))

    await ledger.execute(on(AllowCopy, job_id, copy_id=SECOND))
    assert (await ledger.execute(on(AllowCopy, job_id, copy_id=SECOND))).event_count == 0
    assert (await ledger.execute(on(AllowCopy, job_id))).event_count == 0
    assert await states(ledger, job_id) == {PRIMARY: "available", SECOND: "to_be_copied"}

    disallowed = await ledger.execute(on(DisallowAllCopies, job_id))
    assert disallowed.event_count == 1
    assert (await ledger.execute(on(DisallowAllCopies, job_id))).event_count == 0
    assert await states(ledger, job_id) == {PRIMARY: "available", SECOND: "not_to_be_copied", THIRD: "not_to_be_copied"}


async def test_all_jobs_allow_it_or_none_is_changed(ledger: Ledger) -> None:
    """And each that does not is named with its reason."""
    await put_copies(ledger)
    good = await register(ledger, copies=[{"id": PRIMARY}])
    running = await register_running(ledger, copies=[{"id": PRIMARY}])
    size = (await ledger.recorder.head(ORG)).size

    with pytest.raises(JobsRefusedError) as refused:
        await ledger.execute(on(DeleteFromCopy, good, running))
    assert [(it["id"], it["detail"]) for it in refused.value.facts["refused"]] == [(2, "Job 2 is running.")]
    with pytest.raises(JobsNotFoundError) as absent:
        await ledger.execute(on(DeleteFromCopy, good, 98, running, 99))
    assert absent.value.detail == "3 of 4 jobs are refused, and none was changed."
    assert [it["id"] for it in absent.value.facts["refused"]] == [98, running, 99]
    with pytest.raises(JobsNotFoundError):
        await ledger.execute(on(DeleteFromCopy, good, copy_id=SECOND))
    with pytest.raises(JobsNotFoundError):
        await ledger.execute(on(AllowCopy, good, copy_id=ELSEWHERE))
    with pytest.raises(JobsNotFoundError):
        await ledger.execute(on(DeleteFromCopy, good, caller=replace(SALES)))
    for members in ({"copy_id": 99}, {"copy_id": 2**40}, {"storage_policy_id": 8}, {"commcell_id": 3}):
        with pytest.raises(NotFoundError):
            await ledger.execute(on(DeleteFromCopy, good, **members))
    assert (await ledger.recorder.head(ORG)).size == size


async def test_what_is_deleted_from_a_copy_stays_deleted(ledger: Ledger) -> None:
    await put_copies(ledger)
    job_id = await register(ledger, copies=[{"id": PRIMARY}, {"id": SECOND}])

    deleted = await ledger.execute(on(DeleteFromCopy, job_id, job_id))
    assert deleted.result == {"copy_id": PRIMARY, "jobs": [job_id], "changed": [job_id]}
    assert (await ledger.execute(on(DeleteFromCopy, job_id))).event_count == 0
    assert await states(ledger, job_id) == {PRIMARY: "deleted", SECOND: "available"}

    await ledger.execute(on(AllowCopy, job_id))
    assert await states(ledger, job_id) == {PRIMARY: "to_be_copied", SECOND: "available"}
    await ledger.execute(NoteCopied(caller=ALICE, job_id=job_id, copy_id=PRIMARY))
    assert await states(ledger, job_id) == {PRIMARY: "available", SECOND: "available"}


async def test_a_job_that_others_on_the_copy_require_is_not_deleted(ledger: Ledger) -> None:
    """Unless they are listed too; directly or not, also where they were registered in the same batch."""
    await put_copies(ledger)
    both = [{"id": PRIMARY}, {"id": SECOND}]
    full = await register(ledger, copies=both)
    between = await register(ledger, required_job_ids=[full])
    queued = [
        await ledger.enqueue(registration(spec(required_job_ids=[between], copies=[{"id": PRIMARY}]))),
        await ledger.enqueue(on(DeleteFromCopy, full)),
    ]
    last = (await queued[0]).result["jobs"][0]["id"]

    with pytest.raises(JobsRefusedError) as refused:
        await queued[1]
    assert (
        refused.value.refused[full].detail
        == f"Job {full} is required on copy {PRIMARY} by job {last}, which is not listed."
    )
    await ledger.execute(on(DeleteFromCopy, full, copy_id=SECOND))
    await ledger.execute(on(DeleteFromCopy, full, last))
    assert await states(ledger, full) == {PRIMARY: "deleted", SECOND: "deleted"}


async def test_what_is_retained_on_a_copy_is_deleted_from_others_alone(ledger: Ledger) -> None:
    """The later time wins; released by its user it may go."""
    await put_copies(ledger)
    job_id = await register(ledger, copies=[{"id": PRIMARY}, {"id": SECOND}])
    far = datetime(2090, 1, 1, tzinfo=UTC)

    assert (await ledger.execute(on(RetainOnCopy, job_id, until=far))).event_count == 1
    for until in (far, far - timedelta(days=1)):
        assert (await ledger.execute(on(RetainOnCopy, job_id, until=until))).event_count == 0
    with pytest.raises(JobsRefusedError) as refused:
        await ledger.execute(on(DeleteFromCopy, job_id))
    assert refused.value.refused[job_id].code == "job_is_retained"
    await ledger.execute(on(DeleteFromCopy, job_id, copy_id=SECOND))
    with pytest.raises(JobsRefusedError):
        await ledger.execute(on(RetainOnCopy, job_id, copy_id=SECOND))
    for until in (COPIED_AT, datetime.fromtimestamp(0, UTC)):
        with pytest.raises(InvalidCommandError):
            await ledger.execute(on(RetainOnCopy, job_id, until=until))

    await ledger.execute(on(RetainOnCopy, job_id))
    assert (await ledger.execute(on(RetainOnCopy, job_id, until=far))).event_count == 0
    assert (await ledger.execute(on(ReleaseOnCopy, job_id))).event_count == 1
    assert (await ledger.execute(on(ReleaseOnCopy, job_id))).event_count == 0
    await ledger.execute(on(DeleteFromCopy, job_id))
    assert await states(ledger, job_id) == {PRIMARY: "deleted", SECOND: "deleted"}


async def test_a_held_job_is_deleted_from_no_copy(ledger: Ledger) -> None:
    """Neither by a hold over a list nor by one over a filter; releasing the user's retention leaves both."""
    await put_copies(ledger)
    listed = await register(ledger, copies=[{"id": PRIMARY}])
    filtered = await register(ledger, type="mail", copies=[{"id": PRIMARY}])
    await ledger.execute(PlaceHold(caller=ALICE, name="case 1", reason="a case", job_ids=[listed]))
    await ledger.execute(PlaceHold(caller=ALICE, name="case 2", reason="a case", filter=HoldFilter(type="mail")))

    await ledger.execute(on(ReleaseOnCopy, listed, filtered))
    with pytest.raises(JobsRefusedError) as refused:
        await ledger.execute(on(DeleteFromCopy, listed, filtered))

    assert [it.code for it in refused.value.refused.values()] == ["job_is_held", "job_is_held"]


async def test_a_deleted_job_is_on_no_copy(ledger: Ledger) -> None:
    """But what required it still requires what it required."""
    await put_copies(ledger)
    full = await register(ledger, copies=[{"id": PRIMARY}])
    between = await register(ledger, required_job_ids=[full], copies=[{"id": PRIMARY}])
    last = await register(ledger, required_job_ids=[between], copies=[{"id": PRIMARY}])

    await ledger.execute(DeleteJob(caller=ALICE, job_id=between, reason="not needed"))

    with pytest.raises(JobsNotFoundError):
        await ledger.execute(on(DeleteFromCopy, between))
    with pytest.raises(JobsRefusedError):
        await ledger.execute(on(DeleteFromCopy, full))
    await ledger.execute(on(DeleteFromCopy, full, last))


@pytest.mark.parametrize("count", [0, 10_001])
def test_a_request_is_about_some_jobs(count: int) -> None:
    with pytest.raises(InvalidCommandError):
        on(DeleteFromCopy, *range(1, count + 1))
