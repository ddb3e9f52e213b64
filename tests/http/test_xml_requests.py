"""The native API in XML: the same documents, told otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from jobledger.http.members import (
    an_object,
    boolean,
    datastream,
    figures,
    fraction,
    integer,
    list_of,
    number,
    one_of,
    text,
)
from jobledger.http.xml_document import read_xml, write_xml
from tests.examples import examples
from tests.http.dialects.manners import Target
from tests.http.serving import Api, Reply
from tests.http.targets import DOCUMENT_POSTS, ROUTES
from tests.http.test_random_documents import REQUESTS
from tests.http.test_xml_document import BOMB, kept
from tests.http.trial import Spread, Trial, is_taken
from tests.world import ORG

XML = {"Content-Type": "application/xml"}
MEBIBYTE = 1024 * 1024
JOBS = next(it for it in ROUTES if it.path == f"/ledger/v1/{ORG}/jobs" and it.method == "GET")

SPOILT = [
    b"<", b"<a>", b"{}", b"<a/><b/>", b"<a>\xff</a>", b"<a>&b;</a>", b"<a><stage>&#0;</stage></a>", b"<a><stage>\x00</stage></a>",
    b"<!DOCTYPE a><a/>", BOMB.encode(), b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a><stage>&b;</stage></a>',
    b"<a>" * 100_000, b"<a>" * 66 + b"</a>" * 66, b"<a>text</a>", b'<a nil="true"/>', b"<a><unknown>1</unknown></a>",
    b"<a><stage>b</stage><stage>c</stage></a>", b"<a><stage>b</stage>and more</a>", b'<a id="7"><stage>b</stage></a>',
    b"<a><stage><item>b</item></stage></a>", b"<a><b><c/></b></a>", b'<a><entry key="">b</entry></a>', b"<a><item/></a>",
]  # fmt: skip


def in_xml(target: Target) -> bytes:
    """The target's body."""
    return write_xml(target.due, "any")


def parsed(body: bytes) -> object:
    """The document. Raises MalformedDocumentError."""
    return read_xml(body)[1]


async def test_bodies_that_are_not_what_is_due(trial: Trial, spread: Spread) -> None:
    for target, body in spread(DOCUMENT_POSTS, SPOILT):
        if is_taken(target, body, parsed):
            continue
        is_too_large = target.body is not None and len(body) > target.body.limit_bytes
        await trial.expect(target, 413 if is_too_large else 400, data=body, headers=XML)


async def test_members_of_another_kind(trial: Trial, spread: Spread) -> None:
    """As in JSON, but for what only the type of a JSON value could tell."""

    def spoilt(target: Target, member: str) -> list[bytes]:
        bodies = []
        for value in target.manners.wrong_members[member]:
            body = target.manners.in_xml({**target.due, member: value})
            written = None if body is None else target.manners.from_xml(body)
            meant = written.get(member) if isinstance(written, dict) else None
            if body is not None and meant is not None and not is_read(target.members[member], meant):
                bodies.append(body)
        return bodies

    named = [(each, member) for each in DOCUMENT_POSTS for member in each.members]
    for target, member, body in spread.of_names(named, spoilt):
        reply = await trial.expect(target, 400, data=body, headers=XML)
        assert target.manners.named(reply.document) == [member], (member, body[:300], reply.body)


def is_read(reader: Any, value: Any) -> bool:
    """Whether the reader takes it."""
    try:
        reader(value)
    except ValueError:
        return False
    return True


def of(inner: str) -> Any:
    """A member as it is read from XML."""
    return read_xml(f"<any><m>{inner}</m></any>".encode())[1]["m"]


@pytest.mark.parametrize(
    ("reader", "inner", "value"),
    [
        (integer(0, 9), "7", 7),
        (number, "7", 7),
        (number, "-0.5e1", -5.0),
        (number, "18446744073709551615", 2**64 - 1),
        (fraction, "0.5", 0.5),
        (fraction, "1", 1.0),
        (boolean, "TRUE", True),
        (boolean, "False", False),
        (text(9), "7", "7"),
        (one_of("a"), "a", "a"),
        (list_of(integer(0, 9), 2), "7", [7]),
        (list_of(integer(0, 9), 2), "", []),
        (list_of(integer(0, 9), 2), "<item>7</item><item>8</item>", [7, 8]),
        (figures, "<rows>7</rows><share>0.5</share>", {"rows": 7, "share": 0.5}),
        (figures, "", {}),
        (datastream, "<id>7</id>", {"id": 7}),
        (datastream, "<id>007</id><name>7</name>", {"id": "007", "name": "7"}),
        (datastream, "<id>99999999999999999999</id>", {"id": "9" * 20}),
    ],
)
def test_what_a_text_means_its_reader_knows(reader: Any, inner: str, value: Any) -> None:
    read = reader(of(inner))

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("reader", "inner"),
    [
        (number, "NaN"),
        (number, "inf"),
        (number, "1e999"),
        (number, "0x1"),
        (number, "1_0"),
        (number, "18446744073709551616"),
        (number, " 1"),
        (number, "٣"),
        (number, ""),
        (number, "."),
        (number, "1."),
        (boolean, "1"),
        (boolean, "yes"),
        (boolean, ""),
        (list_of(integer(0, 9), 2), "x"),
        (list_of(integer(0, 9), 2), "<a>7</a>"),
        (figures, "<a>x</a>"),
        (figures, "<a><b>1</b></a>"),
        (datastream, "7"),
        (datastream, "<id><a/></id>"),
        (text(9), "<a/>"),
        (one_of("a"), "<a/>"),
    ],
)
def test_what_a_text_cannot_mean(reader: Any, inner: str) -> None:
    with pytest.raises(ValueError, match="is "):
        reader(of(inner))


