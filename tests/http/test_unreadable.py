"""What cannot be read as a request is refused as the dialect says it whose path was asked for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import orjson
import pytest

from tests.http.serving import Server

LONG = "x" * 9_000
SPACE = (b"text/plain; charset=utf-8", rb"A request's URL is at most 8190 bytes\.")
MAINTENANCE = (
    b"application/json",
    rb'\{"status":\{"code":414,"message":"[A-Za-z -]+"\},"responseCreated":"[^"]+Z",'
    rb'"response":\{"error":"A request\'s URL is at most 8190 bytes\."\}\}',
)
PROBLEM = (b"application/problem+json", rb'\{"type":"about:blank","title":"URI Too Long","status":414,"detail":.*\}')


async def said(server: Server, pieces: Sequence[bytes]) -> list[bytes]:
    """The last answer to what comes in these pieces, each sent when the one before it was answered or read: head, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        for number, piece in enumerate(pieces):
            writer.write(piece)
            await writer.drain()
            if b"healthz" in piece:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                assert length is not None
                await reader.readexactly(int(length[1]))
            elif number < len(pieces) - 1:
                # So that it is read by itself.
                await asyncio.sleep(0.05)
        answer = await asyncio.wait_for(reader.read(), 5)
        return answer.split(b"\r\n\r\n", 1)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("path", "media_type", "document"),
    [
        ("/api/space/job-management/jobs?filter=", *SPACE),
        ("http://jobs.example/api/hornet-q/queues/", *SPACE),
        ("/aggregates/maintenance/orgId/", *MAINTENANCE),
        ("/api/1.0/aggregates/", *MAINTENANCE),
        ("/api/jobs/?q=", b"application/json", rb'\{"detail":"A request\'s URL is at most 8190 bytes\."\}'),
        (
            "/webconsole/api/",
            b"application/json",
            rb'\{"errorMessage":"A request\'s URL is at most .*","errorCode":\d+\}',
        ),
        (
            "/acme/item/jobs/",
            b"application/json",
            rb'\{"error":\{"message":"A request\'s URL is at most 8190 bytes\.".*\}\}',
        ),
        ("/ledger/v1/acme/jobs?q=", *PROBLEM),
        ("/nowhere", *PROBLEM),
    ],
)
async def test_a_url_that_is_too_long(server: Server, path: str, media_type: bytes, document: bytes) -> None:
    head, body = await said(server, [f"GET {path}{LONG} HTTP/1.1\r\nHost: x\r\n\r\n".encode()])

    assert head.startswith(b"HTTP/1.0 414 ")
    assert b"\r\nContent-Type: " + media_type + b"\r\n" in head + b"\r\n"
    assert re.fullmatch(document, body), body
    assert LONG[:100].encode() not in head + body


@pytest.mark.parametrize(
    ("rest", "status", "told"),
    [
        (f"GET /aggregates/x HTTP/1.1\r\nHost: x\r\nX: {LONG}\r\n\r\n", 431, "A header is at most 8192 bytes."),
        (
            "GET /aggregates/x HTTP/1.1\r\nHost: x\r\n" + "X: y\r\n" * 200 + "\r\n",
            431,
            "A request has too many headers.",
        ),
        ("GET /aggregates/x HTTP/1.1\r\nHost: x\r\nX: a\x01\r\n\r\n", 400, "This cannot be read as an HTTP request."),
    ],
)
async def test_a_head_that_cannot_be_read(server: Server, rest: str, status: int, told: str) -> None:
    """Also where it comes in pieces, and as the second request of its connection."""
    head = rest.encode()
    earlier = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

    for pieces in ([head], [head[:9], head[9:300], head[300:]], [earlier, head], [earlier, head[:9], head[9:]]):
        _, body = await said(server, [it for it in pieces if it])

        document = orjson.loads(body)
        assert (document["status"]["code"], document["response"]) == (status, {"error": told})


async def test_a_method_that_nobody_knows(server: Server) -> None:
    """As far as the path came, it counts: of a head whose first bytes are refused there is none."""
    head = b"FOO /aggregates/x HTTP/1.1\r\nHost: x\r\n\r\n"

    _, whole = await said(server, [head])
    _, begun = await said(server, [head[:5], head[5:]])

    assert orjson.loads(whole)["response"] == {"error": "This cannot be read as an HTTP request."}
    assert orjson.loads(begun)["code"] == "malformed"
