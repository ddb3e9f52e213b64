"""``Expect: 100-continue``: nobody is told to send a body that is not read."""

from __future__ import annotations

import pytest

from tests.http.serving import Api, Server

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