def test_what_is_kept_of_a_request_is_no_longer_xml() -> None:
    """Aggregates and events hold ordinary values."""
    value = an_object(of("<a>1</a><b><c>2</c><c>3</c></b>"))

    assert value == {"a": "1", "b": {"c": ["2", "3"]}}
    assert {type(it) for it in (value, value["b"], value["b"]["c"], value["a"], value["b"]["c"][0])} == {
        dict,
        list,
        str,
    }


def test_json_has_types_of_its_own() -> None:
    """What XML is allowed, JSON is not."""
    for reader, value in (
        (number, "7"),
        (fraction, "0.5"),
        (boolean, "true"),
        (list_of(integer(0, 9), 2), 7),
        (figures, {"a": "1"}),
    ):
        assert not is_read(reader, value)
    assert datastream({"id": "7"}) == {"id": "7"}


async def test_a_job_is_registered_driven_and_shown(api: Api) -> None:
    body = (
        b'<job><type>ETL</type><name>orders &amp; more</name><datastream><id>7</id><name>d</name></datastream><stage nil="true"/>'
        b'<heartbeat_timeout>60</heartbeat_timeout><attributes unit="s"><a>1</a><a>2</a><entry key="a b">c</entry>'
        b'<n nil="true"/></attributes></job>'
    )

    registered = await api.post_xml("jobs", body)
    started = await api.post_xml("jobs/1/start", b"<start/>")
    progressed = await api.post_xml(
        "jobs/1/progress", b"<p><progress>0.5</progress><figures><rows>7</rows></figures></p>"
    )
    shown = await api.get("jobs/1", headers={"Accept": "text/xml, application/json;q=0.5"})

    assert (registered.status, started.status, progressed.status) == (201, 200, 200)
    assert registered.headers["Location"].endswith("/jobs/1")
    assert registered.headers["Content-Type"] == "application/xml"
    assert registered.document == {"id": "1", "state": "SCHEDULED", "version": "1", "position": "3"}
    assert started.document["positions"] == "4"
    assert b"<name>orders &amp; more</name>" in shown.body
    job = await api.job(1)
    assert (job["progress"], job["figures"], job["datastream"]) == (0.5, {"rows": 7}, {"id": 7, "name": "d"})
    assert job["attributes"] == {"@unit": "s", "a": ["1", "2"], "a b": "c", "n": None}
    assert shown.document["attributes"] == job["attributes"]


@pytest.mark.parametrize("name", ["job", "jobs", "item"])
async def test_lists_of_jobs(api: Api, name: str) -> None:
    """As many elements of either name; a list of one is a list."""

    def listed(*jobs: str) -> bytes:
        return f"<any>{''.join(f'<{name}>{job}</{name}>' for job in jobs)}</any>".encode()

    several = await api.post_xml("jobs", listed("<type>t</type><name>a</name>", "<type>t</type><name>b</name>"))
    single = await api.post_xml("jobs", listed("<type>t</type><name>c</name>"))
    spoilt = await api.post_xml("jobs", listed("<type>t</type><name>d</name>", "<type>t</type>"))

    assert [it["id"] for it in several.document["jobs"]] == ["1", "2"]
    assert single.document["jobs"]["id"] == "3"
    assert (spoilt.status, spoilt.document["index"]) == (400, "1")
    assert await api.job_ids() == [1, 2, 3]


async def test_the_same_job_in_either_form_is_the_same_job(api: Api) -> None:
    """What is stored knows no media type."""
    job = {"type": "t", "name": "n", "source": "s", "external_id": "e", "datastream": {"id": 7}, "required_job_ids": [1],
           "attributes": {"a": {"b": ["x", "y"]}}}  # fmt: skip
    await api.register()

    first = await api.post_xml("jobs", job)
    again = await api.post("jobs", job)

    assert (first.status, again.status) == (201, 200)
    assert again.document["id"] == 2


