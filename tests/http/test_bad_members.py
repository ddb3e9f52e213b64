"""Documents that are no fault of form, but say what cannot be."""

from typing import Any

import orjson

from tests.http.targets import DOCUMENT_POSTS
from tests.http.trial import Trial

WRONG_TEXT: list[Any] = [1, True, 1.5, [], {}, ["a"], ""]
WRONG_ID: list[Any] = [0, -1, 2**31, 10**18, 1.5, 1e3, "x", "", "1.0", " 1", "+1", "٣", True, [], {}, "9" * 21]
WRONG_TIME: list[Any] = [
    0, True, [], {}, "", "now", "2026-11-21", "2026-11-21T22:34:05", "2026-02-30T00:00:00Z", "2026-11-21T24:00:01Z",
    "2026-11-21T22:34:60Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1899-12-31T23:59:59Z", "2026-11-21T22:34:05+25:00",
    "2026-11-21T22:34:05Z ", "20261121T223405Z", "2026-W47-6T22:34:05Z", "２０２６-11-21T22:34:05Z",
    "2026-11-21T22:34:05.1234567890Z",
]  # fmt: skip
WRONG_TIMEOUT: list[Any] = [0, -1, 10**10, 1.5, "x", "", True, [], {}]
WRONG_OBJECT: list[Any] = [1, "x", True, [], 1.5]
WRONG_WORDS: list[Any] = ["x", 1, True, {}, [1], [None], [[]], [""], ["x"] * 1001]

# For each member of a body what it cannot be. A new member needs its line here.
WRONG: dict[str, list[Any]] = {
    "type": [*WRONG_TEXT, "x" * 201],
    "name": [*WRONG_TEXT, "x" * 501],
    "domain": [*WRONG_TEXT, "x" * 201],
    "priority": [*WRONG_TEXT, "x" * 65],
    "datastream": [
        *WRONG_OBJECT, {}, {"name": "a"}, {"id": None}, {"id": 1.5}, {"id": ""}, {"id": True}, {"id": []}, {"id": "x" * 201},
        {"id": 1, "name": 1}, {"id": 1, "name": ""}, {"id": 1, "other": 1},
    ],
    "stage": [*WRONG_TEXT, "x" * 201],
    "preceding_job_id": WRONG_ID,
    "preceding_external_id": [*WRONG_TEXT, "x" * 501],
    "required_job_ids": [1, "x", True, {}, [0], ["x"], [None], [[1]], [1] * 10_001],
    "retry_of_job_id": WRONG_ID,
    "source": [*WRONG_TEXT, "x" * 201],
    "external_id": [*WRONG_TEXT, "x" * 501],
    "scheduled_at": WRONG_TIME,
    "heartbeat_timeout": WRONG_TIMEOUT,
    "start_timeout": WRONG_TIMEOUT,
    "backup": WRONG_OBJECT,
    "attributes": WRONG_OBJECT,
    "id": WRONG_ID,
    "state": ["RUNNING", "SCHEDULED", "STALE", "success", "", 1, True, [], {}, "SUCCESS "],
    "started_at": WRONG_TIME,
    "ended_at": WRONG_TIME,
    "reason": [*WRONG_TEXT, "x" * 10_001],
    "progress": [-0.1, 1.1, 2, "x", "0.5", True, [], {}, 1e300],
    "figures": [*WRONG_OBJECT, {"a": "1"}, {"a": None}, {"a": True}, {"": 1}, {"x" * 65: 1}, {str(it): 1 for it in range(33)}],
    "message": [*WRONG_TEXT, "x" * 10_001],
    "error": [*WRONG_TEXT, "x" * 10_001],
    "roles": [*WRONG_WORDS, ["x" * 201]],
    "capabilities": [*WRONG_WORDS, ["x" * 201]],
    "home_domain": [*WRONG_TEXT, "x" * 201],
    "domains": [*WRONG_WORDS, ["x" * 201]],
    "all_domains": [1, 0, "x", [], {}],
    "password": [*WRONG_TEXT, "x" * 1025, "é" * 513, "a\tb", "a\nb"],
    "current": [*WRONG_TEXT, "x" * 1025],
    "principal": [*WRONG_TEXT, "x" * 65],
    "principal_id": WRONG_ID,
    "expires_in": WRONG_TIMEOUT,
    "expires_at": WRONG_TIME,
    "label": [*WRONG_TEXT, "x" * 201],
    "description": [*WRONG_TEXT[:-1], "x" * 10_001],
    "notes": [*WRONG_TEXT[:-1], "x" * 10_001],
    **{name: [it for it in WRONG_TIME if it != ""] for name in ("start_date", "due_date")},
    **{name: [*WRONG_TEXT[:-1], "x" * 201] for name in ("owned_by", "assigned_type", "assigned_to")},
    "parent_job_id": [it for it in WRONG_ID if it != ""],
    "location": [
        *WRONG_OBJECT, {"geometryType": "Point"}, {"geometryType": 1, "geometry": "{}"}, {"geometryType": "P", "geometry": 1},
    ],
    "extended_properties": [
        1, "x", True, {}, [1], [{}], [{"identifier": ""}], [{"identifier": 1}], [{"identifier": "a"}] * 1001,
    ],
    **{name: [*WRONG_WORDS, ["x" * 201]] for name in ("step_ids", "following")},
    "steps": [
        1, "x", True, {}, [1], [{}], [{"id": ""}], [{"id": "a", "next": "b"}], [{"id": "a", "other": 1}], [{"id": "a"}] * 1001,
    ],
    "initial_step": [*WRONG_TEXT, "x" * 201],
    "active": [1, 0, "x", [], {}],
    "diagram_id": WRONG_ID,
    "defaults": WRONG_OBJECT,
    "number_of_jobs": [*WRONG_ID, 5_001],
    "action": [*WRONG_TEXT, "start", "Close", "jump"],
    "job_ids": [1, "x", True, {}, [0], ["x"], [None], [[1]], [1] * 10_001],
    "all_or_none": [1, 0, "x", [], {}],
    "until": WRONG_TIME,
    "copy_id": WRONG_ID,
    "scope": [*WRONG_TEXT, "some"],
    "filter": [*WRONG_OBJECT, {"type": ""}, {"state": "RUNNING"}, {"ended_from": "now"}, {"q": "x"}],
}  # fmt: skip


async def test_members_of_another_kind(trial: Trial) -> None:
    """Each is named in the problem."""
    for target, member in [(each, member) for each in DOCUMENT_POSTS for member in each.members]:
        good = orjson.loads(target.body or b"{}")
        for value in WRONG[member]:
            reply = await trial.expect(target, 400, data=orjson.dumps({**good, member: value}))
            assert reply is not None
            named = [it["member"] for it in reply.document.get("errors", ())]
            assert named == [member], (member, value, reply.body)


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
    assert set(WRONG) == {member for target in DOCUMENT_POSTS for member in target.members}
