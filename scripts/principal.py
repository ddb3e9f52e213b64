"""``jobledger principal`` and ``jobledger token``: who may act in an org, and what they show for it."""

from __future__ import annotations

import getpass
import hashlib
import secrets
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from jobledger.ledger.domain.access import AddPrincipal, IssueToken, must_be_org_name
from jobledger.scripts.failure import UsageError
from jobledger.scripts.first_start import hash_password
from jobledger.scripts.opening import command_line_caller, open_ledger
from jobledger.scripts.settings import LONGEST_PASSWORD_BYTES, Settings, must_be_password

TOKEN_BYTES = 32


def ask_password(*, from_stdin: bool) -> str:
    """A new password: the first line of standard input, or asked for twice on a terminal. Raises UsageError."""
    if from_stdin:
        password = sys.stdin.readline(LONGEST_PASSWORD_BYTES + 2).rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if password != getpass.getpass("The same again: "):
            raise UsageError("The two passwords differ.")
    else:
        raise UsageError("There is no terminal to ask for a password on: give --password-stdin or --no-password.")
    must_be_password(password, "The password")
    return password


async def add_principal(
    settings: Settings,
    org: str,
    name: str,
    *,
    roles: tuple[str, ...],
    home_domain: str,
    domains: tuple[str, ...] | None,
    password: str | None,
) -> None:
    """Add a principal to an org."""
    async with open_ledger(settings) as ledger:
        await ledger.execute(
            AddPrincipal(
                caller=command_line_caller(org),
                name=name,
                roles=roles,
                home_domain=home_domain,
                domains=domains,
                credential=None if password is None else uuid4(),
                password_hash=None if password is None else await hash_password(password),
            )
        )
    print(f"Principal {name}@{org} is there.")


async def create_token(settings: Settings, org: str, principal: str, expires_in: timedelta | None) -> None:
    """Issue a token and print it, this once. What is stored is the SHA-256 of its characters."""
    must_be_org_name(org)
    token = f"jl_{org}_{secrets.token_urlsafe(TOKEN_BYTES)}"
    async with open_ledger(settings) as ledger:
        await ledger.execute(
            IssueToken(
                caller=command_line_caller(org),
                principal_name=principal,
                credential=uuid4(),
                token_hash=hashlib.sha256(token.encode()).digest(),
                expires_at=None if expires_in is None else datetime.now(UTC) + expires_in,
            )
        )
    print(token)
