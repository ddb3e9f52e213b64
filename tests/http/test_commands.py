"""Commands as NDJSON: streamed both ways, each line a unit of its own."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from jobledger.http.native import commands
from tests.http.serving import NDJSON, Api, Server, blank

REGISTER = {"command": "register", "job": {"type": "copy", "name": "n"}}


def line(document: Any) -> bytes:
    """A document as a line."""
    return orjson.dumps(document) + b"\n"


class Lines:
    """A request's body that goes on as the test says."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, piece: bytes) -> None:
        """Send some of it."""
        self._pieces.put_nowait(piece)

    def end(self) -> None:
        """No more."""
        self._pieces.put_nowait(None)

    async def body(self) -> AsyncIterator[bytes]:
        """What aiohttp sends."""
        while (piece := await self._pieces.get()) is not None:
            yield piece


async def test_each_outcome_stands_on_its_line(api: Api) -> None:
    reply = await api.commands(
        REGISTER,
        {"command": "register", "jobs": [{"type": "copy", "name": "a"}, {"type": "copy", "name": "b"}]},
        {"command": "start", "id": 1, "stage": "read"},
        {"command": "start", "id": 99},
        {"command": "explode", "id": 1},
        {"command": "progress", "id": 1, "progress": 2},
        b"x",
        b"[]",
        {"command": "heartbeat", "id": "1"},
        {"command": "register", "jobs": []},
        {"command": "register", "job": {}, "jobs": []},
        {"command": "succeed"},
        {"command": "fail", "id": 1, "error": "x"},
        {"command": "succeed", "id": 1},
    )

    assert reply.status == 200
    assert reply.headers["Content-Type"] == NDJSON
    invalid = '"type":"urn:jobledger:invalid","title":"The request is malformed or out of range","status":400'
    assert reply.shown.splitlines() == [
        '{"line":1,"status":201,"id":1,"state":"SCHEDULED","version":1,"position":3}',
        '{"line":2,"status":201,"jobs":[{"id":2,"state":"SCHEDULED","version":1,"position":4},'
        '{"id":3,"state":"SCHEDULED","version":1,"position":5}]}',
        '{"line":3,"status":200,"id":1,"state":"RUNNING","version":2,"positions":[6],"recorded_at":"TIME"}',
        '{"line":4,"type":"urn:jobledger:not-found","title":"There is no such thing here","status":404,'
        '"detail":"There is no job 99.","code":"not_found","instance":"urn:uuid:UUID","job_id":99}',
        f'{{"line":5,{invalid},"detail":"A line\'s command is one of register, start, stage, progress, heartbeat, succeed,'
        ' fail, cancel, close, reopen, copied, retain, release, delete, erase.",'
        '"code":"invalid","instance":"urn:uuid:UUID","parameter":"command"}',
        f'{{"line":6,{invalid},"detail":"Progress is not between 0 and 1.","code":"invalid","instance":"urn:uuid:UUID",'
        '"errors":[{"member":"progress","problem":"is not between 0 and 1"}]}',
        '{"line":7,"type":"urn:jobledger:malformed","title":"The body cannot be read","status":400,"detail":"This is not JSON:'
        ' unexpected character, expected a JSON value: line 1 column 1 (char 0)","code":"malformed",'
        '"instance":"urn:uuid:UUID"}',
        f'{{"line":8,{invalid},"detail":"A line is an object with a member command.","code":"invalid",'
        '"instance":"urn:uuid:UUID"}',
        '{"line":9,"status":200,"id":1,"state":"RUNNING","version":2,"positions":[],"recorded_at":null}',
        f'{{"line":10,{invalid},"detail":"A list of 1 to 10000 jobs is due here.","code":"invalid",'
        '"instance":"urn:uuid:UUID","limit":10000}',
        f'{{"line":11,{invalid},"detail":"To register takes either job or jobs.","code":"invalid",'
        '"instance":"urn:uuid:UUID"}',
        f'{{"line":12,{invalid},"detail":"Id is missing.","code":"invalid","instance":"urn:uuid:UUID",'
        '"errors":[{"member":"id","problem":"is missing"}]}',
        '{"line":13,"status":200,"id":1,"state":"FAILED","version":3,"discarded":[],"positions":[7],"recorded_at":"TIME"}',
        '{"line":14,"type":"urn:jobledger:job-is-final","title":"The job has ended","status":409,'
        '"detail":"Job 1 has ended: FAILED.","code":"job_is_final","instance":"urn:uuid:UUID","job_id":1,"state":"FAILED",'
        '"reason":"x"}',
    ]


