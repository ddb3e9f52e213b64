"""The events: as they are stored, by position, to the end."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256

import orjson
import pytest

from tests.cluster import session
from tests.http.serving import NDJSON, Api, Server
from tests.world import ORG

EVENT = (
    '{"header":{"org":"acme","position":3,"recorded_at":"TIME","stream":"job-1","version":1,"type":"job.registered",'
    '"schema":1,"by":"principal-1","content":"HASH"},"content":{"data":{"type":"copy","name":"nightly","domain":"Global"},'
    '"via":"native","from":"127.0.0.1","request":"UUID","salt":"SALT"}}'
)


async def positions(api: Api, path: str = "events", **params: str) -> list[int]:
    """The positions on a page."""
    reply = await api.get(path, params)
    assert reply.status == 200, reply.body
    return [it["header"]["position"] for it in reply.document["events"]]


async def test_events_are_shown_as_they_are_stored(api: Api, database_url: str) -> None:
    """A client can hash what it reads: the bytes of header and content stand in the document unchanged."""
    await api.register()
    await api.post("jobs/1/start", {"stage": "é"})

    reply = await api.get("events", {"after": "2", "limit": "1"})

    assert reply.shown == f'{{"events":[{EVENT}],"next_after":3}}'
    assert reply.headers["Link"] == '</ledger/v1/acme/events?after=3&limit=1>; rel="next"'
    async with session(database_url) as connection:
        stored = await connection.fetch(
            "SELECT e.header, c.body FROM event AS e JOIN content AS c USING (org, position) ORDER BY e.position"
        )
    everything = await api.get("events")
    for record in stored:
        assert b'{"header":%b,"content":%b}' % (record["header"], record["body"]) in everything.body
    header = everything.document["events"][4]["header"]
    assert header["content"] == sha256(stored[4]["body"]).hexdigest()


async def test_after_and_limit_say_what_is_on_the_page(api: Api) -> None:
    for _ in range(5):
        await api.register()

    assert await positions(api) == list(range(8))
    assert await positions(api, after="-1", limit="3") == [0, 1, 2]
    assert await positions(api, after="0", limit="3") == [1, 2, 3]
    assert await positions(api, after="6") == [7]
    assert await positions(api, after="7") == []
    assert (await api.get("events", {"after": "7"})).body == b'{"events":[],"next_after":null}'


async def test_filters_by_type_and_stream(api: Api) -> None:
    for _ in range(3):
        await api.register_running()

    assert await positions(api, type="job.started") == [4, 6, 8]
    assert await positions(api, type="job.started", after="4", limit="1") == [6]
    assert await positions(api, type="job.cancelled") == []
    assert await positions(api, stream="job-2") == [5, 6]
    assert await positions(api, stream="job-99") == []
    assert await positions(api, stream="org") == [0]
    assert await positions(api, stream="job-3", type="job.started") == [8]


@pytest.mark.parametrize("query", [{}, {"type": "job.started"}, {"stream": "job-7"}])
async def test_following_the_links_gives_what_the_stream_gives(api: Api, query: dict[str, str]) -> None:
    await api.post("jobs", [{"type": "copy", "name": str(number)} for number in range(20)])
    await api.commands(*({"command": "start", "id": number} for number in range(1, 21)))
    await api.commands(*({"command": "progress", "id": 7, "progress": 0.5} for _ in range(20)))

    streamed = await api.get("events", query, headers={"Accept": NDJSON})
    reply = await api.get("events", {**query, "limit": "7"})
    events = reply.document["events"]
    while (link := reply.headers.get("Link")) is not None:
        reply = await api.send("GET", api.url + link[1:].partition(">")[0])
        events += reply.document["events"]

    assert streamed.headers["Content-Type"] == NDJSON
    assert streamed.lines == events
    assert streamed.body.endswith(b"\n")
    assert len(events) == {"{}": 63, "{'type': 'job.started'}": 20, "{'stream': 'job-7'}": 22}[str(query)]


@pytest.mark.slow
async def test_a_stream_is_longer_than_a_page(api: Api) -> None:
    await api.post("jobs", [{"type": "copy", "name": str(number)} for number in range(3_500)])

    whole = await api.get("events", headers={"Accept": NDJSON})
    rest = await api.get("events", {"after": "3000"}, headers={"Accept": NDJSON})
    some = await api.get("events", {"limit": "5"}, headers={"Accept": NDJSON})

    assert [it["header"]["position"] for it in whole.lines] == list(range(3_503))
    assert [it["header"]["position"] for it in rest.lines] == list(range(3_001, 3_503))
    assert [it["header"]["position"] for it in some.lines] == list(range(5))


async def test_a_jobs_events(api: Api) -> None:
    await api.register()
    await api.register_running()
    await api.post("jobs/2/succeed")

    reply = await api.get("jobs/2/events")

    assert [it["header"]["type"] for it in reply.document["events"]] == [
        "job.registered", "job.started", "job.succeeded",
    ]  # fmt: skip
    assert await positions(api, "jobs/2/events", after="4", limit="1") == [5]
    assert (await api.get("jobs/1/events")).shown == f'{{"events":[{EVENT}],"next_after":null}}'
    assert (await api.get("jobs/2/events", headers={"Accept": NDJSON})).lines == reply.document["events"]


async def test_a_page_of_a_jobs_events_names_the_next(api: Api) -> None:
    await api.register_running()
    await api.post("jobs/1/succeed")

    reply = await api.get("jobs/1/events", {"limit": "1"})
    following = await api.send("GET", api.url + reply.headers["Link"][1:].partition(">")[0])

    assert reply.document["next_after"] == 3
    assert [it["header"]["version"] for it in following.document["events"]] == [2]


async def test_what_no_event_can_be_is_refused(api: Api) -> None:
    for query in ({"after": "3"}, {"after": "-2"}, {"type": "job.exploded"}, {"limit": "0"}, {"limit": "1001"}):
        reply = await api.get("events", query)
        streamed = await api.get("events", query, headers={"Accept": NDJSON})

        assert reply.status == streamed.status == 400, query
        assert streamed.headers["Content-Type"] == "application/problem+json"


async def test_an_after_beyond_the_head_tells_the_head(api: Api) -> None:
    reply = await api.get("events", {"after": "3"})

    assert reply.shown == (
        '{"type":"urn:jobledger:invalid","title":"The request is malformed or out of range","status":400,'
        '"detail":"The ledger\'s last position is 2.","code":"invalid","instance":"urn:uuid:UUID",'
        '"after":3,"last_position":2}'
    )


async def test_a_purged_content_is_shown_as_null(api: Api, server: Server, database_url: str) -> None:
    await api.register()
    async with session(database_url) as connection:
        kept = await connection.fetchval("DELETE FROM content WHERE org = $1 AND position = 3 RETURNING body", ORG)

    reply = await api.get("events", {"after": "2"})
    async with session(database_url) as connection:
        await connection.execute("INSERT INTO content (org, position, body) VALUES ($1, 3, $2)", ORG, kept)

    [event] = reply.document["events"]
    assert event["content"] is None
    assert orjson.loads(kept)["data"]["name"] == "nightly"


@pytest.mark.parametrize("accept", ["application/json", "application/xml", NDJSON])
@pytest.mark.parametrize("path", ["events?after=2", "jobs/1/events"])
async def test_a_content_that_somebody_altered_is_not_shown_as_if_it_were_the_one(
    api: Api, database_url: str, path: str, accept: str
) -> None:
    await api.register()
    async with session(database_url) as connection:
        altered = "UPDATE content SET body = $2 WHERE org = $1 AND position = 3"
        kept = await connection.fetchval("SELECT body FROM content WHERE org = $1 AND position = 3", ORG)
        await connection.execute(altered, ORG, kept.replace(b"nightly", b"monthly"))

        reply = await api.get(path, headers={"Accept": accept})

        await connection.execute(altered, ORG, kept)
    assert reply.status == 503
    assert b"ledger_stopped" in reply.body
    assert b"monthly" not in reply.body


async def test_head_of_a_stream_has_no_body(api: Api) -> None:
    reply = await api.send("HEAD", api.path("events"), headers={"Accept": NDJSON})

    assert (reply.status, reply.body) == (200, b"")
    assert (await api.get("events")).status == 200


async def test_in_xml_the_stored_bytes_are_texts(api: Api) -> None:
    """So the hashes can be checked there too; a content that XML cannot hold comes in base64."""
    await api.register(name="<é> & \r\n\t]]>\u2028\x7f")
    await api.register(name="\ufffe")
    in_json = (await api.get("events", {"after": "2"})).body

    reply = await api.get("events", {"after": "2", "limit": "2"}, headers={"Accept": "application/xml"})

    plain_event, odd_event = reply.document["events"]
    odd_content = b64decode(odd_event.pop("content_base64"))
    for event, content in ((plain_event, plain_event["content"].encode()), (odd_event, odd_content)):
        assert sha256(content).hexdigest() == orjson.loads(event["header"])["content"]
        assert b'{"header":%b,"content":%b}' % (event["header"].encode(), content) in in_json
    assert "content" not in odd_event
    assert reply.document["next_after"] == "4"
