"""Two orgs with the same jobs, names and principals cannot see, change or detect each other; nor can those without a right.

Every route of the application is walked, each by a connection of its own, and the whole answers are compared, byte for byte:
status, headers in their order, body. Only what is another each time is made the same: the request's id and the date.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import pytest
from argon2 import PasswordHasher

from jobledger.http.access import Access
from jobledger.http.context import ACCESS
from jobledger.http.throttle import Throttle
from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from jobledger.ledger.domain.access_commands import DisablePrincipal
from jobledger.ledger.domain.credential_commands import RevokeTokens
from jobledger.ledger.store.ledger import ledger_itself
from tests.cluster import session
from tests.http.serving import OWNER_PASSWORD, Server, add_principal, new_token
from tests.http.targets import TARGETS, TOKEN_ID, Target
from tests.world import ORG

TWIN = "twin"
NOWHERE = "none"
ABSENT_TOKEN_ID = TOKEN_ID[:-1] + "0"
PASSWORD = "of somebody"

DATE = re.compile(rb"(?<=\r\nDate: )[^\r]+")
REQUEST_ID = re.compile(rb"(?<=\r\nX-Request-Id: )[0-9a-f-]{36}")
INSTANCE = re.compile(rb"(?<=urn:uuid:)[0-9a-f-]{36}")


def masked(answer: bytes) -> bytes:
    """The answer without its date and its request's id."""
    return INSTANCE.sub(b"ID", REQUEST_ID.sub(b"ID", DATE.sub(b"DATE", answer)))


@dataclass
class Walk:
    """A server with two orgs that hold the same, and who speaks there. ``owners`` are the tokens of those who may do all."""

    server: Server
    database_url: str
    owners: dict[str, str]

    async def exchange(self, target: Target, authorization: str | None, path: str, method: str | None = None) -> bytes:
        """The whole answer to the target's request on *path*, by a connection of its own."""
        body = target.body or b""
        lines = [f"{method or target.method} {path} HTTP/1.1", "Host: ledger", "Connection: close"]
        if authorization is not None:
            lines.append(f"Authorization: {authorization}")
        if body:
            lines += [f"Content-Type: {target.media_type}", f"Content-Length: {len(body)}"]
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer

    async def same(
        self,
        target: Target,
        authorization: str | None,
        status: int,
        there: str,
        elsewhere: str,
        method: str | None = None,
    ) -> bytes:
        """What is answered with *status* on both paths: it tells nothing of either."""
        answers = [masked(await self.exchange(target, authorization, path, method)) for path in (there, elsewhere)]
        assert answers[0].startswith(b"HTTP/1.1 %d " % status), (str(target), answers[0])
        assert answers[0] == answers[1], f"{target}: {there} and {elsewhere} differ"
        return answers[0]

    async def sizes(self) -> list[int]:
        """How many events the orgs have."""
        return [(await self.server.ledger.recorder.head(org)).size for org in (ORG, TWIN)]


