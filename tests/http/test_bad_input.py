"""What clients send by mistake or malice: refused in one form, with nothing changed, and never the server's fault."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import orjson
from yarl import URL

from jobledger.http.document import parse_json
from tests.cluster import session
from tests.http.dialects.manners import Target
from tests.http.serving import Server, add_principal, new_token
from tests.http.targets import DOCUMENT_POSTS, GUARDED, MANNERS, NATIVE, POSTS, ROUTES, TARGETS
from tests.http.trial import Spread, Trial, is_taken
from tests.world import ORG

MEBIBYTE = 1024 * 1024


# After these the others would be refused, or these themselves are.
ENDINGS = {
    *("fail", "cancel", "stop", "succeed", "close", "reopen", "delete", "erase"),
    *("revoke", "revoke_tokens", "Logout"),
    # What is right for these is of the very checkpoint.
    *("cosignatures", "timestamp"),
}


async def test_the_requests_are_accepted_but_for_their_fault(trial: Trial) -> None:
    """What the other tests here spoil is right as it stands."""
    for target in TARGETS:
        if target.last in ENDINGS or target.is_open or target.method == "DELETE":
            continue
        headers = {**trial.credentials(target), "Content-Type": target.media_type or ""}
        headers = {name: value for name, value in headers.items() if value}
        reply = await trial.api.send(
            target.method, trial.server.url + target.path, data=target.content, headers=headers
        )
        assert reply.status in target.manners.accepted(target), (str(target), reply.body)
    trial.size = (await trial.server.ledger.recorder.head(ORG)).size


async def test_without_valid_credentials(trial: Trial, database_url: str, spread: Spread) -> None:
    expired = await add_principal(trial.server.ledger, ["operator"])
    async with session(database_url) as owner:
        await owner.execute(
            "UPDATE credential SET expires_at = clock_timestamp() - interval '1 ms' WHERE principal_id = 3"
        )
    trial.size += 2
    odd = [
        "", "Bearer", "Bearer ", "Bearer x", f"Bearer {new_token()}", f"Bearer {expired}", f"Basic {new_token()}",
        "Basic", "Basic !", "Basic YWRtaW4=",  "Basic /zo=", "Basic ADoA",
        "Digest x", "é", "Basic é", f"Bearer {new_token('nowhere')}", f"Bearer {trial.token}x",
        f"Bearer {trial.token[:-1]}", "Basic " + "QQ" * 3_000,
    ]  # fmt: skip
    for manners in MANNERS.values():
        for target in [it for it in GUARDED if it.manners is manners][:2]:
            for shown in odd:
                await trial.expect(target, 401, headers={manners.credentials_in: shown})
    for number, target in enumerate(ROUTES):
        nothing = dict.fromkeys((target.manners.credentials_in, GUARDED[0].manners.credentials_in), "")
        if not target.is_open:
            await trial.expect(target, 401, headers=nothing)
        for path in spread.some((f"{target.in_org('nowhere')}/no", f"{target.path}/nothing"), number):
            await trial.expect(GUARDED[0], 401, headers=nothing, url=trial.server.url + path)


async def test_without_a_valid_password(trial: Trial) -> None:
    for manners in MANNERS.values():
        target = next(it for it in GUARDED if it.manners is manners)
        for shown in ("Og==", "YTpi", "w6k6w6k=", "OmE="):
            if (headers := manners.with_password(shown)) is not None:
                await trial.expect(target, 401, headers=headers)


async def test_with_credentials_of_another_org(trial: Trial) -> None:
    """Where the path names an org, another one and none are the same 404."""
    await trial.server.ledger.create_org("other")
    token = await add_principal(trial.server.ledger, ["admin", "compliance", "operator"], org="other")
    for target in ROUTES:
        if target.names_org and not target.is_open:
            headers = target.manners.with_token(token)
            there = await trial.expect(target, 404, headers=headers)
            absent = await trial.expect(target, 404, headers=headers, url=trial.server.url + target.in_org("nowhere"))
            assert there.shown == absent.shown


async def test_without_the_capability(trial: Trial) -> None:
    token = await add_principal(trial.server.ledger, [], name="idle", password="secret")
    trial.size = (await trial.server.ledger.recorder.head(ORG)).size
    for target in ROUTES:
        if target.capability is not None:
            await trial.expect(target, 403, headers=target.manners.let_in(token, f"idle@{ORG}", "secret"))


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


async def test_bodies_that_are_not_what_is_due(trial: Trial, spread: Spread) -> None:
    for target, body in spread(POSTS, BODIES):
        if is_taken(target, body, parse_json):
            continue
        is_too_large = target.body is not None and len(body) > target.body.limit_bytes
        await trial.expect(target, 413 if is_too_large else 400, data=body)


async def test_an_empty_body_where_one_is_due(trial: Trial) -> None:
    for target in DOCUMENT_POSTS:
        if target.body is not None and target.body.is_due:
            await trial.expect(target, 400, data=b"")
            await trial.expect(target, 400, data=b"{}")
            await trial.expect(target, 400, data=b"[]")


MEDIA_TYPES = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "é",
    "json",
    "/",
    "*/*",
]


async def test_bodies_of_another_media_type(trial: Trial, spread: Spread) -> None:
    for target, media_type in spread(POSTS, MEDIA_TYPES):
        if target.body is not None and media_type not in target.body.also:
            await trial.expect(target, 415, headers={"Content-Type": media_type})


async def test_bodies_that_are_not_encoded_as_they_say(trial: Trial) -> None:
    """The connection ends with the answer, and the answer says so, where it had not yet begun."""
    for target in POSTS:
        headers = {"Content-Encoding": "gzip", **({"Connection": "close"} if target.is_commands else {})}
        reply = await trial.expect(target, 400, headers=headers, data=b"hello")
        assert reply.headers["Connection"] == "close"


async def test_ids_that_nothing_has(trial: Trial, spread: Spread) -> None:
    named = [(target, name) for target in ROUTES for name in target.samples]
    for target, name, no_id in spread.of_names(named, lambda target, name: target.samples[name].never):
        path = target.at(**{name: no_id})
        await trial.expect(target, 404, url=URL(trial.server.url + path, encoded=True))


NO_PARAMETERS = ["unknown=1", "%00=1", "limit=1&limit=1", "x", "as_at=3", "%ff=%ff", "cursor=x&cursor=y"]  # fmt: skip


async def test_parameters_that_are_not_taken(trial: Trial, spread: Spread) -> None:
    for target, query in spread(ROUTES, NO_PARAMETERS):
        await trial.expect(target, 400, url=f"{trial.server.url}{target.path}?{query}")


async def test_parameters_of_another_kind(trial: Trial, spread: Spread) -> None:
    named = [(it, name) for it in ROUTES if it.method in ("GET", "DELETE") for name in it.manners.parameters(it)]
    for target, name, value in spread.of_names(named, lambda target, name: target.manners.wrong_parameters[name]):
        await trial.expect(target, 400, url=f"{trial.server.url}{target.path}?{name}={value}")


METHODS = ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "POST", "TRACE"]  # fmt: skip


async def test_methods_that_a_path_does_not_take(trial: Trial, spread: Spread) -> None:
    taken: dict[str, set[str]] = {}
    for target in TARGETS:
        # A login by GET makes a token, which HEAD must not.
        also = {"HEAD"} if target.method == "GET" and target.last != "auth" else set()
        taken.setdefault(target.path, set()).update({target.method, *also})
    for target, method in spread(ROUTES, METHODS):
        if method not in taken[target.path]:
            reply = await trial.expect(target, 405, method=method)
            assert set(reply.headers["Allow"].split(",")) == taken[target.path]


ASIDE: list[Callable[[str], str]] = [
    "{}/".format, "{}/nothing".format, "{};a".format, "/{}".format, str.upper,
]  # fmt: skip


async def test_paths_that_lead_nowhere(trial: Trial, spread: Spread) -> None:
    for target, aside in spread(ROUTES, ASIDE):
        # Below a list lies a job, which takes other methods. What is not below an open path itself is not open.
        url = f"{trial.server.url}{aside(target.path)}"
        await trial.expect(GUARDED[0], {404, 405}, url=url, **of(target))


def of(target: Target) -> dict[str, Any]:
    """What makes a request like the target's of another one."""
    return {"method": target.method, "data": target.content, "headers": {"Content-Type": target.media_type or ""}}


