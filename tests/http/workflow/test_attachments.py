"""Attachments: in and out in chunks, whole or not at all."""

from __future__ import annotations

import asyncio
import os
from hashlib import sha256
from typing import Any

import aiohttp
import pytest

from jobledger.http.attachments import content_disposition, safe_name
from jobledger.ledger.domain.hold_commands import PlaceHold
from jobledger.ledger.domain.job_removal import DeleteJob
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.store.attachments import CHUNK_BYTES
from tests.cluster import session
from tests.http.serving import Reply, Server, served
from tests.http.workflow.speaking import Workflow
from tests.world import ALICE, ORG

SECRET = b"the bytes of a secret plan"
KEY = {"Idempotency-Key": "a key"}


async def rows(url: str) -> list[int]:
    """How many attachments, chunks and uploads there are."""
    async with session(url) as connection:
        return [
            await connection.fetchval(f"SELECT count(*) FROM {it}")
            for it in ("attachment", "attachment_chunk", "upload")
        ]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
async def test_what_was_attached_comes_back(workflow: Workflow, database_url: str, size: int) -> None:
    await workflow.native.register()
    body = os.urandom(size)

    reply = await workflow.attach("1", body, headers=KEY)
    again = await workflow.attach("1", body, headers=KEY)

    assert (reply.status, reply.document["alias"]) == (200, "plan.txt")
    assert again.document == reply.document
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await rows(database_url) == [1, -(-size // CHUNK_BYTES), 0]
    got = await workflow.native.send("GET", reply.document["url"])
    assert (got.status, got.body) == (200, body)
    assert got.headers["Content-Disposition"] == "attachment; filename=\"plan.txt\"; filename*=UTF-8''plan.txt"
    assert got.headers["Content-Type"] == "application/octet-stream"
    head = await workflow.native.send("HEAD", reply.document["url"])
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(size), b"")
    [shown] = (await workflow.get("jobs/1/attachments")).document["attachments"]
    assert shown.pop("createdDate").endswith("Z")
    assert shown == {
        "id": reply.document["url"].rpartition("/")[2],
        "alias": "plan.txt",
        "name": "plan.txt",
        "url": reply.document["url"],
        "size": size,
        "contentType": "text/plain",
        "sha256": sha256(body).hexdigest(),
    }


async def test_the_name_is_private_and_goes_with_the_bytes(workflow: Workflow, database_url: str) -> None:
    await workflow.native.register()
    kept = (await workflow.attach("1", b"kept", "kept-name.txt")).document["url"]
    removed = (await workflow.attach("1", SECRET, "secret-name.txt")).document["url"]
    async with session(database_url) as owner:
        texts = await owner.fetch("SELECT convert_from(body, 'UTF8') AS body FROM content")
    assert not any("secret-name" in it["body"] for it in texts)

    reply = await workflow.native.send("DELETE", removed)

    assert (reply.status, reply.document) == (200, {"success": True})
    assert (await workflow.native.send("DELETE", removed)).status == 404
    assert (await workflow.native.send("GET", removed)).status == 404
    assert (await workflow.native.send("GET", kept)).body == b"kept"
    async with session(database_url) as owner:
        private = [it["private"] for it in await owner.fetch("SELECT private FROM content WHERE private IS NOT NULL")]
        assert [b"kept-name" in it for it in private] == [True]
        assert await owner.fetchval("SELECT count(*) FROM attachment_chunk") == 1
        live = "SELECT count(*) FROM job WHERE private LIKE '%secret-name%'"
        assert await owner.fetchval(live) == 0


async def test_deleting_a_job_removes_what_is_attached(workflow: Workflow, database_url: str) -> None:
    """Not while it is held; afterwards neither bytes nor names are anywhere."""
    await workflow.native.register()
    url = (await workflow.attach("1", SECRET, "secret-name.txt")).document["url"]
    ledger = workflow.server.ledger
    await ledger.execute(PlaceHold(caller=ALICE, name="Case 7", job_ids=[1]))
    reply = await workflow.native.send("DELETE", url)
    assert (reply.status, reply.document["error"]["message"]) == (400, "Job 1 is on legal hold: Case 7.")
    await workflow.native.register()
    url = (await workflow.attach("2", SECRET, "other-name.txt")).document["url"]

    await ledger.execute(DeleteJob(caller=ALICE, job_id=2, reason="asked for"))

    assert (await workflow.native.send("GET", url)).status == 404
    async with session(database_url) as owner:
        assert await owner.fetchval("SELECT count(*) FROM attachment WHERE job_id = 2") == 0
        assert await owner.fetchval("SELECT count(*) FROM attachment_chunk") == 1
        private = [it["private"] for it in await owner.fetch("SELECT private FROM content WHERE private IS NOT NULL")]
    assert [b"secret-name" in it for it in private] == [True]


async def test_an_upload_that_is_cut_off_leaves_nothing(workflow: Workflow, database_url: str) -> None:
    """Whether the connection goes, or the form ends in the middle."""
    await workflow.native.register()
    size = (await workflow.server.ledger.recorder.head(ORG)).size
    begin = b'--b\r\nContent-Disposition: form-data; name="attachment"; filename="a"\r\n\r\n' + b"x" * 600_000
    token = workflow.native.headers["Authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", workflow.server.port)
    head = (
        f"POST /acme/Global/jobs/1/attachments HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 900000\r\n\r\n"
    )
    writer.write(head.encode() + begin)
    await writer.drain()
    async with asyncio.timeout(5):
        while (await rows(database_url))[1] == 0:
            await asyncio.sleep(0.02)
    writer.close()
    async with asyncio.timeout(5):
        while await rows(database_url) != [0, 0, 0]:
            await asyncio.sleep(0.02)
    del reader

    reply = await workflow.post(
        "jobs/1/attachments", data=begin, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )

    assert (reply.status, reply.document["error"]["type"]) == (400, "InvalidRequestError")
    assert await rows(database_url) == [0, 0, 0]
    assert (await workflow.server.ledger.recorder.head(ORG)).size == size


HEAD = b'--b\r\nContent-Disposition: form-data; name="attachment"; filename="a"\r\n\r\n'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("is_native", [False, True])
async def test_a_form_that_is_not_whole_leaves_nothing(
    workflow: Workflow, database_url: str, is_chunked: bool, is_native: bool
) -> None:
    """Its body is, as its headers say: the form in it is cut before the end of its closing boundary, or attaches two files."""
    await workflow.native.register()
    size = (await workflow.server.ledger.recorder.head(ORG)).size
    other = b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n'
    form = HEAD + b"x" * (CHUNK_BYTES + 9) + b"\r\n" + other + b"--b--"
    cuts = [
        10,
        len(HEAD),
        len(form) - len(other) - 20,
        *range(len(form) - len(other) - 10, len(form), 5),
        len(form) - 1,
    ]
    twice = HEAD + b"x" * CHUNK_BYTES + b"\r\n" + HEAD + b"x" * CHUNK_BYTES + b"\r\n--b--\r\n"

    async def send(body: bytes) -> Reply:
        async def pieces() -> Any:
            for begin in range(0, len(body), 100_000):
                yield body[begin : begin + 100_000]

        url = workflow.native.path("jobs/1/attachments") if is_native else f"{workflow.base}/jobs/1/attachments"
        return await workflow.native.send("POST", url, data=pieces() if is_chunked else body, headers=MULTIPART)

    for body in (twice, *(form[:cut] for cut in cuts)):
        reply = await send(body)

        assert reply.status == 400, (len(body), reply.body)
        assert reply.document.keys() == {"error"} if not is_native else "code" in reply.document, reply.body
    assert await rows(database_url) == [0, 0, 0]
    assert (await workflow.server.ledger.recorder.head(ORG)).size == size
    reply = await send(form)
    assert reply.status == (201 if is_native else 200), reply.body
    assert await rows(database_url) == [1, 2, 0]


async def test_a_name_is_what_stands_behind_the_last_separator(workflow: Workflow) -> None:
    await workflow.native.register()
    given = ["C:\\a\\b.txt", "..\\..\\x.bat", "../../etc/passwd", "a\\\\b/c.txt"]

    aliases = [(await workflow.attach("1", b"x", it)).document["alias"] for it in given]

    assert aliases == ["b.txt", "x.bat", "passwd", "c.txt"]


async def test_what_is_refused_leaves_nothing(workflow: Workflow, database_url: str) -> None:
    await workflow.native.register()
    await workflow.native.register()
    await workflow.manage("Close", "2")
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    other = b'--b\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nx\r\n--b--\r\n'
    unnamed = b'--b\r\nContent-Disposition: form-data; name="attachment"\r\n\r\nx\r\n--b--\r\n'
    for path, body, headers, status in (
        ("jobs/1/attachments", b"x", {"Content-Type": "text/plain"}, 415),
        ("jobs/1/attachments", b"", {}, 415),
        ("jobs/1/attachments", b"{}", {"Content-Type": "application/json"}, 415),
        ("jobs/1/attachments", b"x", {"Content-Type": "multipart/form-data"}, 400),
        ("jobs/1/attachments", b"x", multipart, 400),
        ("jobs/1/attachments", b"", multipart, 400),
        ("jobs/1/attachments", other, multipart, 400),
        ("jobs/1/attachments", unnamed, multipart, 400),
        ("jobs/9/attachments", other, multipart, 404),
        ("jobs/x/attachments", other, multipart, 404),
    ):
        reply = await workflow.post(path, data=body, headers=headers)
        assert reply.status == status, (path, body, headers, reply.body)
        assert reply.document["error"].keys() == {"message", "type", "details"}
    assert (await workflow.attach("2", b"x" * 300_000)).status == 400
    for given in ("nothing", "7c9e6679-7425-40de-944b-e07fc1f90ae7"):
        assert (await workflow.get(f"jobs/1/attachments/{given}")).status == 404
        assert (await workflow.send("DELETE", f"jobs/1/attachments/{given}")).status == 404
    assert await rows(database_url) == [0, 0, 0]


async def test_what_is_too_large(server: Server, workflow: Workflow, database_url: str) -> None:
    await workflow.native.register()
    async with served(server.ledger, largest_attachment_bytes=500_000) as small:
        speaker = Workflow(small, workflow.native)
        assert (await speaker.attach("1", b"x" * 500_000)).status == 200
        reply = await speaker.attach("1", b"x" * 500_001)

    assert (reply.status, reply.document["error"]["message"]) == (413, "An attachment is at most 500000 bytes.")
    assert await rows(database_url) == [1, 2, 0]


async def test_bytes_that_are_not_those_recorded_are_not_given_whole(
    workflow: Workflow, unaudited_url: str, database_url: str
) -> None:
    await workflow.native.register()
    url = (await workflow.attach("1", b"x" * (CHUNK_BYTES + 9))).document["url"]
    spoil = "UPDATE attachment_chunk SET body = overlay(body PLACING $1::bytea FROM 1) WHERE number = 1"
    async with session(unaudited_url) as owner:
        await owner.execute(spoil, b"y")

    with pytest.raises(aiohttp.ClientPayloadError):
        await workflow.native.send("GET", url)

    async with session(database_url) as owner:
        await owner.execute(spoil, b"x")


async def test_the_serving_role_removes_nothing_that_no_event_covers(workflow: Workflow, database_url: str) -> None:
    await workflow.native.register()
    url = (await workflow.attach("1", SECRET)).document["url"]
    attachment_id = url.rpartition("/")[2]
    async with session(database_url) as owner:
        for statement in (
            "DELETE FROM attachment",
            "DELETE FROM attachment_chunk",
            "UPDATE attachment_chunk SET body = ''",
            "SELECT remove_attachments('acme', '{job-1}', '{2}')",
            "SELECT remove_attachments('acme', '{job-1}', '{9}')",
        ):
            await owner.execute("SET role jobledger_app")
            with pytest.raises(Exception, match=r"permission denied|only where an event covers it"):
                await owner.execute(statement)
            await owner.execute("RESET role")
        assert await owner.fetchval("SELECT discard_upload('acme', $1::uuid)", attachment_id) == 0
    assert (await workflow.native.send("GET", url)).body == SECRET


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("plan.txt", "plan.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\plan.txt", "plan.txt"),
        ("a\x00\x1b[31m\r\nb.txt", "a[31mb.txt"),
        ('say "hi".txt', 'say "hi".txt'),
        ("gpj.\u202etxt", "gpj.txt"),
        ("Größe.pdf", "Größe.pdf"),
        (".env", "env"),
        ("x" * 400, "x" * 255),
    ],
)
def test_names_are_made_harmless(given: str, name: str) -> None:
    assert safe_name(given) == name


