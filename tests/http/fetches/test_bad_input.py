"""What clients of the fetches dialect send by mistake or malice: refused in its one form, with nothing changed."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from jobledger.projections.numbered_jobs import NumberedJobs
from tests.http.fetches.speaking import Fetches
from tests.http.serving import Reply
from tests.world import ORG

DAY = {"start": "2022-10-31", "end": "2022-10-31"}
GETS = ("jobs/", "jobs/1/", "jobs/1/imported/", "datastreams/3/", "datastreams/3/jobs/")
POSTS = ("jobs/1/stop/", "datastreams/3/fetch_fixed/")
PATHS = [(method, path) for method, paths in (("GET", GETS), ("POST", POSTS)) for path in paths]
LISTS = ("jobs/", "jobs", "datastreams/3/jobs/")


@pytest.fixture
async def running(fetches: Fetches) -> Fetches:
    """Job 1 runs in the stage fetch, for the datastream 3."""
    await fetches.native.register_running(stage="fetch", datastream={"id": 3})
    return fetches


async def send(client: Fetches, method: str, path: str, **options: Any) -> Reply:
    """Send a request that must be refused, and changes nothing."""
    before = (await client.server.ledger.recorder.head(ORG)).size
    reply = await client.native.send(method, f"{client.base}/api/{path}", **options)
    assert (await client.server.ledger.recorder.head(ORG)).size == before
    assert reply.status >= 400, (method, path)
    if reply.body:
        assert reply.headers["Content-Type"] == "application/json"
        errors = reply.document.get("errors", {})
        assert set(reply.document) == {"detail", *(["errors"] if errors else []), *errors}, reply.body
        assert all(reply.document[name] == told for name, told in errors.items() if name not in ("detail", "errors"))
        assert b"Traceback" not in reply.body
    return reply


CREDENTIALS: list[tuple[str | None, str]] = [
    (None, "Authentication credentials were not provided."), ("", "Authentication credentials were not provided."),
    ("Digest x", "Authentication credentials were not provided."),
    ("Token", "Invalid token header. No credentials provided."), ("Bearer ", "Invalid token header. No credentials provided."),
    ("Token x", "Invalid token."), ("Bearer x y", "Invalid token."), (f"Token jl_acme_{'x' * 43}", "Invalid token."),
    (f"Bearer jl_nowhere_{'x' * 43}", "Invalid token."), ("Token é", "Invalid token."),
]  # fmt: skip


async def test_without_valid_credentials(running: Fetches) -> None:
    """On every path of the dialect, known or not."""
    nobody = Fetches(running.server, running.server.api())
    paths = [*PATHS, ("GET", "nothing"), ("PATCH", "jobs/"), ("GET", "jobs/7/"), ("GET", "")]
    for (shown, detail), (method, path) in product(CREDENTIALS, paths):
        headers = {} if shown is None else {"Authorization": shown}
        reply = await send(nobody, method, path, headers=headers)
        assert (reply.status, reply.document) == (401, {"detail": detail})
        assert reply.headers["WWW-Authenticate"] == "Token"


async def test_without_the_capability(running: Fetches) -> None:
    other = Fetches(running.server, await running.server.client())
    for method, path in PATHS:
        reply = await send(other, method, path, json=DAY if "fixed" in path else None)
        assert (reply.status, reply.document) == (
            403,
            {"detail": "You do not have permission to perform this action."},
        )


async def test_what_is_not_there(running: Fetches) -> None:
    for path in (
        "nothing", "", "jobs/2/", "jobs/x/", "jobs/0/", "jobs/99999999999999999999/", "jobs/1/stopped/", "jobs/2/imported",
        "jobs//", "jobs/1//", "datastreams/", "jobs/1/imported/x", "%00", "jobs/%00/",
    ):  # fmt: skip
        reply = await send(running, "GET", path)
        assert (reply.status, reply.document) == (404, {"detail": "Not found."}), path
    bare = await running.native.send("GET", f"{running.base}/api")
    assert (bare.status, bare.document) == (404, {"detail": "Not found."})
    assert (await send(running, "POST", "jobs/2/stop/")).document == {"detail": "Not found."}


async def test_methods(running: Fetches) -> None:
    for method, path in PATHS:
        for wrong in ("DELETE", "PATCH", "PUT", "POST" if method == "GET" else "GET"):
            reply = await send(running, wrong, path)
            assert (reply.status, reply.document) == (405, {"detail": f'Method "{wrong}" not allowed.'})
            assert reply.headers["Allow"] == ("GET,HEAD" if method == "GET" else "POST")


async def test_answers_that_cannot_be_given(running: Fetches) -> None:
    for method, path in PATHS:
        reply = await send(
            running, method, path, headers={"Accept": "text/html"}, json=DAY if "fixed" in path else None
        )
        assert (reply.status, reply.document) == (406, {"detail": "Could not satisfy the request Accept header."})


async def test_bodies(running: Fetches) -> None:
    for path in POSTS:
        for body in (
            b"{",
            b"[]",
            b"7",
            b'"x"',
            b"\xff",
            b'{"start":"\\u0000"}',
            b"[" * 100_000,
            b'{"unknown":1}',
            b"null x",
        ):
            assert (await send(running, "POST", path, data=body)).status == 400
        large = await send(running, "POST", path, data=b'{"a":"' + b"x" * (8 * 1024 * 1024) + b'"}')
        assert large.status == 413
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"):
            reply = await send(running, "POST", path, data=b"{}", headers={"Content-Type": media_type})
            assert (reply.status, reply.document) == (
                415,
                {"detail": f'Unsupported media type "{media_type}" in request.'},
            )
        assert (await send(running, "POST", path, json=DAY, headers={"Idempotency-Key": "é"})).status == 400
        assert (await send(running, "POST", path + "?x=1", json=DAY)).status == 400


TIME_FAULT = "Is not a date or a time with a zone, such as 2026-11-21 or 2026-11-21T22:34:05Z."


MEMBERS: list[tuple[Any, Any]] = [
    ({}, {"start": ["Is missing."], "end": ["Is missing."]}), ({**DAY, "end": None}, {"end": ["Is missing."]}),
    ({**DAY, "start": 7}, {"start": [TIME_FAULT]}), ({**DAY, "end": "soon"}, {"end": [TIME_FAULT]}),
    ({**DAY, "start": "2022-02-30"}, {"start": ["Is not a day that exists."]}),
    ({**DAY, "end": "2022-10-30"}, {"end": ["Lies before start."]}),
    ({**DAY, "stack": 1}, {"stack": ["Is not known here."]}), ({**DAY, "detail": 1}, {"detail": ["Is not known here."]}),
]  # fmt: skip


async def test_members_of_a_fetch(running: Fetches) -> None:
    for members, errors in MEMBERS:
        reply = await send(running, "POST", "datastreams/3/fetch_fixed/", json=members)
        assert (reply.status, reply.document["errors"]) == (400, errors)


PARAMETERS: list[tuple[str, Any]] = [
    ("start=soon", {"start": [TIME_FAULT]}), ("end=2022-13-01", {"end": ["Is not a day that exists."]}),
    ("start=2022-10-31T00:00:00", {"start": [TIME_FAULT]}), ("start=", {"start": [TIME_FAULT]}),
    ("start=0000-01-01", {"start": ["Is not a day that exists."]}),
    ("start=0001-01-01", {"start": ["Is not between the years 1900 and 9900."]}),
    ("end=9999-12-31", {"end": ["Is not between the years 1900 and 9900."]}),
    ("start=2022-10-31&end=2022-10-30", {"end": ["Lies before start."]}),
    ("start=2022-10-31T00:00:01Z&end=2022-10-31T00:00:00Z", {"end": ["Lies before start."]}),
    ("start=2022-10-31&start=2022-10-31", {"start": ["start is given more than once."]}),
    ("state=Done", None), ("state=7", None), ("state=", None), ("ordering=name", None), ("ordering=--id", None),
    ("page_size=0", {"page_size": ["Is not between 1 and 1000."]}), ("page_size=1001", None), ("page_size=x", None),
    ("datastream_id=", None), ("datastream_id=/", None), ("stack=", None), ("unknown=1", {"unknown": ["Is not known here."]}),
    ("datastream_id=%00", None), ("stack=%00", None),
]  # fmt: skip


async def test_parameters_of_a_list(running: Fetches) -> None:
    for path, (query, errors) in product(LISTS, PARAMETERS):
        reply = await send(running, "GET", f"{path}?{query}")
        assert reply.status == 400
        assert reply.document["errors"] == (errors or reply.document["errors"])
        assert reply.document["errors"].keys() <= {part.partition("=")[0] for part in query.split("&")}


async def test_a_list_of_two_datastreams(running: Fetches) -> None:
    reply = await send(running, "GET", "datastreams/3/jobs/?datastream_id=4")

    assert (reply.status, list(reply.document["errors"])) == (400, ["datastream_id"])


async def test_a_fault_of_the_server(running: Fetches, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(NumberedJobs, "page", fail)

    reply = await send(running, "GET", "jobs/")

    assert (reply.status, reply.body) == (500, b'{"detail":"A server error occurred."}')