async def test_a_body_too_large_is_refused_before_it_is_read(trial: Trial) -> None:
    """By its Content-Length alone: nothing of it is sent."""
    for target in DOCUMENT_POSTS:
        assert target.body is not None
        limit = target.body.limit_bytes
        credentials = "".join(f"{name}: {value}\r\n" for name, value in trial.credentials(target).items())
        said = await trial.server.raw(
            f"{target.method} {target.path} HTTP/1.1\r\nHost: x\r\n{credentials}"
            f"Content-Type: application/json\r\nContent-Length: {limit + 1}\r\n\r\n".encode(),
            is_over=lambda said: said.count(b"\r\n\r\n") == 1 and said.endswith(b"}"),
        )
        assert said.startswith(b"HTTP/1.1 413 "), (str(target), said)
        assert f"\r\nContent-Type: {target.manners.error_types[0]}\r\n".encode() in said
        if target.manners is NATIVE:
            assert b'"code":"body_too_large"' in said
            assert f'"limit_bytes":{limit}'.encode() in said


async def test_a_body_too_large_is_refused_where_its_length_is_not_told(trial: Trial) -> None:
    async def too_much(limit: int) -> AsyncIterator[bytes]:
        for _ in range(limit // MEBIBYTE + 1):
            yield b" " * MEBIBYTE

    for target in DOCUMENT_POSTS:
        if target.body is not None and target.last in ("jobs", "start", "stage", "stop", "token"):
            await trial.expect(target, 413, data=too_much(target.body.limit_bytes))


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
            f"POST {target.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {trial.token}\r\n"
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
    for manners in MANNERS.values():
        taken = {name for target in TARGETS if target.manners is manners for name in manners.parameters(target)}
        assert set(manners.wrong_parameters) == taken
