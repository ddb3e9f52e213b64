"""Orgs, principals, tokens; and that no secret is kept anywhere (invariant 8)."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from argon2 import PasswordHasher

from jobledger.ledger.domain.access import (
    CAPABILITIES_BY_ROLE,
    RESERVED_ORG_NAMES,
    Principal,
    capabilities_of,
    must_be_org_name,
)
from jobledger.ledger.domain.access_commands import AddPrincipal
from jobledger.ledger.domain.credential_commands import IssueToken
from jobledger.ledger.errors import (
    InvalidCommandError,
    NameIsTakenError,
    NotAllowedError,
    NotFoundError,
)
from jobledger.ledger.postgres.postmaster import binaries_folder
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from tests.cluster import session
from tests.world import ALICE, CLIENT, ORG, idempotency

PASSWORD = "correct horse battery staple"
ITSELF = ledger_itself(ORG)


def add(name: str, *, roles: tuple[str, ...] = ("client",), **members: Any) -> AddPrincipal:
    return AddPrincipal(caller=ITSELF, name=name, roles=roles, **members)


def issue(name: str, token: str = "a token", **members: Any) -> IssueToken:
    digest = sha256(token.encode()).digest()
    return IssueToken(caller=ITSELF, principal=name, credential=uuid4(), token_hash=digest, **members)


async def principal(ledger: Ledger, number: int) -> Principal:
    found = await ledger.aggregate(ORG, f"principal-{number}")
    assert isinstance(found, Principal)
    return found


async def test_a_principal_is_added_with_roles_and_domains(ledger: Ledger) -> None:
    """Numbers are dense from 1; no domains named are all, an empty list of them is none."""
    outcomes = [
        await ledger.execute(add("alice", roles=("admin", "compliance"))),
        await ledger.execute(add("bob", domains=("Sales", "Global"), home_domain="Sales")),
        await ledger.execute(add("carol", domains=())),
    ]

    assert [it.result for it in outcomes] == [
        {"id": n, "name": name, "version": 1} for n, name in ((1, "alice"), (2, "bob"), (3, "carol"))
    ]
    found = [await principal(ledger, n) for n in (1, 2, 3)]
    assert [it.roles for it in found] == [["admin", "compliance"], ["client"], ["client"]]
    assert [it.domains for it in found] == [None, ["Sales", "Global"], []]
    assert [it.home_domain for it in found] == ["Global", "Sales", "Global"]


async def test_a_name_is_taken_once(ledger: Ledger) -> None:
    """Also by two at once."""
    await ledger.execute(add("alice"))
    with pytest.raises(NameIsTakenError):
        await ledger.execute(add("alice"))

    results = await asyncio.gather(*(ledger.execute(add("bob")) for _ in range(5)), return_exceptions=True)
    assert [type(it).__name__ for it in results] == ["Outcome"] + ["NameIsTakenError"] * 4


@pytest.mark.parametrize("name", ["", ".hidden", "a b", "ä", "a" * 65, "a\n", "a@b", "a/b"])
async def test_a_bad_name_is_refused(ledger: Ledger, name: str) -> None:
    with pytest.raises(InvalidCommandError):
        await ledger.execute(add(name))


async def test_an_unknown_role_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidCommandError):
        await ledger.execute(add("alice", roles=("client", "emperor")))


async def test_adding_principals_and_issuing_tokens_need_capabilities(ledger: Ledger) -> None:
    for command in (add("alice"), issue("alice")):
        command.caller = CLIENT
        with pytest.raises(NotAllowedError):
            await ledger.execute(command)


async def test_a_token_is_issued_to_a_principal_by_name(ledger: Ledger) -> None:
    """Also to one that was added in the same batch; not to one that is not there, nor already expired."""
    expires_at = datetime.now(UTC) + timedelta(hours=12)

    added, issued = await asyncio.gather(
        ledger.execute(add("alice")), ledger.execute(issue("alice", expires_at=expires_at))
    )

    assert issued.result["id"] == added.result["id"]
    with pytest.raises(NotFoundError):
        await ledger.execute(issue("bob"))
    with pytest.raises(InvalidCommandError):
        await ledger.execute(issue("alice", expires_at=datetime.now(UTC) - timedelta(seconds=1)))


async def test_a_token_that_is_somebodys_is_refused(ledger: Ledger) -> None:
    """And its neighbours are not."""
    await ledger.execute(add("alice"))
    await ledger.execute(issue("alice", "same"))

    results = await asyncio.gather(
        ledger.execute(issue("alice", "first")),
        ledger.execute(issue("alice", "same")),
        ledger.execute(issue("alice", "last")),
        return_exceptions=True,
    )

    assert [isinstance(it, Exception) for it in results] == [False, True, False]


@pytest.mark.parametrize("name", ["", "Acme", "1a", "a_b", "a" * 42, "a\n", "ä", *sorted(RESERVED_ORG_NAMES)])
def test_an_org_is_not_named_like_that(name: str) -> None:
    with pytest.raises(InvalidCommandError):
        must_be_org_name(name)


async def test_an_org_is_not_made_with_a_bad_name(ledger: Ledger) -> None:
    with pytest.raises(InvalidCommandError):
        await ledger.create_org("Acme")


async def test_an_orgs_name_is_taken_once(ledger: Ledger) -> None:
    with pytest.raises(NameIsTakenError):
        await ledger.create_org(ORG)

    results = await asyncio.gather(*(ledger.create_org("other") for _ in range(3)), return_exceptions=True)
    assert [type(it).__name__ for it in results] == ["Outcome", "NameIsTakenError", "NameIsTakenError"]


async def test_an_org_that_does_not_exist_has_no_ledger(ledger: Ledger) -> None:
    command = add("alice")
    command.caller = replace(ALICE, org="nobody")
    with pytest.raises(NotFoundError):
        await ledger.execute(command)
    with pytest.raises(NotFoundError):
        await ledger.recorder.head("nobody")


def test_roles_grant_what_the_design_says() -> None:
    """Nobody but compliance places holds; admin neither purges, erases, holds nor sets policy; an auditor only reads."""
    admin = CAPABILITIES_BY_ROLE["admin"]
    assert not admin & {"jobs.purge", "jobs.erase", "holds.manage", "policy.manage"}
    assert [role for role, it in CAPABILITIES_BY_ROLE.items() if "holds.manage" in it] == ["compliance"]
    assert {it for it in CAPABILITIES_BY_ROLE["auditor"] if not it.endswith(".read")} == {
        "exports.create",
        "checkpoints.attest",
    }
    assert CAPABILITIES_BY_ROLE["client"] < CAPABILITIES_BY_ROLE["operator"]
    assert capabilities_of(["client", "auditor"]) == CAPABILITIES_BY_ROLE["client"] | CAPABILITIES_BY_ROLE["auditor"]
    assert capabilities_of([]) == frozenset()


async def test_no_secret_is_kept(ledger: Ledger, database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Of a password and a token the database has hashes, in one table; events have no more than a credential's id."""
    caplog.set_level(0)
    token = f"jl_{ORG}_{secrets.token_urlsafe(32)}"
    credential = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    command = add("alice", credential=credential, password_hash=hashed, idempotency=idempotency("k"))

    outcomes = [await ledger.execute(command), await ledger.execute(issue("alice", token))]

    dump = subprocess.run(
        [binaries_folder() / "pg_dump", "--inserts", database_url], capture_output=True, text=True, check=True
    ).stdout
    assert str(credential) in dump
    places = [
        dump,
        dump.encode().hex(),
        caplog.text,
        repr([it.result for it in outcomes]),
        await _everything(database_url),
    ]
    for place in places:
        for secret in (PASSWORD, token):
            assert secret not in place
            assert secret.encode().hex() not in place
    for kept in (hashed, sha256(token.encode()).hexdigest()):
        lines = [line for line in dump.splitlines() if kept in line or kept.encode().hex() in line]
        assert [line.split()[2] for line in lines] == ["public.credential"]


async def _everything(url: str) -> str:
    """All bytes of all tables, read as text as far as they are text."""
    async with session(url) as connection:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await connection.fetch(f'SELECT * FROM "{table["tablename"]}"') for table in tables]
    return "\n".join(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for records in rows
        for record in records
        for value in record.values()
    )
