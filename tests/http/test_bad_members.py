"""Documents that are no fault of form, but say what cannot be."""

from typing import Any

import orjson

from tests.http.targets import DOCUMENT_POSTS, MANNERS
from tests.http.trial import Spread, Trial


async def test_members_of_another_kind(trial: Trial, spread: Spread) -> None:
    """Each is named in the problem."""
    named = [(each, member) for each in DOCUMENT_POSTS for member in each.members]
    for target, member, value in spread.of_names(named, lambda target, name: target.manners.wrong_members[name]):
        reply = await trial.expect(target, 400, data=orjson.dumps({**target.due, member: value}))
        assert target.manners.named(reply.document) == [member], (member, value, reply.body)


async def test_every_fault_of_a_body_is_told_at_once(trial: Trial) -> None:
    reply = await trial.api.post("jobs", {"type": 1, "priority": 2, "other": 3})

    assert reply.document["detail"] == (
        "Type is not a string; priority is not a string; other is not known here; name is missing."
    )
    assert reply.document["errors"] == [
        {"member": "type", "problem": "is not a string"},
        {"member": "priority", "problem": "is not a string"},
        {"member": "other", "problem": "is not known here"},
        {"member": "name", "problem": "is missing"},
    ]


async def test_members_that_contradict_each_other(trial: Trial) -> None:
    target = next(it for it in DOCUMENT_POSTS if it.last == "jobs")
    faults: list[tuple[int, dict[str, Any]]] = [
        (400, {"external_id": "1"}),
        (400, {"started_at": "2026-01-01T00:00:00Z"}),
        (400, {"reason": "x"}),
        (400, {"state": "SUCCESS"}),
        (400, {"state": "CANCELLED", "started_at": "2026-01-02T00:00:00Z", "ended_at": "2026-01-01T00:00:00Z"}),
        (404, {"preceding_job_id": 99}),
        (404, {"required_job_ids": [1, 99]}),
        (404, {"retry_of_job_id": 99}),
        (409, {"id": 1}),
    ]
    for status, members in faults:
        await trial.expect(target, status, data=orjson.dumps({"type": "t", "name": "n", **members}))


async def test_numeric_strings_are_integers(trial: Trial) -> None:
    reply = await trial.api.post("jobs", {"type": "t", "name": "n", "preceding_job_id": "1", "heartbeat_timeout": "60"})

    assert reply.status == 201
    job = await trial.api.job(reply.document["id"])
    assert (job["preceding_job_id"], job["heartbeat_timeout"]) == (1, 60)
    assert await trial.api.job_ids({"limit": "01"}) == [1]
    trial.size += 1


async def test_times_of_any_zone_are_times(trial: Trial) -> None:
    for given, shown in (
        ("2026-11-21T22:34:05Z", "2026-11-21T22:34:05Z"),
        ("2026-11-21t22:34:05z", "2026-11-21T22:34:05Z"),
        ("2026-11-21 22:34:05+00:00", "2026-11-21T22:34:05Z"),
        ("2026-11-21T22:34:05.123456789-05:30", "2026-11-22T04:04:05.123456Z"),
        ("2026-11-21T22:34:05.1Z", "2026-11-21T22:34:05.100000Z"),
        ("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z"),
    ):
        assert (await trial.api.job(await trial.api.register(scheduled_at=given)))["scheduled_at"] == shown
        trial.size += 1


def test_every_member_is_covered() -> None:
    for manners in MANNERS.values():
        taken = {member for target in DOCUMENT_POSTS if target.manners is manners for member in target.members}
        assert set(manners.wrong_members) == taken
