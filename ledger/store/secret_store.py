"""Secrets that the ledger must know and never tell: rows beside it, encrypted with a key that is not in the database.

    ciphertext = AES-256-GCM(key, nonce, text, associated data: org NUL id NUL purpose)

A row that is moved to another org, id or purpose is not read. ``key_id`` tells which key a row was encrypted with.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from jobledger.ledger.errors import DatabaseIsAwayError, InvalidCommandError, LedgerError, OutcomeUnknownError
from jobledger.ledger.store.database import Connection, Database, is_passing
from jobledger.ledger.store.statement import ledger_statement

SECRET_KEY_BYTES = 32
NONCE_BYTES = 12
KEY_ID_BYTES = 8
MOST_BYTES = 1024


class SecretIsLostError(Exception):
    """The secret cannot be had: it was deleted, or the key or the row is not what it was. The message says which."""


class Deposit:
    """A secret while what needs it is being recorded. ``keep`` is called once that is so."""

    def __init__(self, secret_id: UUID) -> None:
        self.id = secret_id
        self.is_kept = False

    def keep(self) -> None:
        """Let it stay."""
        self.is_kept = True


class SecretStore:
    """The secrets of every org. *key* has 32 bytes and is the same in all servers of the installation."""

    def __init__(self, database: Database, key: bytes) -> None:
        self._database = database
        self._cipher = AESGCM(key)
        self._key_id = hmac.digest(key, b"key id", "sha256")[:KEY_ID_BYTES]

    async def put(self, org: str, purpose: str, text: str) -> UUID:
        """Keep *text* (1 to 1,024 bytes, no NUL); its id. Durable when it returns.

        Nobody needs it yet: it is swept away after a while unless ``want`` is called. Raises InvalidCommandError, and what the
        database raises.
        """
        plain = text.encode("utf-8", "ignore")
        if not 0 < len(plain) <= MOST_BYTES or b"\0" in plain or plain.decode() != text:
            raise InvalidCommandError(f"A password has 1 to {MOST_BYTES} bytes, and no NUL.")
        secret_id = uuid4()
        nonce = os.urandom(NONCE_BYTES)
        ciphertext = self._cipher.encrypt(nonce, plain, _associated(org, secret_id, purpose))
        await self._execute("insert_secret", org, secret_id, purpose, self._key_id, nonce, ciphertext)
        return secret_id

    async def want(self, org: str, secret_id: UUID) -> None:
        """Say that what needs it is recorded: it is deleted as soon as nothing that is ahead needs it any more."""
        await self._execute("want_secret", org, secret_id)

    @asynccontextmanager
    async def deposit(self, org: str, purpose: str, text: str) -> AsyncIterator[Deposit]:
        """Keep *text* while what needs it is being recorded: unless ``keep`` was called on it, it is deleted again.

        Not where it is unknown whether that was recorded; it is then swept away if it was not. Raises as ``put``.

            async with secrets.deposit(org, "scp", password) as deposit:
                outcome = await ledger.execute(RequestArchive(…, destination={…, "secret": str(deposit.id)}))
                if not outcome.is_repeated:
                    deposit.keep()
        """
        deposit = Deposit(await self.put(org, purpose, text))
        try:
            yield deposit
        except OutcomeUnknownError:
            raise
        except BaseException as error:
            # Nothing was recorded, if the ledger says so; cut off in the midst, it may have been.
            if isinstance(error, LedgerError):
                await self._quietly(self.delete, org, deposit.id)
            raise
        else:
            await self._quietly(self.want if deposit.is_kept else self.delete, org, deposit.id)

    async def take(self, org: str, secret_id: UUID, purpose: str) -> str:
        """The text; the row stays. Raises SecretIsLostError, DatabaseIsAwayError."""
        rows = await self._database.fetch(ledger_statement("read_secret"), org, secret_id)
        if not rows:
            raise SecretIsLostError(f"Secret {secret_id} of {org} is not there.")
        if rows[0]["key_id"] != self._key_id:
            raise SecretIsLostError(f"Secret {secret_id} of {org} was encrypted with another key than this server's.")
        try:
            plain = self._cipher.decrypt(rows[0]["nonce"], rows[0]["ciphertext"], _associated(org, secret_id, purpose))
        except InvalidTag:
            raise SecretIsLostError(f"Secret {secret_id} of {org} is not what was encrypted.") from None
        return plain.decode()

    async def delete(self, org: str, secret_id: UUID) -> None:
        """Delete it, if it is there. Raises what the database raises."""
        await self._execute("delete_secret", org, secret_id)

    async def _quietly(self, act: Callable[[str, UUID], Awaitable[None]], org: str, secret_id: UUID) -> None:
        """What the sweep does too, later: whoever asked is answered all the same."""
        with suppress(Exception):
            await act(org, secret_id)

    async def _execute(self, name: str, *arguments: object) -> None:
        async def execute(connection: Connection) -> None:
            await connection.execute(ledger_statement(name), *arguments)

        try:
            await self._database.write(execute)
        except Exception as error:
            if is_passing(error):
                raise DatabaseIsAwayError("The database does not answer.", retry_after_s=2) from error
            raise


def _associated(org: str, secret_id: UUID, purpose: str) -> bytes:
    return b"\0".join((org.encode(), str(secret_id).encode(), purpose.encode()))
