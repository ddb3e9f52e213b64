"""By which keys other hosts are known: files as OpenSSH's known_hosts, one an org.

A host of which no key is known is refused, or, on first use, trusted from then on. That is an event; what counts is the file,
where an operator adds and removes keys.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import asyncssh

from jobledger.ledger.domain.destination import SSH_PORT

log = logging.getLogger(__name__)

# Trusted keys, trusted authorities, revoked keys; and of X.509 nothing.
Known: TypeAlias = tuple[Any, Any, Any, Any, Any, Any, Any]
POLL_S = 0.05


class UnusableHostKeysError(Exception):
    """The file of known hosts cannot be read or written; the message says which and why."""


class HostKeys:
    """The keys in *place*: a file for all orgs, or a folder with a file for each. *trusts_first*: whether first use is trusted."""

    def __init__(self, place: Path, *, trusts_first: bool = False) -> None:
        self._place = place
        self.trusts_first = trusts_first

    def path(self, org: str) -> Path:
        """The org's file."""
        return self._place if self._place.is_file() else self._place / org

    def known(self, org: str, host: str, address: str, port: int) -> Known:
        """What is known of a host. Raises UnusableHostKeysError."""
        path = self.path(org)
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            text = ""
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableHostKeysError(f"{path} cannot be read: {type(error).__name__}.") from error
        try:
            hosts = asyncssh.import_known_hosts(text)
            keys, authorities, revoked, *_ = hosts.match(host, address, None if port == SSH_PORT else port)
        except ValueError as error:
            raise UnusableHostKeysError(f"{path} is no file of known hosts: {error}") from error
        return keys, authorities, revoked, (), (), (), ()

    async def trust(self, org: str, host: str, port: int, key: asyncssh.SSHKey) -> None:
        """Add a key to the org's file; on disk when this returns. To be called within ``alone``. Raises UnusableHostKeysError."""
        await asyncio.to_thread(self._add, self.path(org), host, port, key)

    @asynccontextmanager
    async def alone(self, org: str) -> AsyncIterator[None]:
        """Nobody else adds keys of the org meanwhile, in any process. Raises UnusableHostKeysError."""
        path = self.path(org)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnusableHostKeysError(f"{path} cannot be written: {type(error).__name__}.") from error
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(POLL_S)
            yield
        finally:
            os.close(lock)

    def _add(self, path: Path, host: str, port: int, key: asyncssh.SSHKey) -> None:
        name = host if port == SSH_PORT else f"[{host}]:{port}"
        line = f"{name} {key.export_public_key().decode().strip()}\n"
        try:
            before = path.read_text("utf-8") if path.exists() else ""
            if before and not before.endswith("\n"):
                before += "\n"
            # Written beside and renamed: it is there whole, with the line or without it, whenever we die.
            written = path.with_name(f".{path.name}.written")
            descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(before + line)
                file.flush()
                os.fsync(file.fileno())
            os.rename(written, path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableHostKeysError(f"{path} cannot be written: {type(error).__name__}.") from error
