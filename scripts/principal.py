"""``jobledger principal``: who may act in an org."""

from __future__ import annotations

import getpass
import sys
from typing import Any
from uuid import uuid4

from jobledger.ledger.domain.access_commands import (
    AddPrincipal,
    ChangePrincipal,
    DisablePrincipal,
    EnablePrincipal,
)
from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.credential_commands import RemovePassword, SetPassword
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.scripts.failure import UsageError
from jobledger.scripts.first_start import hash_password
from jobledger.scripts.opening import command_line_caller, open_ledger
from jobledger.scripts.settings import LONGEST_PASSWORD_BYTES, Settings, must_be_password

PAGE = 1000


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
    capabilities: tuple[str, ...],
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
                capabilities=capabilities,
                home_domain=home_domain,
                domains=domains,
                credential=None if password is None else uuid4(),
                password_hash=None if password is None else await hash_password(password),
            )
        )
    print(f"Principal {name}@{org} is there.")


async def change_principal(settings: Settings, org: str, name: str, grants: dict[str, Any]) -> None:
    """Grant a principal what *grants*, members of ChangePrincipal, say; the rest stays."""
    command = ChangePrincipal(caller=command_line_caller(org), principal=name, **grants)
    await _execute(settings, command)
    print(f"Principal {name}@{org} is changed.")


async def disable_principal(settings: Settings, org: str, name: str, reason: str | None) -> None:
    """Let nothing let a principal in."""
    await _execute(settings, DisablePrincipal(caller=command_line_caller(org), principal=name, reason=reason))
    print(f"Principal {name}@{org} is disabled.")


async def enable_principal(settings: Settings, org: str, name: str, reason: str | None) -> None:
    """Let a principal in again."""
    await _execute(settings, EnablePrincipal(caller=command_line_caller(org), principal=name, reason=reason))
    print(f"Principal {name}@{org} is enabled.")


async def set_password(settings: Settings, org: str, name: str, password: str | None) -> None:
    """Give a principal a password, or take it away."""
    caller = command_line_caller(org)
    if password is None:
        await _execute(settings, RemovePassword(caller=caller, principal=name))
        print(f"Principal {name}@{org} has no password.")
        return
    password_hash = await hash_password(password)
    await _execute(
        settings, SetPassword(caller=caller, principal=name, credential=uuid4(), password_hash=password_hash)
    )
    print(f"Principal {name}@{org} has a new password.")


async def list_principals(settings: Settings, org: str) -> None:
    """Print each principal of an org: a line of its number, name, roles, what limits it, and what it can show."""
    async with open_ledger(settings) as ledger:
        # An org that does not exist is told, not shown as empty.
        await ledger.recorder.head(org)
        query, after = PrincipalQuery(ledger.database), 0
        while True:
            page = await query.principals(org, after=after, limit=PAGE)
            for shown in page.documents:
                print(_line(shown))
            if page.next_after is None:
                return
            after = page.next_after


def _line(shown: dict[str, Any]) -> str:
    domains = "all domains" if shown["domains"] is None else "domains " + (",".join(shown["domains"]) or "none")
    parts = [
        str(shown["id"]),
        shown["name"],
        ",".join((*shown["roles"], *shown["capabilities"])) or "-",
        f"{domains} (home {shown['home_domain']})",
        "password" if shown["has_password"] else "no password",
        f"{shown['tokens']} tokens",
        *(["disabled"] if shown["is_disabled"] else []),
    ]
    return "\t".join(parts)


async def _execute(settings: Settings, command: Command) -> None:
    async with open_ledger(settings) as ledger:
        await ledger.execute(command)
