"""Principals for tests, and what is asked about them."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any
from uuid import uuid4

from jobledger.ledger.domain.access import (
    CAPABILITIES_BY_ROLE,
    LOGGED_IN,
    Principal,
    principal_stream,
)
from jobledger.ledger.domain.access_commands import (
    AddPrincipal,
)
from jobledger.ledger.domain.command import Caller, Outcome
from jobledger.ledger.domain.credential_commands import (
    IssueToken,
    LogIn,
    SetPassword,
)
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from tests.world import ALICE, ORG

ITSELF = ledger_itself(ORG)
ADMIN = replace(ALICE, capabilities=CAPABILITIES_BY_ROLE["admin"])


def token_hash(name: str) -> bytes:
    """A hash of a token."""
    return sha256(name.encode()).digest()


def new(principal: int | str, *, caller: Caller = ITSELF, **members: Any) -> IssueToken:
    """The ledger, or who else, issues a token."""
    given = {"credential": uuid4(), "token_hash": uuid4().bytes * 2, **members}
    return IssueToken(caller=caller, principal=principal, **given)


def set_password(principal: int | str, *, caller: Caller = ITSELF, password_hash: str = "a hash") -> SetPassword:
    """The ledger, or who else, sets a password."""
    return SetPassword(caller=caller, principal=principal, credential=uuid4(), password_hash=password_hash)


async def add(ledger: Ledger, name: str, *roles: str, password: bool = False, **members: Any) -> int:
    """The number of a new principal."""
    shown: dict[str, Any] = {"credential": uuid4(), "password_hash": f"hash of {name}'s"} if password else {}
    outcome = await ledger.execute(AddPrincipal(caller=ITSELF, name=name, roles=roles, **shown, **members))
    number: int = outcome.result["id"]
    return number


async def principal(ledger: Ledger, number: int) -> Principal:
    """The principal as of now."""
    found = await ledger.aggregate(ORG, principal_stream(number))
    assert isinstance(found, Principal)
    return found


async def log_in(ledger: Ledger, number: int) -> Outcome:
    """Log in as one who has just shown the password that there is."""
    who = await principal(ledger, number)
    caller = replace(ALICE, principal=who.id, capabilities=frozenset({LOGGED_IN}))
    return await ledger.execute(
        LogIn(
            caller=caller,
            principal=number,
            credential=uuid4(),
            token_hash=uuid4().bytes * 2,
            shown=who.password or "",
        )
    )


def types(outcome: Outcome) -> list[str]:
    """The types of the events that it made."""
    return [it.type_name for it in outcome.events]
