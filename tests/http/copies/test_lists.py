"""The list of a copy's jobs: its filters, and how it is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobledger.http.copies import job_lists
from tests.http.copies.speaking import BACKUP, PREFIXES, Copies

PATH = "V4/Plan/BackupDestination/9/Jobs"
ALL = {"view": "custom"}


def began(**ago: float) -> dict[str, Any]:
    """A job that began so long ago, for a minute."""
    start = datetime.now(UTC) - timedelta(**ago)
    return {"started_at": start.isoformat(), "ended_at": (start + timedelta(minutes=1)).isoformat()}


def level(name: str, client: Any = 2) -> dict[str, Any]:
    """A job of that level, of that client."""
    return {"backup": {**BACKUP, "jobType": name, "server": {"id": client, "name": "x"}}}


async def test_a_list_holds_the_jobs_of_its_copy(copies: Copies) -> None:
    """In the order in which they began, with the members that an operation shows."""
    await copies.register(began(hours=1), began(hours=2), {**began(hours=3), "copies": [{"id": 10}]})

    for prefix in PREFIXES:
        copies.prefix = prefix
        reply = await copies.get(PATH)
        assert reply.status == 200
        assert list(reply.document) == ["jobs"]
        assert [it["jobId"] for it in reply.document["jobs"]] == [2, 1]
    operation = await copies.operate("ALLOW_COPY", 2, 1)
    assert operation.document["jobInfo"] == reply.document["jobs"]
    assert (await copies.get("V4/Plan/BackupDestination/11/Jobs")).body == b'{"jobs":[]}'


async def test_a_view_is_of_some_time(copies: Copies) -> None:
    await copies.register(began(hours=1), began(days=2), began(days=8), began(days=31), began(days=91))
    now = int(datetime.now(UTC).timestamp())

    assert await copies.job_ids() == [1]
    for view, ids in (
        ("last24Hours", [1]), ("lastWeek", [2, 1]), ("lastMonth", [3, 2, 1]), ("last3Months", [4, 3, 2, 1]),
        ("custom", [5, 4, 3, 2, 1]),
    ):  # fmt: skip
        assert await copies.job_ids({"view": view}) == ids
    week = now - 7 * 24 * 3600
    assert await copies.job_ids({**ALL, "startTime": week}) == [2, 1]
    assert await copies.job_ids({**ALL, "endTime": str(week)}) == [5, 4, 3]
    assert await copies.job_ids({"startTime": week, "endTime": now - 7200}) == [2]


async def test_the_second_that_is_named_is_in_it(copies: Copies) -> None:
    await copies.register({})

    assert await copies.job_ids({**ALL, "startTime": 1767312000, "endTime": 1767312000}) == [1]
    assert await copies.job_ids({**ALL, "startTime": 1767312001}) == []
    assert await copies.job_ids({**ALL, "endTime": 1767311999}) == []


async def test_of_a_parameter_given_twice_the_last_counts(copies: Copies) -> None:
    """And a query may begin with an ampersand: both as the vendor's SDK writes them."""
    await copies.register({})

    for query, ids in (
        ("?&view=custom&startTime=1&endTime=4000000000&startTime=1767312000", [1]),
        ("?&view=custom&startTime=1&startTime=1767312001", []),
        ("?&view=lastWeek&view=custom", [1]),
        ("?&", []),
        ("?", []),
    ):
        reply = await copies.get(PATH + query)
        assert [it["jobId"] for it in reply.document["jobs"]] == ids, query


async def test_levels_and_clients(copies: Copies) -> None:
    names = ("Full", "Incremental", "Differential", "Synthetic Full", "Archive")
    await copies.register(*(level(name, number) for number, name in enumerate(names, 1)), level("Full", "2"))

    for name in ("backupLvl", "backupLevel"):
        for value, ids in ((1, [1, 6]), (2, [2]), (4, [3]), (64, [4]), (8, [1, 2, 3, 4, 5, 6]), (3, [1, 2, 6])):
            assert await copies.job_ids({**ALL, name: value}) == ids
    for clients, ids in (('"2,3"', [2, 3, 6]), ("2,3", [2, 3, 6]), ("2", [2, 6]), ("9", []), ("", [1, 2, 3, 4, 5, 6])):
        assert await copies.job_ids({**ALL, "clients": clients}) == ids


async def test_states_and_what_was_deleted(copies: Copies) -> None:
    to_be, not_to_be = "to_be_copied", "not_to_be_copied"
    await copies.register({}, {}, {"copies": [{"id": 9, "state": to_be}]}, {"copies": [{"id": 9, "state": not_to_be}]})
    await copies.operate("DELETE", 2)

    for state, ids in ((0, [1, 3, 4]), (1, [1]), (4, [3]), (8, [4]), (5, [1, 3]), (16, []), (29, [1, 3, 4])):
        assert await copies.job_ids({**ALL, "copyState": state}) == ids
    for aged, ids in ((0, [1, 3, 4]), (1, [2]), (2, [1, 2, 3, 4])):
        assert await copies.job_ids({**ALL, "agedData": aged}) == ids
    assert await copies.job_ids({**ALL, "agedData": 2, "copyState": 1}) == [1, 2]


@pytest.mark.parametrize("form", ["json", "xml"])
async def test_a_long_list_is_written_as_it_is_read(copies: Copies, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same document, however many jobs are read at a time."""
    await copies.register(*[{}] * 7, {"required_job_ids": [1]})
    headers = {"Accept": f"application/{form}"}

    whole = await copies.get(PATH, ALL, headers=headers)
    for size in (1, 3, 4, 7):
        monkeypatch.setattr(job_lists, "JOBS_A_PIECE", size)
        reply = await copies.get(PATH, ALL, headers=headers)
        assert reply.headers["Content-Type"] == f"application/{form}"
        assert reply.body == whole.body
    assert "Content-Length" not in reply.headers
    assert len(whole.document["jobs"]) == 8
    head = await copies.send("HEAD", PATH, params=ALL, headers=headers)
    assert (head.status, head.body) == (200, b"")


WRONG: dict[str, list[str]] = {
    "view": ["today", "", "All", "LASTWEEK"],
    "startTime": ["-1", "x", "1.5", "", "253402300800"],
    "endTime": ["-1", "x", "", "9" * 30],
    "clients": ["x", "1,", ",", "1;2", "-1", "99999999999", "2147483648", '"'],
    "agedData": ["3", "-1", "x", ""],
    "backupLvl": ["16", "128", "-1", "x", ""],
    "backupLevel": ["16", "128", "-1", "x", ""],
    "copyState": ["2", "32", "-1", "x", ""],
    "other": ["1"],
}


async def test_what_is_no_list(copies: Copies) -> None:
    for name, values in WRONG.items():
        for value in values:
            reply = await copies.get(PATH, {**({} if name == "view" else ALL), name: value})
            assert reply.status == 400, (name, value, reply.body)
            assert list(reply.document) == ["errorMessage", "errorCode"]
            assert reply.document["errorCode"] == 400
    assert (await copies.get(PATH, {"view": "lastWeek", "startTime": 1})).status == 400
    for copy_id in ("8", "0", "x", "99999999999", "٣", "-1"):
        reply = await copies.get(f"V4/Plan/BackupDestination/{copy_id}/Jobs")
        assert (reply.status, reply.document["errorCode"]) == (404, 404)
