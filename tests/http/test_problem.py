"""Problem documents: every error of the ledger has its status."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from jobledger.http.app import answer_to as answer
from jobledger.http.context import DIALECT, REQUEST_ID
from jobledger.http.native import NATIVE
from jobledger.http.problem import STATUS_BY_ERROR, problem_of, status_of
from jobledger.ledger.errors import (
    ConflictError,
    CorruptLedgerError,
    DatabaseIsAwayError,
    InvalidCommandError,
    LedgerError,
    OutcomeUnknownError,
    UnavailableError,
)
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.recorder import Recorder
from tests.http.serving import NDJSON, Api, Server, served


def every(error_class: type[LedgerError]) -> Iterator[type[LedgerError]]:
    """The class and all below it."""
    yield error_class
    for below in error_class.__subclasses__():
        yield from every(below)


def answer_to(error: BaseException, request_id: str, **headers: str) -> web.Response:
    """The native answer to a request that failed so."""
    request = make_mocked_request("GET", "/ledger/v1/acme/jobs", headers=headers)
    request[DIALECT], request[REQUEST_ID] = NATIVE, request_id
    return answer(error, request)


# All but the root, which is raised nowhere.
ERRORS = [it for it in dict.fromkeys(every(LedgerError)) if it is not LedgerError]


@pytest.mark.parametrize("error_class", ERRORS, ids=lambda it: it.__name__)
def test_every_error_has_a_status_a_title_and_a_code_of_its_own(error_class: type[LedgerError]) -> None:
    error = error_class("the detail", fact=1)

    document = problem_of(error, "1")

    assert 400 <= status_of(error) <= 504
    assert list(document)[:6] == ["type", "title", "status", "detail", "code", "instance"]
    assert document["type"] == f"urn:jobledger:{error_class.code.replace('_', '-')}"
    assert document["title"]
    assert not document["title"].endswith(".")
    assert (document["status"], document["detail"], document["fact"]) == (status_of(error), "the detail", 1)
    same = [it for it in ERRORS if it.code == error_class.code]
    assert same == [error_class], f"{same} share a code"


def test_an_error_that_is_new_has_the_status_of_its_base() -> None:
    class DoorIsClosedError(ConflictError):
        """The door is closed."""

    class DoorIsLockedError(DoorIsClosedError):
        """The door is locked."""

    assert status_of(DoorIsLockedError("")) == STATUS_BY_ERROR[ConflictError] == 409


def test_no_fact_takes_the_place_of_a_member() -> None:
    """What is raised with facts of these names would break every reader of problems."""
    for error_class in ERRORS:
        document = problem_of(error_class("d"), "1")
        assert set(document) <= {"type", "title", "status", "detail", "code", "instance", "retry_after_s"}


def test_an_unavailable_ledger_says_when_to_come_again() -> None:
    answer = answer_to(DatabaseIsAwayError("The database does not answer.", retry_after_s=7), "1")

    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert isinstance(answer.body, bytes)
    assert orjson.loads(answer.body)["retry_after_s"] == 7
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_an_unknown_outcome_is_no_refusal() -> None:
    """A gateway's time-out, so that no client takes it for a no."""
    assert answer_to(OutcomeUnknownError("unknown"), "1").status == 504
    assert not issubclass(OutcomeUnknownError, UnavailableError)


def test_a_corrupt_ledger_is_never_the_clients_fault() -> None:
    answer = answer_to(CorruptLedgerError("Events of type x are not known."), "1")

    assert answer.status == 503
    assert "Retry-After" not in answer.headers


