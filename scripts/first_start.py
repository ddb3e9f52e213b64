"""What the first start of an installation makes: the org ``default`` and its principal ``admin``."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from argon2 import PasswordHasher

from jobledger.ledger.domain.access_commands import AddPrincipal
from jobledger.ledger.errors import NameIsTakenError
from jobledger.ledger.store.database import connect
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.scripts.kept_file import keep
from jobledger.scripts.opening import command_line_caller
from jobledger.scripts.settings import Settings

DEFAULT_ORG = "default"
ADMIN = "admin"
ADMIN_ROLES = ("admin", "compliance")
GENERATED_PASSWORD_BYTES = 24
# Any constant will do that is the same in every release and not the migrations': first starts wait for each other by it.
ADVISORY_LOCK = 5_320_861_907_225_941_618


def password_path(data: Path) -> Path:
    """Where a generated password of the admin lies."""
    return data / "admin-password"


async def ensure_admin(ledger: Ledger, settings: Settings) -> None:
    """Make org and admin unless they are there. Servers may do it at once, and die at any line."""
    if await _has_admin(ledger):
        return
    connection = await connect(ledger.database.url, {})
    try:
        # Released with the connection. Only who holds it writes the file, so the password in it is the admin's.
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        if not await _has_admin(ledger):
            await _make_admin(ledger, settings)
    finally:
        await connection.close(timeout=5)


async def _has_admin(ledger: Ledger) -> bool:
    return await PrincipalQuery(ledger.database).by_name(DEFAULT_ORG, ADMIN) is not None


async def _make_admin(ledger: Ledger, settings: Settings) -> None:
    with suppress(NameIsTakenError):
        await ledger.create_org(DEFAULT_ORG)
    password = settings.admin_password
    if password is None:
        # If we die after this line, the next start takes the password that lies there.
        password = keep(password_path(settings.data), secrets.token_urlsafe(GENERATED_PASSWORD_BYTES))
    await ledger.execute(
        AddPrincipal(
            caller=command_line_caller(DEFAULT_ORG),
            name=ADMIN,
            roles=ADMIN_ROLES,
            credential=uuid4(),
            password_hash=await hash_password(password),
        )
    )


async def hash_password(password: str) -> str:
    """Its argon2id hash, made in a thread as it takes a while."""
    return await asyncio.to_thread(PasswordHasher().hash, password)
