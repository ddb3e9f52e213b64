"""``Expect: 100-continue``: nobody is told to send a body that is not read."""

from __future__ import annotations

import pytest

from tests.http.serving import Api, Server
from tests.http.targets import TARGETS
from tests.http.trial import Trial

HEAD = "POST %s HTTP/1.1\r\nHost: here\r\nExpect: 100-continue\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
JOB = b'{"type":"t","name":"n"}'
ANOTHER_ORG = "/ledger/v1/nowhere/jobs"


@pytest.mark.parametrize(
    ("fault", "status"),
    [("token", 401), ("org", 404), ("type", 415), ("length", 413), ("accept", 406)],
)
async def test_whoever_is_refused_by_the_headers_is_not_told_to_go_on(
    server: Server, api: Api, fault: str, status: int
) -> None:
    """The refusal is the first that comes, and the connection is closed behind it."""
    authorization = f"Authorization: {api.headers['Authorization']}\r\n"
    head = HEAD % (
        "/ledger/v1/nowhere/jobs" if fault == "org" else "/ledger/v1/acme/jobs",
        "text/plain" if fault == "type" else "application/json",
        2**40 if fault == "length" else len(JOB),
        ("" if fault == "token" else authorization) + ("Accept: text/html\r\n" if fault == "accept" else ""),
    )

    said = await server.raw(head.encode())

    assert said.startswith(b"HTTP/1.1 %d " % status), said
    assert b"100 Continue" not in said
    assert b"connection: close\r\n" in said.lower()


async def test_whoever_is_let_in_is_told_to_go_on(server: Server, api: Api) -> None:
    """Once, before the answer."""
    head = HEAD % (
        "/ledger/v1/acme/jobs",
        "application/json",
        len(JOB),
        f"Authorization: {api.headers['Authorization']}\r\nConnection: close\r\n",
    )

    said = await server.raw(head.encode() + JOB)

    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 "), said
    assert said.count(b"100 Continue") == 1


async def test_what_nobody_knows_is_expected_in_vain(trial: Trial) -> None:
    """On every route, and where there is none, in the dialect's own words; nothing is done."""
    for target in TARGETS:
        await trial.expect(target, 417, headers={"Expect": "the-unexpected"})
    await trial.expect(TARGETS[0], 417, headers={"Expect": "100-continue, more"})
    for url in {f"{trial.server.url}{it.path}/no/no" for it in TARGETS}:
        await trial.expect(TARGETS[0], 417, method="GET", url=url, headers={"Expect": "more"})


@pytest.mark.parametrize("path", ["/ledger/v1/acme/nowhere/to/go", "/ledger/v1/acme/me"])
async def test_nobody_is_told_to_go_on_to_nowhere(server: Server, api: Api, path: str) -> None:
    """A path that is not there, or takes no body."""
    head = HEAD % (path, "application/json", 7, f"Authorization: {api.headers['Authorization']}\r\n")

    said = await server.raw(head.encode())

    assert said.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 405 ")), said


async def test_who_speaks_http_1_0_expects_nothing(server: Server, api: Api) -> None:
    head = f"GET /ledger/v1/acme/me HTTP/1.0\r\nExpect: more\r\nAuthorization: {api.headers['Authorization']}\r\n\r\n"

    assert (await server.raw(head.encode())).startswith(b"HTTP/1.0 200 ")