@pytest.mark.parametrize("given", [None, "", "..", "../", "a/..", "\x00", " . "])
def test_what_is_no_name(given: Any) -> None:
    with pytest.raises(InvalidCommandError):
        safe_name(given)


def test_a_name_in_a_header() -> None:
    assert content_disposition('Größe "5";\\%41.pdf') == (
        "attachment; filename=\"Gr__e _5_;__41.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%225%22%3B%5C%2541.pdf"
    )


@pytest.mark.slow
async def test_what_comes_is_held_a_little_at_a_time(workflow: Workflow) -> None:
    """64 MiB in, and out, raise this process's memory by at most 8 MiB each (the client's share among it)."""
    await workflow.native.register()
    boundary = b'--b\r\nContent-Disposition: form-data; name="attachment"; filename="a"\r\n\r\n'

    async def pieces() -> Any:
        yield boundary
        for number in range(1024):
            yield bytes([number % 256]) * 65_536
        yield b"\r\n--b--\r\n"

    async def send() -> str:
        headers = {**workflow.native.headers, "Content-Type": "multipart/form-data; boundary=b"}
        url = f"{workflow.base}/jobs/1/attachments"
        async with workflow.server.session.post(url, data=pieces(), headers=headers) as reply:
            assert reply.status == 200, await reply.read()
            answered: str = (await reply.json())["url"]
            return answered

    async def fetch(url: str) -> int:
        size = 0
        async with workflow.server.session.get(url, headers=workflow.native.headers) as reply:
            async for piece in reply.content.iter_any():
                size += len(piece)
        return size

    # Once before, so that what is made once is not counted.
    url = await send()
    assert await fetch(url) == 64 * 1024 * 1024
    for work in (send(), fetch(url)):
        peak = asyncio.create_task(peak_of_memory())
        await asyncio.sleep(0.05)
        before = memory_bytes()
        await work
        peak.cancel()
        highest = await peak
        assert highest - before <= 8 * 1024 * 1024, (highest - before) / 2**20


def memory_bytes() -> int:
    """What this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


async def peak_of_memory() -> int:
    """The most that this process held until it was told to stop."""
    peak = 0
    try:
        while True:
            peak = max(peak, memory_bytes())
            await asyncio.sleep(0.002)
    except asyncio.CancelledError:
        return peak
