"""The fetches dialect in XML: each of its answers, and its errors."""

from __future__ import annotations

import pytest

from tests.http.fetches.speaking import Fetches

XML = {"Accept": "application/xml"}
JOB = (
    "<id>1</id><url>BASE/api/jobs/1/</url><job_start>2022-10-31T10:00:00Z</job_start><job_end>2022-10-31T11:02:03Z</job_end>"
    '<range_start nil="true"/><range_end nil="true"/><scheduled>2022-10-31T00:00:00Z</scheduled>'
    "<progress>1</progress><duration>1h 2m 3s</duration><state>2</state><state_label>Success</state_label>"
    "<state_color>green</state_color><manual>false</manual><datastream><id>3</id><name>Ad spend</name><slug>ad-spend</slug>"
    '<url>BASE/api/datastreams/3/</url></datastream><stage nil="true"/><discard_reason nil="true"/>'
)
IMPORT = (
    "<id>1</id><url>BASE/api/jobs/1/</url><state>2</state><state_label>Success</state_label>"
    '<stage nil="true"/><progress>1</progress><started>2022-10-31T10:00:00Z</started>'
)


@pytest.mark.parametrize(
    ("path", "inner"),
    [
        ("jobs/1/", JOB),
        (
            "jobs/?start=2022-10-31",
            f'<count>1</count><next nil="true"/><previous nil="true"/>'
            f"<results>{JOB}</results>",
        ),
        ("datastreams/3/", "<id>3</id><name>Ad spend</name><slug>ad-spend</slug><url>BASE/api/datastreams/3/</url>"),
        ("jobs/", '<count>0</count><next nil="true"/><previous nil="true"/>'),
        ("jobs/?page=2", "<detail>Invalid page.</detail>"),
        ("jobs/?x=1", "<detail>X is not known here.</detail><errors><x>Is not known here.</x></errors><x>Is not known here.</x>"),
    ],
)  # fmt: skip
async def test_documents(fetches: Fetches, path: str, inner: str) -> None:
    await fetches.import_jobs({"datastream": {"id": 3, "name": "Ad spend"}})

    reply = await fetches.get(path, headers=XML)

    assert reply.headers["Content-Type"] == "application/xml"
    expected = f"<response>{inner}</response>".replace("BASE", fetches.base)
    assert plain(reply.body.decode()) == plain(expected)


async def test_an_import(fetches: Fetches) -> None:
    await fetches.import_jobs({})

    reply = await fetches.get("jobs/1/imported/", headers=XML)

    assert plain(f"<response>{IMPORT}".replace("BASE", fetches.base)) in plain(reply.body.decode())


async def test_a_fetch_and_a_stop(fetches: Fetches) -> None:
    await fetches.native.register_running(stage="fetch", datastream={"id": 3})
    headers = {**XML, "Content-Type": "application/xml"}

    fetch = await fetches.post(
        "datastreams/3/fetch_fixed/", data=b"<any><start>2022-10-31</start><end>2022-10-31</end></any>", headers=headers
    )
    stop = await fetches.post("jobs/1/stop/", headers=XML)

    assert plain(fetch.body.decode()) == plain(
        "<response><status>ok</status><message>Fetch scheduled.</message><start>2022-10-31T00:00:00Z</start>"
        f"<end>2022-10-31T23:59:59Z</end><jobs><id>2</id><url>{fetches.base}/api/jobs/2/</url></jobs></response>"
    )
    assert plain(stop.body.decode()) == plain("<response><status>ok</status><message>Job stopped.</message></response>")


@pytest.mark.parametrize(
    ("text", "is_manual"), [("true", True), ("True", True), ("TRUE", True), ("false", False), ("", False)]
)
async def test_a_job_registered_in_xml_may_be_manual(fetches: Fetches, text: str, is_manual: bool) -> None:
    """Attributes stay the texts that XML has."""
    body = f"<job><type>fetch</type><name>n</name><attributes><manual>{text}</manual></attributes></job>"
    await fetches.native.post_xml("jobs", body.encode())

    assert (await fetches.get("jobs/1/")).document["manual"] is is_manual


def plain(document: str) -> str:
    """Without the declaration."""
    return document.partition("?>\n")[2] or document
