"""Who is let in, and what each may see and do."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from hashlib import sha256
from time import monotonic

import pytest
from argon2 import PasswordHasher

from jobledger.http import access
from jobledger.ledger.domain.access_commands import DisablePrincipal
from jobledger.ledger.store.ledger import ledger_itself
from tests.cluster import session
from tests.http.serving import NDJSON, WEAK_HASHER, Api, Server, add_principal
from tests.world import ORG


def basic(login: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"Authorization": "Basic " + b64encode(f"{login}:{password}".encode()).decode()}


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a password was hashed, to verify it or in place of one that there is not."""
    counts: Counter[str] = Counter()
    hash_it, verify = PasswordHasher.hash, PasswordHasher.verify

    def count_hash(self: PasswordHasher, password: str) -> str:
        counts["hash"] += 1
        return hash_it(self, password)

    def count_verify(self: PasswordHasher, stored: str, password: str) -> bool:
        counts["verify"] += 1
        return verify(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "hash", count_hash)
    monkeypatch.setattr(PasswordHasher, "verify", count_verify)
    return counts


async def get(server: Server, headers: dict[str, str], org: str = ORG) -> int:
    """The status of the list of jobs."""
    return (await Api(server.session, server.url, org, headers).get("jobs")).status


async def test_a_login_is_a_name_or_a_name_and_an_org(server: Server) -> None:
    """A bare name is one of the path's org, else of ``default``."""
    await server.ledger.create_org("default")
    await add_principal(server.ledger, ["client"], name="ann", password="in acme")
    await add_principal(server.ledger, ["admin"], name="ann", password="in default", org="default")
    await add_principal(server.ledger, ["admin"], name="root", password="secret", org="default")

    answers = {
        (login, password, org): await get(server, basic(login, password), org)
        for login, password, org in (
            ("ann", "in acme", ORG), ("ann@acme", "in acme", ORG), ("ann", "in default", ORG),
            ("ann@default", "in default", "default"), ("ann", "in default", "default"), ("ann@default", "in default", ORG),
            ("ann@acme", "in acme", "default"), ("root", "secret", ORG), ("root", "secret", "default"),
            ("root@acme", "secret", ORG), ("root", "secret", "nowhere"), ("ann@nowhere", "in acme", ORG),
            ("root@acme@default", "secret", "default"), ("ANN", "in acme", ORG), ("ann ", "in acme", ORG),
        )
    }  # fmt: skip

    assert answers == {
        ("ann", "in acme", ORG): 200,
        ("ann@acme", "in acme", ORG): 200,
        # As where the path's org has no ann: that it has one is told to nobody.
        ("ann", "in default", ORG): 404,
        ("ann@default", "in default", "default"): 200,
        ("ann", "in default", "default"): 200,
        ("ann@default", "in default", ORG): 404,
        ("ann@acme", "in acme", "default"): 404,
        # Known, but of another org.
        ("root", "secret", ORG): 404,
        ("root", "secret", "default"): 200,
        ("root@acme", "secret", ORG): 401,
        ("root", "secret", "nowhere"): 404,
        ("ann@nowhere", "in acme", ORG): 401,
        ("root@acme@default", "secret", "default"): 401,
        ("ANN", "in acme", ORG): 401,
        ("ann ", "in acme", ORG): 401,
    }


async def test_a_bare_login_tells_nothing_of_other_orgs(server: Server, hashed: Counter[str]) -> None:
    """Neither which there are nor who is in them: the same bytes at the same cost, whether it is a login of ``default`` or none."""
    for org in ("default", "globex"):
        await server.ledger.create_org(org)
    for org in ("default", ORG):
        await add_principal(server.ledger, ["admin"], name="admin", password=f"in {org}", org=org)
    await add_principal(server.ledger, ["admin"], name="gone", password="secret")
    await server.ledger.execute(DisablePrincipal(caller=ledger_itself(ORG), principal="gone"))

    for login, password, status in (
        *(("admin", "in default", 404),) * 2, ("admin", "wrong", 401), ("gone", "secret", 401), ("nobody", "x", 401),
    ):  # fmt: skip
        told = set()
        for org in (ORG, "globex", "nosuch"):
            hashed.clear()
            reply = await Api(server.session, server.url, org, basic(login, password)).get("jobs")
            headers = [it for it in reply.headers.items() if it[0] not in ("Date", "X-Request-ID")]
            told.add((reply.status, *headers, reply.shown, hashed.total()))
        assert {it[0] for it in told} == {status}
        assert len(told) == 1, "\n".join(map(repr, told))


