"""Passwords: exchanged for tokens, changed by their owners, tried by those who guess."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from time import monotonic
from typing import Literal
from uuid import uuid4

import orjson
import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from jobledger.http import access as access_module
from jobledger.http import standing as standing_module
from jobledger.http import throttle as throttle_module
from jobledger.http.access import FAILURES_FROM_ADDRESS, FAILURES_OF_NAME, HASHING_AT_ONCE, MOST_WAITING, Access
from jobledger.http.context import ACCESS
from jobledger.http.throttle import MOST_REMEMBERED, Throttle, network_of
from jobledger.ledger.domain.access_commands import ChangePrincipal, DisablePrincipal
from jobledger.ledger.domain.credential_commands import LOGIN_LIFETIME, RevokeTokens, SetPassword
from jobledger.ledger.errors import TooManyAttemptsError
from jobledger.ledger.store.ledger import ledger_itself
from tests.http.serving import NDJSON, WEAK_HASHER, Api, Server, add_principal
from tests.world import ORG, types_of


def basic(login: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"Authorization": "Basic " + b64encode(f"{login}:{password}".encode()).decode()}


async def get(server: Server, login: str, password: str, org: str = ORG) -> int:
    """The status of the list of jobs."""
    return (await Api(server.session, server.url, org, basic(login, password)).get("jobs")).status


@pytest.fixture
def access(server: Server, monkeypatch: pytest.MonkeyPatch) -> Access:
    """The server's, with hashes that cost next to nothing."""
    access = server.app[ACCESS]
    monkeypatch.setattr(access, "_hasher", WEAK_HASHER)
    return access


class Clock:
    """What the throttle takes for the time."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands until it is moved."""
    clock = Clock()
    monkeypatch.setattr(throttle_module, "monotonic", clock)
    return clock


async def test_a_password_is_exchanged_for_a_token(server: Server, access: Access) -> None:
    """It lasts 12 hours, and its issuing is an event by the principal itself, by the way it came."""
    await add_principal(server.ledger, ["client"], name="ann", password="secret")

    login = await access.login(f"ann@{ORG}", "secret", via="fetches", address="192.0.2.9", request="r")

    assert login is not None
    assert login.token is not None
    assert (await server.api(login.token).get("jobs")).status == 200
    stored = [it async for it in server.ledger.recorder.scan(ORG, stream="principal-1")][-1]
    assert (stored.envelope()["type"], stored.envelope()["by"]) == ("token.issued", "principal-1")
    assert b'"is_login":true},"via":"fetches","from":"192.0.2.9","request":"r"' in (stored.content or b"")
    assert login.expires_at == stored.event().timestamp + LOGIN_LIFETIME


async def test_a_login_is_refused_without_a_trace(server: Server, access: Access) -> None:
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    await add_principal(server.ledger, ["client"], name="bob", password="secret")
    await server.ledger.execute(DisablePrincipal(caller=ledger_itself(ORG), principal="bob"))
    size = (await server.ledger.recorder.head(ORG)).size

    for login, password in (
        (f"ann@{ORG}", "wrong"),
        (f"bob@{ORG}", "secret"),
        ("ann", "secret"),
        ("", ""),
        ("a\0", "x"),
    ):
        assert await access.login(login, password, via="fetches") is None
    assert await access.login("ann", "secret", via="fetches", org=ORG) is not None

    assert (await server.ledger.recorder.head(ORG)).size == size + 1


async def test_a_new_password_ends_the_old_one_and_its_logins_at_once(server: Server, access: Access) -> None:
    """Also where the old one was verified a moment ago."""
    await add_principal(server.ledger, ["client"], name="ann", password="old")
    login = await access.login(f"ann@{ORG}", "old", via="fetches")
    assert login is not None
    assert await get(server, "ann", "old") == 200

    changed = await server.api(login.token).post("me/password", {"current": "old", "password": "new"})

    assert changed.status == 200
    assert await get(server, "ann", "old") == 401
    assert await get(server, "ann", "new") == 200
    assert (await server.api(login.token).get("jobs")).status == 401
    assert (await types_of(server.ledger, "principal-1"))[-2:] == ["token.revoked", "principal.password_set"]


async def test_ones_own_password_is_changed_by_who_knows_it(server: Server, access: Access) -> None:
    """Not by who has but a token; a repeat gets the first answer, though the password is another by then."""
    token = await add_principal(server.ledger, ["client"], name="ann", password="old")
    bare = await server.client("client", name="bob")
    api = server.api(token)
    key = {"Idempotency-Key": "k"}
    body = {"current": "old", "password": "new"}

    refused = await api.post("me/password", {"current": "guess", "password": "new"})
    none = await bare.post("me/password", {"current": "x", "password": "new"})
    first = await api.post("me/password", body, headers=key)
    again = await api.post("me/password", body, headers=key)

    assert (refused.status, none.status, first.status) == (403, 403, 200)
    assert (again.status, again.body, again.headers["Idempotent-Replayed"]) == (200, first.body, "true")