@pytest.fixture
async def walk(server: Server, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """Both orgs with the same jobs, of two domains, and the same principals by number, name and password."""
    ledger = server.ledger
    await ledger.create_org(TWIN)
    owners = {}
    for org in (ORG, TWIN):
        owners[org] = await add_principal(
            ledger, list(CAPABILITIES_BY_ROLE), org=org, name="owner", password=OWNER_PASSWORD
        )
        await add_principal(ledger, ["client"], org=org, name="bob", password="secret", credential=UUID(TOKEN_ID))
        api = server.api(owners[org], org=org)
        await api.register_running()
        await api.register(domain="Sales")
        await api.draw()
        await api.post("holds", {"name": "case 6", "reason": "a lawsuit", "filter": {"type": "none"}})
    # What is compared is not how often, nor how long.
    access: Access = server.app[ACCESS]
    monkeypatch.setattr(access, "_by_name", Throttle(10**6, 1.0))
    monkeypatch.setattr(access, "_by_address", Throttle(10**6, 1.0))
    monkeypatch.setattr(access, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return Walk(server, database_url, owners)


def absent(target: Target) -> str:
    """The target's path with ids that nothing has, as long as those that something has."""
    path = target.pattern.replace("{org}", ORG).replace("{job_id}", "9").replace("{principal_id}", "9")
    for name in ("{hold_id}", "{diagram_id}", "{template_id}", "{number}"):
        path = path.replace(name, "9")
    return path.replace("{token_id}", ABSENT_TOKEN_ID).replace("{verb}", target.last)


def in_org(target: Target, org: str) -> str:
    """The target's path in another org."""
    return target.path.replace(f"/{ORG}/", f"/{org}/", 1)


def basic(login: str, password: str) -> str:
    """The header of HTTP Basic."""
    return "Basic " + b64encode(f"{login}:{password}".encode()).decode()


async def expired(walk: Walk) -> str:
    """The header with a token that has expired."""
    token = await add_principal(walk.server.ledger, ["admin"], name="late")
    async with session(walk.database_url) as owner:
        await owner.execute(
            "UPDATE credential SET expires_at = clock_timestamp() WHERE principal_id = 3 AND kind = 'token'"
        )
    return f"Bearer {token}"


async def revoked(walk: Walk) -> str:
    """The header with a token that was revoked."""
    token = await add_principal(walk.server.ledger, ["admin"], name="late")
    await walk.server.ledger.execute(RevokeTokens(caller=ledger_itself(ORG), principal="late"))
    return f"Bearer {token}"


async def of_a_disabled_principal(walk: Walk) -> str:
    """The header with a token of a principal that was disabled."""
    token = await add_principal(walk.server.ledger, ["admin"], name="late")
    await walk.server.ledger.execute(DisablePrincipal(caller=ledger_itself(ORG), principal="late"))
    return f"Bearer {token}"


async def password_of_a_disabled_principal(walk: Walk) -> str:
    """The header with a password of a principal that was disabled."""
    await add_principal(walk.server.ledger, ["admin"], name="late", password=PASSWORD)
    await walk.server.ledger.execute(DisablePrincipal(caller=ledger_itself(ORG), principal="late"))
    return basic(f"late@{ORG}", PASSWORD)


async def token_of_the_twin_renamed(walk: Walk) -> str:
    """The header with the twin's token, said to be of the other org."""
    return "Bearer " + walk.owners[TWIN].replace(TWIN, ORG)


INVALID: dict[str, Callable[[Walk], object] | str | None] = {
    "no token": None,
    "a bad one": f"Bearer {new_token()}",
    "one of an org that there is not": f"Bearer {new_token(NOWHERE)}",
    "what is no token": "Bearer x",
    "an expired one": expired,
    "a revoked one": revoked,
    "one of a disabled principal": of_a_disabled_principal,
    "a password of a disabled principal": password_of_a_disabled_principal,
    "one of the twin's by another name": token_of_the_twin_renamed,
    "a wrong password": basic(f"owner@{ORG}", "wrong"),
    "a name that nobody has": basic(f"nobody@{ORG}", OWNER_PASSWORD),
    "a name of an org that there is not": basic(f"owner@{NOWHERE}", OWNER_PASSWORD),
    "a bare name that nobody has": basic("nobody", OWNER_PASSWORD),
}


@pytest.mark.parametrize("shown", INVALID)
async def test_who_shows_nothing_valid_learns_nothing(walk: Walk, shown: str) -> None:
    """The same 401 on every route, in an org that there is and in one that there is not, for ids that there are and are not."""
    given = INVALID[shown]
    authorization = await given(walk) if callable(given) else given  # type: ignore[misc]
    sizes = await walk.sizes()

    answers = set()
    for target in TARGETS:
        answers.add(await walk.same(target, authorization, 401, target.path, in_org(target, NOWHERE)))
        answers.add(await walk.same(target, authorization, 401, absent(target), in_org(target, TWIN)))

    assert len(answers) == 1
    assert await walk.sizes() == sizes


@pytest.mark.parametrize("shown", ["token", "password"])
async def test_an_org_is_not_there_for_those_of_another(walk: Walk, shown: str) -> None:
    """The same 404 on every route and by every method, as in an org that there is not, whatever the ids."""
    authorization = f"Bearer {walk.owners[TWIN]}" if shown == "token" else basic(f"owner@{TWIN}", OWNER_PASSWORD)
    sizes = await walk.sizes()

    answers = set()
    for target in TARGETS:
        answers.add(await walk.same(target, authorization, 404, target.path, in_org(target, NOWHERE)))
        answers.add(await walk.same(target, authorization, 404, absent(target), f"/ledger/v1/{ORG}/nothing"))
        answers.add(await walk.same(target, authorization, 404, target.path, in_org(target, NOWHERE), "PUT"))
        if target.method == "GET":
            await walk.same(target, authorization, 404, target.path, in_org(target, NOWHERE), "HEAD")

    assert len(answers) == 1
    assert await walk.sizes() == sizes


async def test_without_the_capability_nothing_is_told_of_what_there_is(walk: Walk) -> None:
    """The same 403 for ids that there are and that there are not."""
    token = await add_principal(walk.server.ledger, [], name="late")
    sizes = await walk.sizes()

    for target in TARGETS:
        if target.is_commands:
            # Each of its lines is answered for itself.
            assert b'"status":403' in await walk.same(target, f"Bearer {token}", 200, target.path, target.path)
        elif not target.is_for_everybody:
            await walk.same(target, f"Bearer {token}", 403, target.path, absent(target))

    assert await walk.sizes() == sizes


async def test_a_job_outside_the_domain_is_as_absent_as_one_that_there_is_not(walk: Walk) -> None:
    """And who may see some domains only is told nothing of principals and tokens, whatever its capabilities."""
    token = await add_principal(
        walk.server.ledger, list(CAPABILITIES_BY_ROLE), name="late", home_domain="Sales", domains=("Sales",)
    )
    sizes = await walk.sizes()

    for target in TARGETS:
        if "{job_id}" in target.pattern:
            # The id that was asked for is told in both.
            there = masked(await walk.exchange(target, f"Bearer {token}", target.path))
            elsewhere = masked(await walk.exchange(target, f"Bearer {token}", absent(target)))
            assert there.startswith(b"HTTP/1.1 404 "), there
            assert there.replace(b"job 1.", b"job 9.").replace(b'"job_id":1}', b'"job_id":9}') == elsewhere
        elif "/principals" in target.path or "/tokens" in target.path:
            await walk.same(target, f"Bearer {token}", 403, target.path, absent(target))

    assert await walk.sizes() == sizes


async def test_what_is_done_in_one_org_is_not_there_in_the_other(walk: Walk) -> None:
    """Every route is used in the one; every answer of the other stays what it was, byte for byte."""
    reads = [it for it in TARGETS if it.method == "GET"]

    async def all_of_the_twin() -> list[bytes]:
        shown = f"Bearer {walk.owners[TWIN]}"
        return [masked(await walk.exchange(it, shown, in_org(it, TWIN))) for it in reads]

    before = await all_of_the_twin()
    sizes = await walk.sizes()
    for target in sorted(TARGETS, key=lambda it: it.last in ("revoke", "revoke_tokens")):
        await walk.exchange(target, f"Bearer {walk.owners[ORG]}", target.path)

    assert all(it.startswith(b"HTTP/1.1 200 ") for it in before)
    assert await all_of_the_twin() == before
    grown, same = await walk.sizes()
    assert grown > sizes[0] + len(TARGETS) // 4
    assert same == sizes[1]


async def test_orgs_that_hold_the_same_answer_the_same(walk: Walk) -> None:
    """Nothing in an answer depends on what another org holds: but for its name, times and hashes they are alike."""
    for target in TARGETS:
        if target.method != "GET":
            continue
        answers = [
            await walk.server.api(token, org=org).send(target.method, walk.server.url + in_org(target, org))
            for org, token in walk.owners.items()
        ]
        shown = [it.shown.replace(f'"{org}"', '"ORG"') for it, org in zip(answers, walk.owners, strict=True)]
        assert shown[0] == shown[1], str(target)
        assert answers[0].headers.keys() == answers[1].headers.keys()
