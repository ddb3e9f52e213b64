"""What the space dialect shows of a job is what its filters compare."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.http.space.speaking import XML, Space
from tests.http.space.test_jobs import ended

# Which of three jobs are found whose times lie a second before, in, and a second after the one that is asked for.
COMPARED = {"eq": [2], "ne": [1, 3], "lt": [1], "le": [1, 2], "gt": [3], "ge": [2, 3]}


async def test_times_are_compared_as_they_are_shown(space: Space) -> None:
    """In whole seconds: a job is found by what was shown of it, though its time has a fraction."""
    for second in (28, 29, 30):
        times = dict.fromkeys(("scheduled_at", "started_at", "ended_at"), f"2011-03-17T05:29:{second}.700001Z")
        await ended(space, **times)
    job = ElementTree.fromstring((await space.get("/jobs/2", headers=XML)).body)

    for name in ("scheduled-start-time", "start-time", "end-time"):
        assert job.findtext(name) == "Thu, 17 Mar 2011 05:29:29 GMT"
        for value in ("Thu,+17+Mar+2011+05:29:29+GMT", "2011-03-17T05:29:29Z"):
            found = {it: await space.ids(f"?filter=({name}+{it}+'{value}')") for it in COMPARED}
            assert found == COMPARED
    between = "'2011-03-17T05:29:29.5Z'"
    found = {it: await space.ids(f"?filter=(end-time+{it}+{between})") for it in COMPARED}
    assert found == {"eq": [], "ne": [1, 2, 3], "lt": [1, 2], "le": [1, 2], "gt": [3], "ge": [3]}


async def test_percentages_are_compared_as_they_are_shown(space: Space) -> None:
    """Of two digits."""
    for progress in (1 / 3, 2 / 3, 0.00125, 0.123456, 0.99999):
        job_id = await space.native.register_running()
        await space.native.post(f"jobs/{job_id}/progress", {"progress": progress})
        shown = ElementTree.fromstring((await space.get(f"/jobs/{job_id}", headers=XML)).body)

        assert await space.ids(f"?filter=(percent-complete+eq+{shown.findtext('percent-complete')})") == [job_id]