async def test_guesses_at_a_name_are_bounded(server: Server, access: Access, clock: Clock) -> None:
    """Alike for one that there is and one that there is not; then one each half minute. Tokens, and others, are not held up."""
    burst, interval_s = FAILURES_OF_NAME
    token = await add_principal(server.ledger, ["client"], name="ann", password="secret")
    await add_principal(server.ledger, ["client"], name="bob", password="secret")

    for name in (f"ann@{ORG}", f"nobody@{ORG}"):
        statuses = [await get(server, name, f"guess {it}") for it in range(burst + 1)]
        assert statuses == [401] * burst + [429], name
    told = await Api(server.session, server.url, headers=basic(f"ann@{ORG}", "secret")).get("jobs")
    assert (told.status, told.headers["Retry-After"]) == (429, str(int(interval_s)))
    assert (told.document["code"], told.document["retry_after_s"]) == ("too_many_attempts", int(interval_s))
    assert told.headers["Content-Type"] == "application/problem+json"

    assert await get(server, f"bob@{ORG}", "secret") == 200
    assert (await server.api(token).get("jobs")).status == 200
    clock.now += interval_s
    assert await get(server, f"ann@{ORG}", "guess") == 401
    assert await get(server, f"ann@{ORG}", "secret") == 429
    clock.now += interval_s
    assert [await get(server, f"ann@{ORG}", "secret") for _ in range(3)] == [200] * 3


async def test_one_who_was_let_in_is_not_held_up_by_others_guesses(
    server: Server, access: Access, clock: Clock
) -> None:
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    assert await get(server, f"ann@{ORG}", "secret") == 200

    statuses = [await get(server, f"ann@{ORG}", f"guess {it}") for it in range(FAILURES_OF_NAME[0] + 1)]

    assert statuses[-1] == 429
    assert await get(server, f"ann@{ORG}", "secret") == 200