async def test_passwords_of_any_characters(server: Server) -> None:
    for number, password in enumerate(("a:b::c", "grüße ✓ 日本", " ", "x" * 1024, "p\x01w")):
        name = f"ann{number}"
        await add_principal(server.ledger, ["client"], name=name, password=password)

        assert await get(server, basic(name, password)) == 200
        assert await get(server, basic(name, password + "x")) == 401
        assert await get(server, basic(name, password[:-1])) == 401


async def test_the_scheme_is_known_whatever_its_case(server: Server) -> None:
    token = await add_principal(server.ledger, ["client"], name="ann", password="secret")
    _, _, encoded = basic("ann", "secret")["Authorization"].partition(" ")

    for authorization in (f"bearer {token}", f"BEARER   {token}", f"basic {encoded}", f"BASIC {encoded} "):
        assert await get(server, {"Authorization": authorization}) == 200, authorization


async def test_a_principal_without_a_password_has_none_that_is_right(server: Server) -> None:
    await add_principal(server.ledger, ["client"], name="ann")

    for password in ("", "None", "null", "x"):
        assert await get(server, basic("ann", password)) == 401


async def test_an_unknown_name_costs_a_hash_as_a_known_one_does(server: Server, hashed: Counter[str]) -> None:
    """So that nobody learns by the time it takes who there is. A bare name is tried in the path's org and in default."""
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    await add_principal(server.ledger, ["client"], name="bob")
    hashed.clear()

    for login in ("ann", "nobody", "bob", "ann@nowhere", "nobody@acme"):
        assert await get(server, basic(login, "wrong")) == 401
        assert hashed.total() == (1 if "@" in login else 2), login
        hashed.clear()


async def test_a_password_is_hashed_once_in_a_while(server: Server, hashed: Counter[str]) -> None:
    """Not for each request, but for each way of saying the login; a wrong one always."""
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    hashed.clear()

    for _ in range(3):
        assert await get(server, basic("ann", "secret")) == 200
        assert await get(server, basic("ann@acme", "secret")) == 200
    assert hashed["verify"] == 2
    for _ in range(3):
        assert await get(server, basic("ann", "wrong")) == 401
    assert hashed["verify"] == 5


async def test_a_password_that_was_changed_is_wrong_at_once(
    server: Server, hashed: Counter[str], database_url: str
) -> None:
    await add_principal(server.ledger, ["client"], name="ann", password="old")
    assert await get(server, basic("ann", "old")) == 200

    async with session(database_url) as owner:
        await owner.execute("UPDATE credential SET hash = $1 WHERE kind = 'password'", WEAK_HASHER.hash("new").encode())

    assert await get(server, basic("ann", "old")) == 401
    assert await get(server, basic("ann", "new")) == 200