def test_a_failure_nobody_expected_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The client gets an id by which the log names the reason."""
    answer = answer_to(RuntimeError("password=hunter2"), "the-id")

    assert answer.status == 500
    assert isinstance(answer.body, bytes)
    assert b"hunter2" not in answer.body
    assert b"urn:uuid:the-id" in answer.body
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "the-id" in record.getMessage()


def test_facts_of_any_kind_can_be_shown() -> None:
    error = InvalidCommandError("d", states=frozenset({"a"}), what=InvalidCommandError)

    assert json.loads(answer_to(error, "1").text or "")["status"] == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "nowhere", 404), ("DELETE", "jobs", 405), ("PUT", "jobs/1/start", 405), ("POST", "jobs/1/explode", 404)],
)
async def test_what_the_router_refuses_is_a_problem_too(api: Api, method: str, path: str, status: int) -> None:
    reply = await api.send(method, api.path(path))

    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert list(reply.document) == ["type", "title", "status", "detail", "code", "instance"]
    if status == 405:
        assert set(reply.headers["Allow"].replace(" ", "").split(",")) <= {"GET", "HEAD", "POST"}


async def test_a_request_that_is_no_http_is_refused_and_not_quoted_in_the_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for request in (
            b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer jl_acme_secret\x01\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer jl_acme_secret\r\r\n\r\n",
            b"GET /?token=jl_acme_secret\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"jl_acme_secret\r\n\r\n",
        ):
            said = await server.raw(request)
            assert said.startswith(b"HTTP/1.0 400 "), said

    assert "A request could not be read" in caplog.text
    assert "jl_acme_secret" not in caplog.text


@pytest.mark.parametrize(
    ("request_head", "status", "code"),
    [
        (b"GET /" + b"jl_acme_secret" * 1_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"jl_acme_secret" * 1_000 + b"\r\n\r\n", 431, None),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX" + b"jl_acme_secret" * 1_000 + b": 1\r\n\r\n", 431, None),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: jl_acme_secret\r\n" * 200 + b"\r\n", 431, None),
        (b"G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x01\r\n\r\n", 400, "malformed"),
    ],
    ids=["line", "value", "name", "headers", "method", "octet"],
)
async def test_what_the_parser_refuses_is_a_problem_like_any_other(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, request_head: bytes, status: int, code: str | None
) -> None:
    """With an id, by which the log knows it; and quoting nothing."""
    lines: list[bytes] = []
    async with served(ledger, runner_options={"write_line": lines.append}) as server:
        said = await server.raw(request_head)

    head, _, body = said.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert list(problem) == ["type", "title", "status", "detail", "code", "instance"]
    assert head.startswith(b"HTTP/1.0 %d " % status)
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["code"] == (code or "request_header_fields_too_large")
    request_id = problem["instance"].removeprefix("urn:uuid:")
    assert f"X-Request-Id: {request_id}\r\n".encode() in head
    assert [json.loads(it)["request"] for it in lines] == [request_id]
    assert b"jl_acme_secret" not in said + b"".join(lines)
    assert "jl_acme_secret" not in caplog.text


async def test_a_stream_that_fails_midway_breaks_off(
    server: Server, api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of a page is not taken for all there is."""

    async def fail_later(self: Recorder, org: str, after: int, *arguments: object, **options: object) -> object:
        if after > 0:
            raise DatabaseIsAwayError("The database does not answer.")
        return await page(self, org, after, *arguments, **options)  # type: ignore[arg-type]

    await api.post("jobs", [{"type": "copy", "name": str(number)} for number in range(1_500)])
    page = Recorder.page
    monkeypatch.setattr(Recorder, "page", fail_later)
    head = f"GET /ledger/v1/acme/events HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['Authorization']}\r\n"

    said = await server.raw(f"{head}Accept: {NDJSON}\r\n\r\n".encode())

    assert said.startswith(b"HTTP/1.1 200 OK")
    assert said.count(b'"header"') == 1_000
    assert not said.endswith(b"0\r\n\r\n")
    assert b"urn:jobledger" not in said


async def test_an_answer_begun_is_none_of_anothers(api: Api) -> None:
    """Several requests on one connection, refused and accepted, each get their own answer."""
    replies = [await api.get(path) for path in ("jobs/1", "jobs", "events?after=99", "events", "nowhere", "jobs")]

    assert [reply.status for reply in replies] == [404, 200, 400, 200, 404, 200]
    assert len({reply.headers["X-Request-Id"] for reply in replies}) == 6


def test_the_apps_errors_are_the_ledgers() -> None:
    """aiohttp's own become documents by their reason, so none of them needs a line."""
    for error in (web.HTTPNotFound(), web.HTTPMethodNotAllowed("PUT", ["GET"]), web.HTTPRequestEntityTooLarge(1, 2)):
        assert answer_to(error, "1").status == error.status