async def test_one_whose_password_was_right_before_is_not_taken_for_a_guesser(
    server: Server, access: Access, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long after it was last verified; with another password it is."""
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    assert await get(server, f"ann@{ORG}", "secret") == 200
    later = monotonic() + 10 * access_module.VERIFIED_S
    monkeypatch.setattr(access_module, "monotonic", lambda: later)
    for number in range(FAILURES_OF_NAME[0] + 1):
        last = await get(server, f"ann@{ORG}", f"guess {number}")

    assert last == 429
    assert await get(server, f"ann@{ORG}", "secret") == 200
    assert await get(server, f"ann@{ORG}", "other") == 429


async def test_a_long_request_goes_on_for_as_long_as_its_caller_is_let_in(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its lines is decided by what the caller may do when it comes; it is asked again after a second."""
    moment = monotonic()
    monkeypatch.setattr(standing_module, "monotonic", lambda: moment)
    api = await server.client("client", name="ann")
    job_id = await api.register_running()
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        while line := await lines.get():
            yield line

    async def read() -> None:
        headers = {**api.headers, "Content-Type": NDJSON}
        async with api.session.post(api.path("commands"), data=body(), headers=headers) as response:
            async for line in response.content:
                answers.put_nowait(line)

    async def status_of_next() -> int:
        lines.put_nowait(orjson.dumps({"command": "heartbeat", "id": job_id}) + b"\n")
        status: int = orjson.loads(await answers.get())["status"]
        return status

    reading = asyncio.create_task(read())
    itself = ledger_itself(ORG)
    assert await status_of_next() == 200
    await server.ledger.execute(ChangePrincipal(caller=itself, principal="ann", roles=("auditor",)))
    assert await status_of_next() == 200
    moment += standing_module.ASK_AGAIN_S
    assert await status_of_next() == 403
    await server.ledger.execute(ChangePrincipal(caller=itself, principal="ann", roles=("client",)))
    moment += standing_module.ASK_AGAIN_S
    assert await status_of_next() == 200
    await server.ledger.execute(RevokeTokens(caller=itself, principal="ann"))
    moment += standing_module.ASK_AGAIN_S
    assert await status_of_next() == 401
    # The answer ends with it, whatever else would be sent.
    await reading


async def test_guesses_at_once_are_as_bounded_as_one_after_the_other(
    server: Server, access: Access, clock: Clock
) -> None:
    await add_principal(server.ledger, ["client"], name="ann", password="secret")

    statuses = await asyncio.gather(*(get(server, f"ann@{ORG}", f"guess {it}") for it in range(30)))

    assert sorted(statuses) == [401] * FAILURES_OF_NAME[0] + [429] * (30 - FAILURES_OF_NAME[0])


async def test_guesses_at_many_names_from_one_address_are_bounded(access: Access, clock: Clock) -> None:
    """Whatever address of its network a client takes; another network is not held up."""
    for number in range(FAILURES_FROM_ADDRESS[0]):
        assert await access.by_password(f"ann{number}@{ORG}", "guess", ORG, f"2001:db8::{number:x}") is None

    with pytest.raises(TooManyAttemptsError):
        await access.by_password(f"ann@{ORG}", "guess", ORG, "2001:db8::ffff")
    assert await access.by_password(f"ann@{ORG}", "guess", ORG, "2001:db9::1") is None


async def test_a_name_is_not_found_out_by_where_it_is_held_up(server: Server, access: Access, clock: Clock) -> None:
    """A bare name is looked for in two orgs: it is held up in both, whether one of them has it or not."""
    await server.ledger.create_org("default")
    await add_principal(server.ledger, ["client"], name="ann", password="secret", org="default")

    for name in ("ann", "nobody"):
        burst = [await get(server, name, f"guess {it}") for it in range(FAILURES_OF_NAME[0])]
        held_up = [
            await get(server, *it) for it in ((name, "x", "other"), (f"{name}@default", "x"), (f"{name}@acme", "x"))
        ]
        assert (set(burst), held_up) == ({401}, [429] * 3), name


@pytest.fixture
def slow_hasher(access: Access, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Passwords are verified once this is set."""
    goes_on = threading.Event()

    class SlowHasher(PasswordHasher):
        at_once = most_at_once = verified = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - argon2 calls it so
            cls = type(self)
            cls.at_once += 1
            cls.most_at_once = max(cls.most_at_once, cls.at_once)
            goes_on.wait(10)
            cls.verified += 1
            cls.at_once -= 1
            return super().verify(hash, password)

    monkeypatch.setattr(access, "_hasher", SlowHasher(time_cost=1, memory_cost=8, parallelism=1))
    monkeypatch.setattr(access, "_by_name", Throttle(10**6, 1.0))
    monkeypatch.setattr(access, "_by_address", Throttle(10**6, 1.0))
    yield goes_on
    goes_on.set()


async def test_two_are_hashed_at_once_and_few_wait(
    server: Server, access: Access, slow_hasher: threading.Event
) -> None:
    """Who comes then is told to come back; requests with tokens go on meanwhile: nothing hashes in the event loop."""
    token = await add_principal(server.ledger, ["client"], name="ann", password="secret")
    room = HASHING_AT_ONCE + MOST_WAITING
    waiting = [asyncio.create_task(get(server, f"ann@{ORG}", f"guess {it}")) for it in range(room + 5)]
    refused, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)

    assert (await server.api(token).get("jobs")).status == 200
    slow_hasher.set()
    statuses = await asyncio.gather(*waiting)

    assert {it.result() for it in refused} == {503}
    assert sorted(statuses) == [401] * room + [503] * 5
    assert access._hasher.most_at_once == HASHING_AT_ONCE  # type: ignore[attr-defined]


async def test_many_requests_with_one_login_cost_one_hash(
    server: Server, access: Access, slow_hasher: threading.Event
) -> None:
    """The others wait for the first, also where its client goes away."""
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    requests = [asyncio.create_task(access.by_password(f"ann@{ORG}", "secret", ORG)) for _ in range(50)]
    while not access._hasher.at_once:  # type: ignore[attr-defined]
        await asyncio.sleep(0.001)

    requests.pop(0).cancel()
    slow_hasher.set()

    assert all(await asyncio.gather(*requests))
    assert access._hasher.verified == 1  # type: ignore[attr-defined]


async def test_a_password_that_changes_while_it_is_verified_issues_no_token(
    server: Server, access: Access, slow_hasher: threading.Event
) -> None:
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    login = asyncio.create_task(access.login(f"ann@{ORG}", "secret", via="fetches"))
    while not access._hasher.at_once:  # type: ignore[attr-defined]
        await asyncio.sleep(0.001)

    await server.ledger.execute(
        SetPassword(
            caller=ledger_itself(ORG), principal="ann", credential=uuid4(), password_hash=WEAK_HASHER.hash("new")
        )
    )
    slow_hasher.set()

    assert await login is None


@given(
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60),
    st.integers(1, 5),
    st.floats(0.5, 30),
)
def test_no_more_fail_than_the_throttle_says(steps: list[tuple[float, bool]], burst: int, interval_s: float) -> None:
    """In any stretch of time there are at most the burst and one each interval, whatever succeeds in between."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(throttle_module, "monotonic", clock)
        throttle = Throttle(burst, interval_s)
        failed_at: list[float] = []
        for pause_s, succeeds in steps:
            clock.now += pause_s
            if throttle.wait_s("ann"):
                continue
            throttle.count("ann")
            if succeeds:
                throttle.forgive("ann")
            else:
                failed_at.append(clock.now)

    for first, begin in enumerate(failed_at):
        for number, end in enumerate(failed_at[first:], 1):
            assert number <= burst + (end - begin) / interval_s + 1e-6


def test_the_throttle_remembers_so_many() -> None:
    throttle = Throttle(1, 1000.0)
    for number in range(MOST_REMEMBERED + 10):
        throttle.count(number)

    assert throttle.wait_s(MOST_REMEMBERED) > timedelta(minutes=10).total_seconds()
    assert throttle.wait_s(5) == 0


def test_what_a_client_can_choose_from() -> None:
    assert network_of("192.0.2.9") == network_of("::ffff:192.0.2.9") != network_of("192.0.2.8")
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::%eth0") != network_of("2001:db8:1:3::1")
    assert network_of("unix") == "unix"