async def test_what_was_verified_is_forgotten_after_a_while(
    server: Server, hashed: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    hashed.clear()
    assert await get(server, basic("ann", "secret")) == 200
    later = monotonic() + access.VERIFIED_S + 1
    monkeypatch.setattr(access, "monotonic", lambda: later)

    assert await get(server, basic("ann", "secret")) == 200
    assert hashed["verify"] == 2


async def test_a_hash_that_cannot_be_read_lets_nobody_in(server: Server, database_url: str) -> None:
    await add_principal(server.ledger, ["client"], name="ann", password="secret")
    async with session(database_url) as owner:
        await owner.execute("UPDATE credential SET hash = 'secret' WHERE kind = 'password'")

    assert await get(server, basic("ann", "secret")) == 401


async def test_a_token_removed_lets_nobody_in_any_more(server: Server, database_url: str) -> None:
    """At once: nothing about tokens is remembered."""
    token = await add_principal(server.ledger, ["client"])
    headers = {"Authorization": f"Bearer {token}"}
    assert await get(server, headers) == 200

    async with session(database_url) as owner:
        await owner.execute("UPDATE credential SET expires_at = clock_timestamp()")

    assert await get(server, headers) == 401


async def test_secrets_are_stored_as_hashes_alone(server: Server, database_url: str) -> None:
    token = await add_principal(server.ledger, ["client"], name="ann", password="hunter2")

    async with session(database_url) as owner:
        stored = {it["kind"]: it["hash"] for it in await owner.fetch("SELECT kind, hash FROM credential")}
        tables = await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        everything = [
            str(row) for it in tables for row in await owner.fetch(f'SELECT t::text FROM "{it["tablename"]}" AS t')
        ]

    assert stored["token"] == sha256(token.encode()).digest()
    assert stored["password"].startswith(b"$argon2id$")
    for secret in (token, "hunter2"):
        for form in (secret, secret.encode().hex(), b64encode(secret.encode()).decode()):
            assert not [row for row in everything if form in row]


async def test_a_principal_sees_the_jobs_of_its_domains(server: Server, api: Api) -> None:
    """Another's is not there: neither in a list, nor by its id, nor to be changed."""
    sales = await server.client("operator", home_domain="Sales", domains=("Sales", "Support"))
    for domain in ("Global", "Sales", "Support", "Finance"):
        await api.register(domain=domain)
        await api.register(domain=domain, preceding_job_id=1)

    assert await sales.job_ids() == [3, 4, 5, 6]
    assert await sales.job_ids({"domain": "Support"}) == [5, 6]
    assert await sales.job_ids({"domain": "Global"}) == []
    for job_id in (1, 2, 7, 8):
        absent = await sales.get("jobs/99")
        for reply in (
            await sales.get(f"jobs/{job_id}"),
            await sales.get(f"jobs/{job_id}/events"),
            *[
                await sales.post(f"jobs/{job_id}/{verb}", {"stage": "x"} if verb == "stage" else None)
                for verb in ("start", "stage", "progress", "heartbeat", "succeed", "fail", "cancel")
            ],
        ):
            assert reply.status == 404
            assert reply.shown == absent.shown.replace("99", str(job_id))
    [outcome] = (await sales.commands({"command": "start", "id": 1})).lines
    assert outcome["status"] == 404
    assert (await sales.get("jobs/3/events")).status == 200
    assert (await sales.post("jobs/3/start")).status == 200


async def test_a_principal_registers_in_its_domains_alone(server: Server) -> None:
    sales = await server.client("client", home_domain="Sales", domains=("Sales", "Support"))

    refused = await sales.post("jobs", {"type": "t", "name": "n", "domain": "Global"})
    job_id = await sales.register()
    other = await sales.register(domain="Support")

    assert (refused.status, refused.document["domain"]) == (403, "Global")
    assert (await sales.job(job_id))["domain"] == "Sales"
    assert (await sales.job(other))["domain"] == "Support"


async def test_what_a_job_stands_behind_must_be_seen(server: Server, api: Api) -> None:
    sales = await server.client("client", home_domain="Sales", domains=("Sales",))
    await api.register(source="cron", external_id="x")

    for members in (
        {"preceding_job_id": 1},
        {"required_job_ids": [1]},
        {"retry_of_job_id": 1},
    ):
        reply = await sales.post("jobs", {"type": "t", "name": "n", **members})
        assert (reply.status, reply.document["job_id"]) == (404, 1)
    by_name = await sales.post(
        "jobs", {"type": "t", "name": "n", "source": "cron", "external_id": "y", "preceding_external_id": "x"}
    )
    assert by_name.status == 404


async def test_events_of_the_whole_org_are_for_those_who_see_all_of_it(server: Server) -> None:
    sales = await server.client("auditor", "operator", home_domain="Sales", domains=("Sales",))
    auditor = await server.client("auditor")

    refused = await sales.get("events")
    streamed = await sales.get("events", headers={"Accept": NDJSON})

    assert (refused.status, refused.document["code"]) == (403, "not_allowed")
    assert streamed.status == 403
    assert (await auditor.get("events")).status == 200


@pytest.mark.parametrize(
    ("role", "reads", "registers", "updates", "cancels"),
    [
        ("auditor", 200, 403, 403, 403),
        ("client", 200, 201, 200, 200),
        ("operator", 200, 201, 200, 200),
        ("compliance", 200, 403, 403, 403),
        ("admin", 200, 201, 200, 200),
    ],
)
async def test_what_each_role_may_do(
    server: Server, api: Api, role: str, reads: int, registers: int, updates: int, cancels: int
) -> None:
    await api.register()
    somebody = await server.client(role)

    statuses = [
        (await somebody.get("jobs")).status,
        (await somebody.get("jobs/1")).status,
        (await somebody.get("jobs/1/events")).status,
        (await somebody.get("events")).status,
        (await somebody.post("jobs", {"type": "t", "name": "n"})).status,
        (await somebody.post("jobs/1/start")).status,
        (await somebody.post("jobs/1/cancel")).status,
    ]

    assert statuses == [reads] * 4 + [registers, updates, cancels]