async def test_an_idempotency_key_holds_in_xml(api: Api) -> None:
    headers = {"Idempotency-Key": "k"}
    body = b"<job><type>t</type><name>n</name></job>"

    first = await api.post_xml("jobs", body, headers=headers)
    again = await api.post_xml("jobs", body, headers={**headers, "Accept": "application/json"})
    other = await api.post_xml("jobs", body + b" ", headers=headers)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert str(again.document["id"]) == first.document["id"]
    assert (other.status, other.headers["Content-Type"]) == (422, "application/problem+xml")


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/xml; charset=utf-8", "<a><type>t</type><name>é</name></a>".encode(), 201),
        ('text/xml; charset="ISO-8859-1"', "<a><type>t</type><name>é</name></a>".encode("latin-1"), 201),
        ("application/soap+xml", "<a><type>t</type><name>é</name></a>".encode("utf-16"), 201),
        (
            "application/xml",
            '<?xml version="1.0" encoding="iso-8859-1"?><a><type>t</type><name>é</name></a>'.encode("latin-1"),
            201,
        ),
        ("application/xml; charset=ebcdic", b"<a/>", 415),
        ("application/json; charset=UTF-8", '{"type":"t","name":"é"}'.encode(), 201),
        ("application/vnd.x+json", '{"type":"t","name":"é"}'.encode(), 201),
        ("application/json; charset=utf-16", '{"type":"t","name":"é"}'.encode("utf-16"), 415),
        ("application/xml; charset=utf-8", "<a><type>t</type><name>é</name></a>".encode("latin-1"), 400),
    ],
)
async def test_what_a_body_is_written_in(api: Api, content_type: str, body: bytes, status: int) -> None:
    reply = await api.post("jobs", data=body, headers={"Content-Type": content_type})

    assert reply.status == status, reply.body
    if status == 201:
        assert (await api.job(1))["name"] == "é"


@pytest.mark.slow
async def test_a_body_too_large_for_xml(trial: Trial) -> None:
    """8 MiB also where JSON may have 64."""
    target = next(it for it in DOCUMENT_POSTS if it.last == "jobs")

    reply = await trial.expect(target, 413, data=b"<a>" + b" " * 8 * MEBIBYTE + b"</a>", headers=XML)
    too_many = await trial.expect(target, 413, data=b"<a>" + b"<b/>" * 600_000 + b"</a>", headers=XML)

    assert int(reply.document["limit_bytes"]) == 8 * MEBIBYTE
    assert int(too_many.document["limit"]) == 500_000


@examples(60)
@given(request=REQUESTS)
async def test_no_document_is_the_servers_fault(api: Api, request: tuple[Target, Any]) -> None:
    target, document = request

    reply = await api.send(
        target.method, api.url + target.path, data=write_xml(document), headers={**XML, "Accept": "text/xml"}
    )

    assert reply.status < 500, reply.body
    assert reply.status in (200, 201, 202) or reply.headers["Content-Type"] in target.manners.error_types
    assert reply.document is not None


def said(reply: Reply, target: Target) -> Any:
    """What was answered, but for when it was written."""
    document = reply.body if target.is_file else reply.document
    if isinstance(document, dict):
        document = {name: it for name, it in document.items() if name not in target.manners.moments}
    return document


async def test_every_answer_says_the_same_in_either_form(trial: Trial) -> None:
    """Of every route that reads a document (a login gives none), and of lists that are empty or go on."""
    for target, query in [
        *((it, "") for it in ROUTES if it.method == "GET" and not (it.is_open or it.is_of_one_form or it.is_recorded)),
        (JOBS, "limit=1"),
        (JOBS, "state=FAILED"),
    ]:
        url, headers = f"{trial.server.url}{target.path}?{query}", trial.credentials(target)
        in_json = await trial.api.send("GET", url, headers={**headers, "Accept": "application/json"})
        in_xml = await trial.api.send("GET", url, headers={**headers, "Accept": "application/xml"})
        if {in_json.status, in_xml.status} == {204} <= target.manners.accepted(target):
            assert in_json.body == in_xml.body == b""
            continue
        assert [it.status for it in (in_json, in_xml)] == [200, 200], str(target)
        while said(in_json, target) != said(
            again := await trial.api.send("GET", url, headers={**headers, "Accept": "application/json"}), target
        ):
            # A running job has lasted another second by now.
            in_json = again
            in_xml = await trial.api.send("GET", url, headers={**headers, "Accept": "application/xml"})
        assert [it.status for it in (in_json, in_xml)] == [200, 200], str(target)
        if target.is_file:
            assert in_json.body == in_xml.body
            continue
        for reply, form in ((in_json, "json"), (in_xml, "xml")):
            told = reply.headers["Content-Type"].partition(";")[0]
            assert told == f"application/{form}" or (told.startswith("application/vnd.") and told.endswith(f"+{form}"))
        if "events" not in target.pattern:  # which hold JSON as it was hashed: in XML as text
            written = target.manners.from_xml(in_xml.body)
            shown = {name: it for name, it in written.items() if name not in target.manners.moments}
            assert shown == kept(said(in_json, target)), str(target)


async def test_a_job_may_come_in_a_namespace(api: Api) -> None:
    """As tools write it that are given a schema."""
    body = (
        b'<j:job xmlns:j="urn:x" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x job.xsd">'
        b'<j:type>t</j:type><j:name xsi:type="j:name">n</j:name><j:stage xsi:nil="true"/>'
        b"<j:attributes><j:a>1</j:a></j:attributes></j:job>"
    )

    reply = await api.post_xml("jobs", body)

    assert reply.status == 201, reply.body
    job = await api.job(1)
    assert (job["type"], job["name"], job["stage"], job["attributes"]) == ("t", "n", None, {"a": "1"})