async def test_a_later_line_sees_what_an_earlier_one_did(api: Api) -> None:
    """Also within one batch, where its follow-ups and external ids are asked for."""
    job = {"type": "copy", "name": "n", "source": "cron"}

    reply = await api.commands(
        {"command": "register", "job": {**job, "external_id": "1"}},
        {"command": "register", "job": {**job, "external_id": "2", "preceding_external_id": "1"}},
        {"command": "register", "job": {**job, "external_id": "1"}},
        {"command": "cancel", "id": 1},
        {"command": "start", "id": 2},
    )

    assert [(it["status"], it.get("id"), it.get("discarded")) for it in reply.lines] == [
        (201, 1, None), (201, 2, None), (200, 1, None), (200, 1, [2]), (409, None, None),
    ]  # fmt: skip


async def test_an_outcome_comes_before_the_next_command_is_sent(api: Api) -> None:
    sent = Lines()
    sent.say(line(REGISTER))

    async with (
        asyncio.timeout(10),
        api.session.post(api.path("commands"), data=sent.body(), headers=api.headers) as response,
    ):
        first = await response.content.readline()
        sent.say(line({"command": "start", "id": orjson.loads(first)["id"]})[:10])
        sent.say(line({"command": "start", "id": orjson.loads(first)["id"]})[10:])
        second = await response.content.readline()
        sent.end()
        rest = await response.content.read()

    assert orjson.loads(first)["status"] == 201
    assert orjson.loads(second)["state"] == "RUNNING"
    assert rest == b""


