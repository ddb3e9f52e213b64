"""What clients send by mistake or malice: refused in one form, with nothing changed, and never the server's fault."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import product

import orjson
from yarl import URL

from jobledger.http.native.events import FILTERS as EVENT_FILTERS
from jobledger.http.native.events import PARAMETERS as EVENT_PARAMETERS
from jobledger.http.native.holds import FILTERS as HOLD_FILTERS
from jobledger.http.native.jobs import FILTERS as JOB_FILTERS
from jobledger.http.native.principals import FILTERS as PRINCIPAL_FILTERS
from jobledger.http.native.rollups import FILTERS as ROLLUP_FILTERS
from jobledger.http.native.tokens import FILTERS as TOKEN_FILTERS
from tests.cluster import session
from tests.http.serving import Server, add_principal, new_token
from tests.http.targets import DOCUMENT_POSTS, POSTS, TARGETS, TOKEN_ID
from tests.http.trial import Trial
from tests.world import ORG

MEBIBYTE = 1024 * 1024


async def test_the_requests_are_accepted_but_for_their_fault(trial: Trial) -> None:
    """What the other tests here spoil is right as it stands."""
    for target in TARGETS:
        headers = {**trial.api.headers, "Content-Type": target.media_type or ""}
        headers = {name: value for name, value in headers.items() if value}
        if target.last in (
            "fail",
            "cancel",
            "succeed",
            "close",
            "reopen",
            "delete",
            "erase",
            "revoke",
            "revoke_tokens",
        ):
            continue
        reply = await trial.api.send(target.method, trial.server.url + target.path, data=target.body, headers=headers)
        assert reply.status in (200, 201), (str(target), reply.body)


async def test_without_valid_credentials(trial: Trial, database_url: str) -> None:
    expired = await add_principal(trial.server.ledger, ["operator"])
    async with session(database_url) as owner:
        await owner.execute(
            "UPDATE credential SET expires_at = clock_timestamp() - interval '1 ms' WHERE principal_id = 3"
        )
    trial.size += 2
    for target in TARGETS:
        for shown in (
            "", "Bearer", "Bearer ", "Bearer x", f"Bearer {new_token()}", f"Bearer {expired}", f"Basic {new_token()}",
            "Basic", "Basic !", "Basic YWRtaW4=",  "Basic /zo=", "Basic ADoA",
            "Digest x", "é", "Basic é", f"Bearer {new_token('nowhere')}", f"Bearer {trial.api.headers['Authorization'][7:]}x",
            f"Bearer {trial.api.headers['Authorization'][7:-1]}", "Basic " + "QQ" * 3_000,
        ):  # fmt: skip
            reply = await trial.expect(target, 401, headers={"Authorization": shown})
            assert reply is not None
            assert reply.headers["WWW-Authenticate"] == 'Bearer realm="job ledger", Basic realm="job ledger"'
        await trial.expect(target, 401, headers={"Authorization": ""}, url=trial.server.url + "/ledger/v1/nowhere/jobs")
        await trial.expect(target, 401, headers={"Authorization": ""}, url=trial.server.url + target.path + "/nothing")


async def test_without_a_valid_password(trial: Trial) -> None:
    for shown in ("Basic Og==", "Basic YTpi", "Basic w6k6w6k=", "Basic OmE="):
        await trial.expect(TARGETS[0], 401, headers={"Authorization": shown})


async def test_with_credentials_of_another_org(trial: Trial) -> None:
    """Another org and none are the same 404."""
    await trial.server.ledger.create_org("other")
    stranger = await trial.server.client("admin", "compliance", "operator", org="other")
    for target in TARGETS:
        there = await trial.expect(target, 404, headers=stranger.headers)
        absent = await trial.expect(
            target, 404, headers=stranger.headers, url=trial.server.url + target.path.replace(ORG, "nowhere")
        )
        assert there is not None
        assert absent is not None
        assert there.shown == absent.shown


async def test_without_the_capability(trial: Trial) -> None:
    nobody = await trial.server.client()
    trial.size += 2
    for target in TARGETS:
        if not target.is_for_everybody:
            await trial.expect(target, 403, headers=nobody.headers)


BODIES = [
    b"{", b"nope", b"{}{}", b'{"a":1,}', b"{'a':1}", b'"', b"\xff", b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b"\x00", b"NaN",
    b"[NaN]", b"\xef\xbb\xbf{}", '{"a":"é"}'.encode("utf-16"), b'{"a":"\\ud800"}', b"1" * 30, b"-" + b"1" * 5_000,
    b'{"a":1e999}',
    b'{"a":' + b"9" * 5_000 + b"}", b'{"stage":' + b"9" * 30 + b"}", b'{"stage":"\\u0000"}', b'{"\\u0000":1}',
    b'{"stage":"a\x00"}',
    b"[" * 100_000 + b"]" * 100_000, b"[" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"stage":' + b"[" * 65 + b"]" * 65 + b"}", b"null", b"true", b"7", b'"text"', b'{"unknown":1}',
    b'{"stage":"b","unknown":null}',
    b'{"' + b"x" * 100_000 + b'":1}',
]  # fmt: skip


async def test_bodies_that_are_not_what_is_due(trial: Trial) -> None:
    for target, body in product(POSTS, BODIES):
        await trial.expect(target, 400, data=body)


async def test_an_empty_body_where_one_is_due(trial: Trial) -> None:
    for target in DOCUMENT_POSTS:
        if target.last in BODY_IS_DUE:
            await trial.expect(target, 400, data=b"")
            await trial.expect(target, 400, data=b"{}")
            await trial.expect(target, 400, data=b"[]")


BODY_IS_DUE = {"jobs", "stage", "principals", "2", "password", "tokens"}


MEDIA_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "é",
    "json",
    "/",
    "*/*",
]


async def test_bodies_of_another_media_type(trial: Trial) -> None:
    for target, media_type in product(POSTS, MEDIA_TYPES):
        await trial.expect(target, 415, headers={"Content-Type": media_type}, data=target.body or b"")


async def test_bodies_that_are_not_encoded_as_they_say(trial: Trial) -> None:
    for target in POSTS:
        await trial.expect(target, 400, headers={"Content-Encoding": "gzip"}, data=b"hello")


NO_IDS = [
    "0",
    "-1",
    "2",
    "2147483648",
    "99999999999999999999",
    "9" * 5_000,
    "abc",
    "1.0",
    "+1",
    "%201",
    "%00",
    "%ff",
    "%D9%A3",
    "1e0",
]


async def test_ids_that_no_job_has(trial: Trial) -> None:
    for target, job_id in product(TARGETS, NO_IDS):
        if "{job_id}" in target.pattern:
            path = target.pattern.format(org=ORG, job_id=job_id, verb=target.last)
            await trial.expect(target, 404, url=URL(trial.server.url + path, encoded=True))


async def test_ids_that_no_principal_and_no_token_has(trial: Trial) -> None:
    no_tokens = [*NO_IDS, TOKEN_ID.upper(), TOKEN_ID.replace("-", ""), f"{{{TOKEN_ID}}}", TOKEN_ID[:-1] + "0"]
    for name, no_ids in (("principal_id", [it for it in NO_IDS if it != "2"]), ("token_id", no_tokens)):
        for target, no_id in product(TARGETS, no_ids):
            if f"{{{name}}}" in target.pattern:
                path = target.pattern.format(org=ORG, **{name: no_id}, verb=target.last)
                await trial.expect(target, 404, url=URL(trial.server.url + path, encoded=True))


NO_PARAMETERS = ["unknown=1", "%00=1", "limit=1&limit=1", "x", "as_of=3", "%ff=%ff", "cursor=x&cursor=y"]  # fmt: skip


async def test_parameters_that_are_not_taken(trial: Trial) -> None:
    for target, query in product(TARGETS, NO_PARAMETERS):
        await trial.expect(target, 400, url=f"{trial.server.url}{target.path}?{query}")


WRONG_WORD = ["", "x" * 501, "%00"]
WRONG_INSTANT = ["", "now", "2026-11-21", "2026-11-21T22:34:05", "2026-13-01T00:00:00Z", "9999-12-31T23:59:59Z", "%00"]
WRONG_DAY = ["", "today", "2026-13-01", "20261121", "2026-W47-6", "2026-11-21T00:00:00Z", "%00"]
WRONG_LIMIT = ["", "0", "-1", "1001", "1.5", "x", "9" * 30, "%00", "%D9%A3", "+1", "1%20"]
# For each parameter what it cannot be. A new parameter needs its line here.
WRONG_PARAMETER: dict[str, list[str]] = {
    "state": ["", "running", "EXPLODED", "SUCCESS&state=EXPLODED", "%00"],
    "type": WRONG_WORD,
    "domain": WRONG_WORD,
    "datastream_id": WRONG_WORD,
    "source": WRONG_WORD,
    "external_id": WRONG_WORD,
    **{f"{name}_{end}": WRONG_INSTANT for name in ("scheduled", "started", "ended") for end in ("from", "to")},
    "q": WRONG_WORD,
    "limit": WRONG_LIMIT,
    "cursor": ["", "x", "%00", "A" * 32, "A" * 101, "A" * 3_001, "%ff", "é", "=" * 32],
    "after": ["", "-2", "x", "1.5", "9" * 19, "9" * 30, "9" * 5_000, "%00", "1000"],
    "stream": ["", "x" * 101, "%00"],
    "follow": ["", "yes", "1", "TRUE", "true"],
    "name": ["", "x" * 65, "%00"],
    **{name: ["", "yes", "1", "TRUE"] for name in ("closed", "held", "retained", "active")},
    "principal_id": ["", "0", "x", "2147483648", "9" * 30, "%00"],
    **{f"day_{end}": WRONG_DAY for end in ("from", "to")},
}


async def test_parameters_of_another_kind(trial: Trial) -> None:
    for path, parameters in (
        ("jobs", [*JOB_FILTERS]),
        ("events", [*EVENT_PARAMETERS, *EVENT_FILTERS]),
        ("jobs/1/events", [*EVENT_PARAMETERS]),
        ("principals", [*PRINCIPAL_FILTERS]),
        ("tokens", [*TOKEN_FILTERS]),
        ("holds", [*HOLD_FILTERS]),
        ("rollups", [*ROLLUP_FILTERS]),
    ):
        [target] = [it for it in TARGETS if it.method == "GET" and it.path.endswith(f"{ORG}/{path}")]
        for name in parameters:
            for value in WRONG_PARAMETER[name]:
                await trial.expect(target, 400, url=f"{trial.server.url}{target.path}?{name}={value}")


METHODS = ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "POST", "TRACE"]  # fmt: skip


async def test_methods_that_a_path_does_not_take(trial: Trial) -> None:
    taken: dict[str, set[str]] = {}
    for target in TARGETS:
        taken.setdefault(target.path, set()).update({target.method} | ({"HEAD"} if target.method == "GET" else set()))
    for target, method in product(TARGETS, METHODS):
        if method not in taken[target.path]:
            reply = await trial.expect(target, 405, method=method)
            assert reply is not None
            assert set(reply.headers["Allow"].split(",")) == taken[target.path]


async def test_paths_that_lead_nowhere(trial: Trial) -> None:
    for target in TARGETS:
        for path in (
            f"{target.path}/",
            f"{target.path}/nothing",
            f"{target.path};a",
            f"/{target.path}",
            target.path.upper(),
        ):
            # Below a list lies a job, which takes other methods.
            await trial.expect(target, {404, 405}, url=f"{trial.server.url}{path}")


async def test_a_body_too_large_is_refused_before_it_is_read(trial: Trial) -> None:
    """By its Content-Length alone: nothing of it is sent."""
    for target in DOCUMENT_POSTS:
        limit = (64 if target.last == "jobs" else 8) * MEBIBYTE
        said = await trial.server.raw(
            f"POST {target.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {trial.api.headers['Authorization']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {limit + 1}\r\n\r\n".encode()
        )
        assert said.startswith(b"HTTP/1.1 413 "), (str(target), said)
        assert b'"code":"body_too_large"' in said
        assert f'"limit_bytes":{limit}'.encode() in said


async def test_a_body_too_large_is_refused_where_its_length_is_not_told(trial: Trial) -> None:
    async def too_much(limit: int) -> AsyncIterator[bytes]:
        for _ in range(limit // MEBIBYTE + 1):
            yield b" " * MEBIBYTE

    for target in DOCUMENT_POSTS:
        if target.last in ("jobs", "start", "stage"):
            limit = (64 if target.last == "jobs" else 8) * MEBIBYTE
            await trial.expect(target, 413, data=too_much(limit))


async def test_a_compressed_body_is_bounded_by_what_it_comes_to(trial: Trial) -> None:
    target = next(it for it in DOCUMENT_POSTS if it.last == "start")

    await trial.expect(target, 413, headers={"Content-Encoding": "gzip"}, data=gzip.compress(b" " * 30 * MEBIBYTE))


async def test_contents_too_large_for_an_event(trial: Trial) -> None:
    target = next(it for it in DOCUMENT_POSTS if it.last == "jobs")

    await trial.expect(target, 413, data=orjson.dumps({"type": "t", "name": "n", "attributes": {"a": "x" * MEBIBYTE}}))


async def test_a_body_that_stops_midway_holds_up_nobody(trial: Trial) -> None:
    writers = []
    for target in DOCUMENT_POSTS:
        _, writer = await asyncio.open_connection("127.0.0.1", trial.server.port)
        writer.write(
            f"POST {target.path} HTTP/1.1\r\nHost: x\r\nAuthorization: {trial.api.headers['Authorization']}\r\n"
            'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"type":'.encode()
        )
        writers.append(writer)
    async with asyncio.timeout(5):
        assert await trial.api.job_ids() == [1]
    for writer in writers:
        writer.transport.abort()
    await asyncio.sleep(0.1)
    assert (await trial.server.ledger.recorder.head(ORG)).size == trial.size


async def test_a_token_expires_by_the_databases_clock(server: Server, database_url: str) -> None:
    async with session(database_url) as owner:
        now = await owner.fetchval("SELECT clock_timestamp()")
    fresh = server.api(await add_principal(server.ledger, ["client"], expires_at=now + timedelta(minutes=1)))
    assert (await fresh.get("jobs")).status == 200

    async with session(database_url) as owner:
        await owner.execute("UPDATE credential SET expires_at = clock_timestamp()")

    assert (await fresh.get("jobs")).status == 401


def test_every_parameter_is_covered() -> None:
    known = {*JOB_FILTERS, *EVENT_PARAMETERS, *EVENT_FILTERS, *PRINCIPAL_FILTERS, *TOKEN_FILTERS, *HOLD_FILTERS}
    known |= {*ROLLUP_FILTERS}
    assert set(WRONG_PARAMETER) == known
