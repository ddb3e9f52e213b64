"""The space dialect's jobs: whole documents, byte for byte, as its clients know them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.http.serving import Server
from tests.http.space.speaking import JSON, MT, XML, Space, space_client

PAST = {"started_at": "2011-03-17T05:29:00Z", "ended_at": "2011-03-17T05:30:00Z"}
AN_END = {"scheduled_at": "2011-03-17T05:28:00Z", "state": "SUCCESS", **PAST}


async def ended(space: Space, **members: Any) -> int:
    """A job that has ended."""
    return await space.native.register(**{"type": "Delete Script", "name": "clean", **AN_END, **members})


async def test_what_there_is(space: Space) -> None:
    document = (
        '<job-management><collection href="/api/space/job-management/jobs" rel="jobs"/>'
        '<archive-purge-jobs href="/api/space/job-management/archive-purge-jobs"/>'
        '<job-types href="/api/space/job-management/job-types"/>'
        '<cancel-jobs href="/api/space/job-management/cancel-jobs"/></job-management>'
    )

    for path in ("", "/"):
        reply = await space.get(path)

        assert (reply.status, reply.body.decode()) == (200, document)


async def test_jobs_as_a_document(space: Space) -> None:
    await ended(space)
    job = (
        '<job href="/api/space/job-management/jobs/1" uri="/api/space/job-management/jobs/1">'
        "<id>1</id><name>clean</name><percent-complete>100.0</percent-complete><mo-state>SUCCESS</mo-state>"
        "<job-state>DONE</job-state><job-status>SUCCESS</job-status><job-type>Delete Script</job-type>"
        "<summary><![CDATA[]]></summary><scheduled-start-time>Thu, 17 Mar 2011 05:28:00 GMT</scheduled-start-time>"
        "<start-time>Thu, 17 Mar 2011 05:29:00 GMT</start-time><end-time>Thu, 17 Mar 2011 05:30:00 GMT</end-time>"
        "<owner>super</owner><schedule-string>(at(0 28 5 17 3 ? 2011))</schedule-string>"
        "<retry-supported>false</retry-supported><domain-id>65537</domain-id><domain-name>Global</domain-name></job>"
    )

    reply = await space.get("/jobs")

    assert reply.status == 200
    assert reply.headers["Content-Type"] == f"{MT}jobs+xml; version=3; charset=UTF-8"
    assert reply.body.decode() == f'<jobs total="1" uri="/api/space/job-management/jobs">{job}</jobs>'
    one = await space.get("/jobs/1")
    assert one.headers["Content-Type"] == f"{MT}job+xml; version=3; charset=UTF-8"
    assert one.body.decode() == job


async def test_jobs_in_json(space: Space) -> None:
    await ended(space)

    reply = await space.get("/jobs?fields=(id,name,job-state)", headers={"Accept": f'{MT}jobs+json;version="3";q=0.5'})

    href = "/api/space/job-management/jobs"
    assert orjson.loads(reply.body) == {
        "jobs": {
            "@total": 1,
            "@uri": href,
            "job": [{"@href": f"{href}/1", "@uri": f"{href}/1", "id": 1, "name": "clean", "job-state": "DONE"}],
        }
    }
    assert reply.headers["Content-Type"] == f"{MT}jobs+json; version=3; charset=UTF-8"


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("application/json", "application/json"),
        ("application/xml", "application/xml"),
        ("text/xml", "application/xml"),
        ("application/json;q=0.5, application/xml;q=0.4", "application/json"),
        (f"{MT}jobs+json;version=1, application/json", "application/json"),
        (f"application/json, {MT}jobs+json", f"{MT}jobs+json; version=3; charset=UTF-8"),
        ("application/*", f"{MT}jobs+xml; version=3; charset=UTF-8"),
        ("*/*", f"{MT}jobs+xml; version=3; charset=UTF-8"),
    ],
)
async def test_who_asks_for_a_plain_type_is_given_it(space: Space, accept: str, given: str) -> None:
    """Programs that know no more than JSON look for its name in the answer."""
    await ended(space)
    own = await space.get("/jobs", headers={"Accept": f"{MT}jobs+{'json' if 'json' in given else 'xml'}"})

    reply = await space.get("/jobs", headers={"Accept": accept})

    assert (reply.status, reply.headers["Content-Type"]) == (200, given)
    assert reply.body == own.body


async def test_without_jobs_there_is_nothing(space: Space) -> None:
    reply = await space.get("/jobs")

    assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (f"{MT}jobs+xml;version=3", 200),
        (f'{MT}jobs+xml;version="3";charset=UTF-8', 200),
        (f"{MT}jobs+xml;q=0.1;version=3", 200),
        (f"{MT}jobs+xml;charset=UTF-8;q=0.1;version=3", 200),
        (f"{MT}jobs+xml", 200),
        ("application/xml", 200),
        ("*/*", 200),
        (f"{MT}jobs+xml;version=2", 406),
        (f"{MT}jobs+json;version=1", 406),
        (f"{MT}job+xml;version=3", 406),
        ("text/html", 406),
    ],
)
async def test_versions(space: Space, accept: str, status: int) -> None:
    await ended(space)

    reply = await space.get("/jobs", headers={"Accept": accept})

    assert reply.status == status
    if status == 406:
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_errors_are_a_sentence(space: Space) -> None:
    reply = await space.get("/jobs/9")
    assert (reply.status, reply.body) == (404, b"There is no job 9.")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"

    reply = await space.get("/jobs", headers={"Authorization": "Basic eA=="})
    assert (reply.status, reply.body) == (401, b"Valid credentials are needed.")
    assert reply.headers["WWW-Authenticate"] == 'Basic realm="job ledger"'


async def test_who_may_not_is_told_by_the_vendors_names(server: Server) -> None:
    nobody = await space_client(server, "nobody", [])

    told = [
        await nobody.get("/jobs"),
        await nobody.post("/jobs/1/cancel"),
        await nobody.post("/archive-purge-jobs"),
    ]

    assert [it.status for it in told] == [403, 403, 403]
    assert [it.body.decode() for it in told] == [
        f"This needs the capability {name}." for name in ("JobMgr", "CancelJob", "PurgeJobs")
    ]


FILTERS = [
    ("((job-state eq 'DONE'))", [2, 3]),
    ("(job-state eq 'DONE')", [2, 3]),
    ("job-state eq 'DONE'", [2, 3]),
    ("job-state ne 'DONE'", [1, 4]),
    ("not job-state eq 'DONE'", [1, 4]),
    ("(job-status eq 'FAILURE')", [3]),
    ("(mo-state starts-with 'S')", [1, 2, 4]),
    ("((job-type eq 'Archive/Purge Jobs') or (id lt 2))", [1, 4]),
    ("((job-type contains 'Script') and (name ne 'clean'))", [1, 3]),
    ("(name eq 'old-4')", [4]),
    ("(name starts-with 'cl') and id ge 1", [2]),
    ("(domain-name eq 'Sales')", [3]),
    ("(domain-id eq 65538)", [3]),
    ("(domain-id gt 65537)", [3]),
    ("(end-time lt 'Thu, 17 Mar 2011 05:29:59 GMT')", []),
    ("(end-time eq 'Thu, 17 Mar 2011 05:30:00 GMT')", [2, 3]),
    ("(end-time le 1300339800000)", [2, 3]),
    ("(start-time ge '2011-03-17T05:29:00Z')", [2, 3]),
    ("(percent-complete eq 100)", [2]),
    ("(summary contains '50%_')", [3]),
]


@pytest.fixture
async def four(space: Space) -> Space:
    """Jobs 1 to 4: scheduled, a success, a failure in the domain Sales, and an archiving that is scheduled."""
    await space.native.register(type="Add Script", name="b")
    await ended(space)
    await ended(space, name="a", domain="Sales", state="FAILED", reason="at 50%_")
    await space.native.register(type="Archive/Purge Jobs", name="old")
    return space


async def test_filters(four: Space) -> None:
    for text, found in FILTERS:
        for spelt in (text.replace(" ", "+"), text.replace(" ", "%20")):
            assert await four.ids(f"?filter={spelt.replace('50%_', '50%25_')}") == found, text


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("filter=((job-state eq 'DONE')", "filter is malformed at character 23: ) is due."),
        ("filter=(job-state is 'DONE')", "filter is malformed at character 12: eq or "),
        ("filter=(owner eq 'x')", "filter is malformed at character 2: owner cannot be filtered by."),
        ("filter=(name eq 'x", "filter is malformed at character 10: a quote is not closed."),
        ("filter=(id contains 1)", "filter is malformed at character 2: id is no text."),
        ("filter=(id eq x)", "filter is malformed at character 8: a number is due."),
        ("filter=(end-time eq x)", "filter is malformed at character 14: a time is due"),
        ("filter=(end-time le 'Fri, 31 Dec 9999 23:59:59 GMT')", "filter is malformed at character 14: a time is due"),
        ("filter=(id eq 1) x", "filter is malformed at character 11: x is not expected."),
        ("filter=" + "(" * 30 + "id eq 1" + ")" * 30, "filter is malformed at character 22: it nests deeper"),
        ("paging=(start eq x)", "paging is malformed at character 11: a number of at most 2147483647 is due."),
        ("paging=(limit eq 1001)", "paging is malformed at character 11: a number of at most 1000 is due."),
        ("paging=start eq 0", "paging is malformed at character 1: ( is due."),
        ("sortby=(color(ascending))", "sortby is malformed at character 2: color cannot be sorted by."),
        ("sortby=(name(up))", "sortby is malformed at character 7: ascending or "),
        ("fields=(id,color)", "fields is malformed at character 5: there is no field color."),
        ("domainContext=(filterDomainIds eq 65599)", "There is no domain 65599."),
        ("domainContext=(x eq 1)", "domainContext is malformed at character 2: filterdomainids is due."),
        ("colour=1", "Colour is not known here."),
    ],
)
async def test_what_is_malformed_is_told_with_its_place(space: Space, query: str, place: str) -> None:
    reply = await space.get(f"/jobs?{query.replace(' ', '+')}")

    assert reply.status == 400
    assert reply.body.decode().startswith(place)


async def test_pages_and_orders(four: Space) -> None:
    assert await four.ids("?paging=(start+eq+1,+limit+eq+2)") == [2, 3]
    assert await four.ids("?paging=(limit+eq+1)&sortby=(id(descending))") == [4]
    assert await four.ids("?sortby=(name(ascending))") == [3, 1, 2, 4]
    assert await four.ids("?sortby=(name(descending),id(ascending))") == [4, 2, 1, 3]
    assert await four.ids("?sortby=(start-time)&filter=job-state+eq+DONE") == [2, 3]
    assert await four.ids("?sortby=(job-type(descending))") == [2, 3, 4, 1]
    beyond = await four.get("/jobs?paging=(start+eq+9,+limit+eq+2)")
    assert beyond.body == b'<jobs total="4" uri="/api/space/job-management/jobs"/>'


async def test_job_types(four: Space) -> None:
    reply = await four.get("/job-types")

    assert reply.body.decode() == (
        '<job-types total="3" uri="/api/space/job-management/job-types"><job-type>Add Script</job-type>'
        "<job-type>Archive/Purge Jobs</job-type><job-type>Delete Script</job-type></job-types>"
    )


async def test_domains_are_numbered_by_first_use(four: Space, server: Server) -> None:
    """Not by what is asked first, nor by who may see it, nor by what is left of them."""
    await four.native.register(domain="Another")
    await four.native.register(domain="Back")

    assert await four.ids("?domainContext=(filterDomainIds+eq+65540)") == [6]
    assert await four.ids("?domainContext=(filterDomainIds+eq+65538)") == [3]
    assert await four.ids("?domainContext=(filterDomainIds+eq+65537)") == [1, 2, 4]
    back = await space_client(server, "back", ["client"], home_domain="Back", domains=("Back",))
    assert await back.ids() == [6]
    assert b"<domain-id>65540</domain-id>" in (await back.get("/jobs/6")).body
    assert (await back.get("/jobs?domainContext=(filterDomainIds+eq+65538)")).body == b"There is no domain 65538."


async def test_markup_is_never_escaped(space: Space) -> None:
    """Clients turn &lt; into < before they parse."""
    await space.native.register(type='<a> & "b"', name="]]>")

    reply = await space.get("/jobs/1")

    assert b"<name><![CDATA[]]]]><![CDATA[>]]></name>" in reply.body
    assert b'<job-type><![CDATA[<a> & "b"]]></job-type>' in reply.body


async def test_progress(space: Space) -> None:
    job_id = await space.native.register_running(type="Archive/Purge Jobs", name="Archive/Purge Jobs")
    await space.native.post(f"jobs/{job_id}/progress", {"progress": 0.5, "message": "Archived: 120000 of 240000"})

    reply = await space.get("/jobs/1/progress-update")

    assert reply.headers["Content-Type"] == f"{MT}progress-update+xml; version=1; charset=UTF-8"
    assert reply.body.decode() == (
        '<progress-update xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="parallel-progress">'
        '<job href="/api/space/job-management/jobs/1"/><taskId>1</taskId>'
        "<jobName>Archive/Purge Jobs-1</jobName><state>INPROGRESS</state><status>UNDETERMINED</status>"
        "<percentage>50.0</percentage><data><![CDATA[Archived: 120000 of 240000<br>]]></data></progress-update>"
    )
    document = orjson.loads((await space.get("/jobs/1/progress-update", headers=JSON)).body)
    assert document == {
        "progress-update": {
            "@type": "parallel-progress",
            "job": {"@href": "/api/space/job-management/jobs/1"},
            "taskId": 1,
            "jobName": "Archive/Purge Jobs-1",
            "state": "INPROGRESS",
            "status": "UNDETERMINED",
            "percentage": 50.0,
            "data": "Archived: 120000 of 240000<br>",
        }
    }


async def test_an_element_that_names_no_job_is_refused(space: Space) -> None:
    """It would else be told of as cancelled."""
    await space.native.register()

    for inner in ("<job/>", '<job href="/api/space/job-management/jobs/1"/><job/>', '<job id="1"/>', "<job>1</job>"):
        body = f"<cancel-jobs-request><jobs>{inner}</jobs></cancel-jobs-request>"
        assert (await space.post("/cancel-jobs", body, "application/xml")).status == 400

    assert b"<job-state>SCHEDULED</job-state>" in (await space.get("/jobs/1")).body


@pytest.mark.parametrize(("verb", "body"), [("fail", {"error": "x"}), ("cancel", {})])
async def test_what_is_done_is_told_at_100_percent(space: Space, verb: str, body: dict[str, str]) -> None:
    """However it ended: clients follow the percentage until then. How far the job had come stays with the job."""
    job_id = await space.native.register_running()
    await space.native.post(f"jobs/{job_id}/progress", {"progress": 0.6})
    await space.native.post(f"jobs/{job_id}/{verb}", body)

    reply = await space.get(f"/jobs/{job_id}/progress-update")

    assert b"<state>DONE</state><status>FAILURE</status><percentage>100.0</percentage>" in reply.body
    assert b"<percent-complete>60.0</percent-complete>" in (await space.get(f"/jobs/{job_id}")).body


async def test_only_what_has_not_started_is_cancelled(space: Space) -> None:
    await space.native.register()
    await space.native.register_running()

    cancelled = await space.post("/jobs/1/cancel")
    assert cancelled.status == 200
    assert b"<mo-state>CANCELLED</mo-state>" in cancelled.body
    assert b"<job-state>DONE</job-state><job-status>FAILURE</job-status>" in cancelled.body

    for path in ("/jobs/1/cancel", "/jobs/2/cancel"):
        refused = await space.post(path)
        assert refused.status == 412
        assert refused.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert (await space.native.job(2))["state"] == "RUNNING"
    assert (await space.post("/jobs/3/cancel")).status == 404


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (
            '<cancel-jobs-request><jobs><job href="/api/space/job-management/jobs/1"/>'
            '<job href="/api/space/job-management/jobs/2"/><job href="/api/space/job-management/jobs/7"/>'
            "</jobs></cancel-jobs-request>",
            f"{MT}cancel-jobs-request+xml;version=1;charset=UTF-8",
        ),
        (
            '{"cancel-jobs-request":{"jobs":{"job":[{"@href":"/api/space/job-management/jobs/1"},'
            '{"@href":"http://server/api/space/job-management/jobs/2"},{"@href":"jobs/7"}]}}}',
            "application/json",
        ),
    ],
)
async def test_many_are_cancelled(space: Space, body: str, media_type: str) -> None:
    """The answer has those that could not be."""
    await space.native.register()
    await space.native.register_running()

    reply = await space.post("/cancel-jobs", body, media_type, headers=XML)

    assert reply.status == 200
    assert reply.body.startswith(
        b'<jobs total="2" uri="/api/space/job-management/jobs"><job href="/api/space/job-management/jobs/2"'
    )
    assert reply.body.endswith(
        b'<job href="/api/space/job-management/jobs/7" uri="/api/space/job-management/jobs/7"><id>7</id></job></jobs>'
    )
    assert [(await space.native.job(it))["state"] for it in (1, 2)] == ["CANCELLED", "RUNNING"]


async def test_one_is_a_list_of_one(space: Space) -> None:
    await space.native.register()

    body = '{"cancel-jobs-request":{"jobs":{"job":{"@href":"jobs/1"}}}}'
    reply = await space.post("/cancel-jobs", body, "application/json")

    assert (reply.status, reply.body) == (200, b'<jobs total="0" uri="/api/space/job-management/jobs"/>')
    assert (await space.native.job(1))["state"] == "CANCELLED"