async def test_the_answer_begins_before_the_first_command(server: Server, api: Api) -> None:
    """A client that waits for the status before it sends anything is not kept waiting."""
    head = (
        f"POST /ledger/v1/acme/commands HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['Authorization']}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    async with asyncio.timeout(10):
        writer.write(head)
        status = await reader.readline()
        writer.write(b"0\r\n\r\n")
        rest = await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()

    assert status == b"HTTP/1.1 200 OK\r\n"
    assert b"server_error" not in rest


async def test_blank_lines_are_counted_and_not_answered(api: Api) -> None:
    body = b"\n \r\n" + line(REGISTER) + b"\n\n" + orjson.dumps(REGISTER)

    reply = await api.post("commands", data=body, headers={"Content-Type": NDJSON})

    assert [(it["line"], it["status"]) for it in reply.lines] == [(3, 201), (6, 201)]


async def test_no_command_gives_no_outcome(api: Api) -> None:
    assert (await api.post("commands", headers={"Content-Type": NDJSON})).body == b""


@pytest.mark.parametrize("excess", [1, 70_000])
async def test_a_line_that_is_too_long_fails_alone(api: Api, monkeypatch: pytest.MonkeyPatch, excess: int) -> None:
    monkeypatch.setattr(commands, "LONGEST_LINE_BYTES", 100_000)
    fitting = line({**REGISTER, "job": {"type": "t", "name": "n", "attributes": {"a": "a" * 99_000}}})

    reply = await api.commands(REGISTER, b"x" * (100_000 + excess), fitting[:-1], b"y" * 250_000, REGISTER)

    assert [(it["line"], it["status"]) for it in reply.lines] == [(1, 201), (2, 413), (3, 201), (4, 413), (5, 201)]
    assert reply.lines[1]["limit_bytes"] == 100_000


async def test_a_line_holds_a_whole_body_and_not_more(api: Api) -> None:
    padding = b" " * (8 * 1024 * 1024 - len(line(REGISTER)) + 1)

    reply = await api.commands(REGISTER, orjson.dumps(REGISTER) + padding, b" " * 8 * 1024 * 1024 + b"x", REGISTER)

    assert [(it["line"], it["status"]) for it in reply.lines] == [(1, 201), (2, 201), (3, 413), (4, 201)]


async def test_what_a_line_may_not_hold(api: Api) -> None:
    deep = b'{"command":"register","job":{"type":"t","name":"n","attributes":{"a":%b}}}'

    reply = await api.commands(
        deep % (b"[" * 100_000 + b"]" * 100_000),
        deep % (b"[" * 64 + b"]" * 64),
        deep % (b"9" * 30),
        deep % (b"9" * 5_000),
        deep % b'"\\u0000"',
        deep % b'"\xff"',
        {**REGISTER, "idempotency_key": ""},
        {**REGISTER, "idempotency_key": 7},
        {**REGISTER, "idempotency_key": "é"},
        {**REGISTER, "idempotency_key": "k" * 256},
        deep % (b"[" * 60 + b"]" * 60),
    )

    assert [it["status"] for it in reply.lines] == [400] * 10 + [201]


async def test_keys_of_lines(api: Api) -> None:
    """A line's own key holds for the line wherever it stands; the header's with the line's number."""
    keyed = {**REGISTER, "idempotency_key": "mine"}

    first = await api.commands(REGISTER, keyed, headers={"Idempotency-Key": "batch"})
    again = await api.commands(REGISTER, keyed, REGISTER, headers={"Idempotency-Key": "batch"})
    alone = await api.commands(keyed)
    other = await api.commands({**keyed, "job": {"type": "copy", "name": "other"}})
    moved = await api.commands(keyed, REGISTER, headers={"Idempotency-Key": "batch"})

    assert [it["id"] for it in first.lines] == [1, 2]
    assert [it["id"] for it in again.lines] == [1, 2, 3]
    assert [it["id"] for it in alone.lines] == [2]
    assert [it["status"] for it in other.lines] == [422]
    assert [it["id"] for it in moved.lines] == [2, 4]


async def test_a_key_twice_in_one_request_counts_once(api: Api) -> None:
    keyed = {**REGISTER, "idempotency_key": "mine"}

    reply = await api.commands(keyed, keyed, {**keyed, "job": {"type": "copy", "name": "other"}}, REGISTER)

    assert [(it["status"], it.get("id")) for it in reply.lines] == [(201, 1), (201, 1), (422, None), (201, 2)]


@pytest.mark.parametrize("keys", [["é"], ["k" * 256], ["a", "b"], [""]])
async def test_a_malformed_key_refuses_the_request(api: Api, keys: list[str]) -> None:
    headers = [*api.headers.items(), *(("Idempotency-Key", key) for key in keys)]

    async with api.session.post(api.path("commands"), data=line(REGISTER), headers=headers) as response:
        assert response.status == 400
    assert await api.job_ids() == []


async def test_a_capability_that_is_missing_fails_the_lines_that_need_it(server: Server, api: Api) -> None:
    auditor = await server.client("auditor")

    reply = await auditor.commands(REGISTER, {"command": "start", "id": 1})

    assert [(it["status"], it.get("capability")) for it in reply.lines] == [
        (403, "jobs.register"), (403, "jobs.update"),
    ]  # fmt: skip


async def test_what_a_client_queued_is_decided_though_it_goes_away(
    server: Server, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    request = (
        f"POST /ledger/v1/acme/commands HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['Authorization']}\r\n"
        f"Content-Type: {NDJSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    body = line(REGISTER) * 500 + b'{"command":"regis'
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    with caplog.at_level(logging.DEBUG, "jobledger"):
        writer.write(request + b"%x\r\n%b\r\n" % (len(body), body))
        await reader.readline()
        writer.transport.abort()
        async with asyncio.timeout(10):
            while len(await api.job_ids({"limit": "1000"})) < 500:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)

    assert len(await api.job_ids({"limit": "1000"})) == 500
    assert [it for it in caplog.records if it.levelno >= logging.WARNING] == []


@pytest.mark.slow
async def test_a_client_that_reads_nothing_holds_up_nobody_else(server: Server, api: Api) -> None:
    """What it sends is taken as far as its answers have room, others go on meanwhile."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = (
        f"POST /ledger/v1/acme/commands HTTP/1.1\r\nHost: x\r\nAuthorization: {api.headers['Authorization']}\r\n"
        f"Content-Type: {NDJSON}\r\nContent-Length: 100000000\r\n\r\n"
    ).encode()
    writer.write(head + line({"command": "start", "id": 1}) * 20_000)

    for number in range(1, 21):
        async with asyncio.timeout(5):
            assert await api.register() == number

    writer.transport.abort()


@pytest.mark.slow
async def test_twenty_thousand_commands_on_one_connection(api: Api) -> None:
    registrations = await api.commands(*([REGISTER] * 7_000))
    changes = await api.commands(
        *({"command": "start", "id": number} for number in range(1, 7_001)),
        *({"command": "heartbeat" if number % 2 else "start", "id": number} for number in range(1, 6_001)),
    )

    assert [it["id"] for it in registrations.lines] == list(range(1, 7_001))
    assert [it["line"] for it in changes.lines] == list(range(1, 13_001))
    assert {it["status"] for it in changes.lines} == {200}


async def test_a_failure_nobody_expected_is_its_lines_alone(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("a secret of ours")

    await api.register()
    monkeypatch.setattr(commands.CommandReader, "_register", explode)
    reply = await api.commands({"command": "start", "id": 1}, REGISTER, {"command": "succeed", "id": 1})

    assert [it["status"] for it in reply.lines] == [200, 500, 200]
    assert blank(orjson.dumps(reply.lines[1])) == (
        '{"line":2,"type":"urn:jobledger:server-error","title":"The server failed","status":500,"detail":"The request could not'
        ' be answered. The server\'s log names the reason under this instance.","code":"server_error",'
        '"instance":"urn:uuid:UUID"}'
    )
    assert [it.name for it in caplog.records if it.levelno == logging.ERROR] == ["jobledger.http.native.commands"]


async def test_an_answer_that_fails_midway_breaks_off(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was answered arrives; that it is not all can be seen."""

    def explode(self: commands.Line, request_id: str) -> bytes:
        if self.number == 2:
            raise RuntimeError("a secret of ours")
        return answer(self, request_id)

    answer = commands.Line.answer
    monkeypatch.setattr(commands.Line, "answer", explode)
    sent = Lines()
    sent.say(line(REGISTER))

    async with api.session.post(api.path("commands"), data=sent.body(), headers=api.headers) as response:
        first = await response.content.readline()
        sent.say(line(REGISTER) * 2)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
        sent.end()

    assert orjson.loads(first)["id"] == 1
    assert [str(it.exc_info and it.exc_info[1]) for it in caplog.records if it.levelno == logging.ERROR] == [
        "a secret of ours"
    ]


async def test_a_body_that_is_not_encoded_as_it_says_is_told_in_its_place(api: Api) -> None:
    headers = {"Content-Type": NDJSON, "Content-Encoding": "gzip"}

    whole = await api.post("commands", data=gzip.compress(line(REGISTER)), headers=headers)
    reply = await api.post("commands", data=b"hello", headers=headers)

    assert [(it["line"], it["status"], it["code"]) for it in reply.lines] == [(1, 400, "malformed")]
    assert [(it["line"], it["status"]) for it in whole.lines] == [(1, 201)]


async def test_lines_are_not_json(api: Api) -> None:
    """A document over several lines would be as many commands: what is no NDJSON is not taken for it."""
    body = line(REGISTER)

    refused = await api.post("commands", data=body, headers={"Content-Type": "application/json"})
    taken = [
        await api.post("commands", data=body, headers={"Content-Type": it})
        for it in ("application/x-ndjson", "application/ndjson; charset=utf-8", "application/jsonl")
    ]
    unsaid = await api.post("commands", data=body)

    assert (refused.status, refused.document["code"]) == (415, "unsupported_media_type")
    assert [it.status for it in (*taken, unsaid)] == [200] * 4
    assert await api.job_ids() == [1, 2, 3, 4]
