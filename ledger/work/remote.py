"""Copying files to a folder on another host, by SSH: verified there before any of them has its name.

Each is copied as ``.<name>.<claim>.part``, compared with what is here by size and SHA-256, and renamed once all of them are
right: a file that has its name is whole, and nothing that lies there is written over. What may pass is tried again.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID

import asyncssh

from jobledger.ledger.domain.destination import Destination
from jobledger.ledger.domain.host_key_commands import TrustHostKey
from jobledger.ledger.errors import LedgerError
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.store.secret_store import SecretIsLostError, SecretStore
from jobledger.ledger.work.far_side import CLEANING_S, PIECE_BYTES, FarSide, FarSideError, folder_of
from jobledger.ledger.work.host_keys import HostKeys, Known, UnusableHostKeysError
from jobledger.ledger.work.remote_host import HostNotAllowedError, RemoteHosts
from jobledger.ledger.work.runner import WorkFailedError

log = logging.getLogger(__name__)

# For what a secret of a destination is kept.
SCP: Final = "scp"
# All that is said of why a copy failed.
NOT_REACHABLE, HOST_KEY_REFUSED, LOGIN_REFUSED = "not reachable", "host key refused", "login refused"
COPY_FAILED, COPY_DIFFERS = "copy failed", "copy differs"
CONNECT_S = 15.0
LOGIN_S = 30.0
# A silent connection is asked for a sign of life, and given up after some without an answer.
SIGN_OF_LIFE_S, SIGNS_OF_LIFE = 15, 3
PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0)
# Between two calls that tell how far it is: those who follow a job hear of it each 5 seconds.
TELL_EVERY_S = 3.0

# ``progress(done)``: how much of all bytes is there, from 0 to 1. What it raises ends the copying.
Progress: TypeAlias = Callable[[float], Awaitable[None]]


class RemoteCopy(Protocol):
    """What copies files to a destination."""

    async def send(
        self,
        org: str,
        job_id: int,
        claim: int,
        destination: Mapping[str, Any],
        files: Sequence[Path],
        progress: Progress,
    ) -> None:
        """Have *files* in the destination's folder under their own names, the last one last; verified there when it returns.

        May be repeated: what lies there and is right stays. Raises WorkFailedError with the words above, and what *progress*
        raises.
        """


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that is to be copied, and what it holds."""

    path: Path
    size_bytes: int
    sha256: str


class _RefusedError(Exception):
    """It cannot be done, and trying again would not help."""


class SshCopy:
    """See ``RemoteCopy``. Logs in by user and password only, at an address that *hosts* permits, with a key that *keys* knows."""

    def __init__(
        self,
        ledger: Ledger,
        secrets: SecretStore,
        hosts: RemoteHosts,
        keys: HostKeys,
        *,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._ledger = ledger
        self._secrets = secrets
        self._hosts = hosts
        self._keys = keys
        self._pauses_s = pauses_s
        # It tells who logs in where; what failed is logged here.
        asyncssh.set_log_level(logging.WARNING)

    async def send(
        self,
        org: str,
        job_id: int,
        claim: int,
        destination: Mapping[str, Any],
        files: Sequence[Path],
        progress: Progress,
    ) -> None:
        """See ``RemoteCopy``."""
        where = Destination(destination["host"], destination["port"], destination["path"], destination["user"])
        try:
            password = await self._secrets.take(org, UUID(destination["secret"]), SCP)
        except SecretIsLostError as error:
            log.error("Job %s of %s: %s", job_id, org, error)
            raise WorkFailedError(LOGIN_REFUSED) from error
        local = await asyncio.to_thread(_survey, files)
        for pause_s in (*self._pauses_s, None):
            errand = _Errand(self, org, job_id, claim, where, password, local, progress)
            try:
                await errand.run()
                return
            except _RefusedError as error:
                raise WorkFailedError(str(error)) from error
            except HostNotAllowedError:
                # Or its name does not resolve now.
                word = NOT_REACHABLE
            except LedgerError:
                raise
            except (OSError, TimeoutError, asyncssh.Error) as error:
                word = COPY_FAILED if errand.is_logged_in else NOT_REACHABLE
                # Not what the other side says: that could be anything, the password as well.
                log.info("Job %s of %s: %s (%s)", job_id, org, word, type(error).__name__)
            if pause_s is None:
                raise WorkFailedError(word)
            await asyncio.sleep(pause_s)


class _Errand:
    """One try."""

    def __init__(
        self,
        copy: SshCopy,
        org: str,
        job_id: int,
        claim: int,
        where: Destination,
        password: str,
        files: Sequence[LocalFile],
        progress: Progress,
    ) -> None:
        self._ledger, self._hosts, self._keys = copy._ledger, copy._hosts, copy._keys
        self._org, self._job_id, self._claim = org, job_id, claim
        self._where, self._password = where, password
        self._files = files
        self._progress = progress
        self._total = sum(it.size_bytes for it in files)
        self._done = 0
        self._told_at = monotonic()
        self.is_logged_in = False

    async def run(self) -> None:
        """Do it. Raises _RefusedError, HostNotAllowedError, OSError, TimeoutError, asyncssh.Error, and what *progress* raises."""
        try:
            connection = await self._connect()
        except asyncssh.PermissionDenied as error:
            raise _RefusedError(LOGIN_REFUSED) from error
        except UnusableHostKeysError as error:
            log.error("Job %s of %s: %s", self._job_id, self._org, error)
            raise _RefusedError(HOST_KEY_REFUSED) from error
        except (asyncssh.HostKeyNotVerifiable, asyncssh.KeyExchangeFailed) as error:
            # The latter where it has no key of the kinds that are known.
            raise _RefusedError(HOST_KEY_REFUSED) from error
        self.is_logged_in = True
        try:
            await self._copy(await folder_of(connection))
        except FarSideError as error:
            log.info("Job %s of %s: %s (%s)", self._job_id, self._org, COPY_FAILED, error)
            raise _RefusedError(COPY_FAILED) from error
        finally:
            connection.close()
            with suppress(Exception):
                async with asyncio.timeout(CLEANING_S):
                    await connection.wait_closed()
            connection.abort()

    async def _connect(self) -> asyncssh.SSHClientConnection:
        # Resolved once: what is judged here is what is connected to.
        addresses = await self._hosts.addresses(self._where.host, self._where.port)
        while True:
            address = addresses.pop(0)
            try:
                known = await self._known(address)
                return await self._login(address, known)
            except (OSError, TimeoutError):
                if not addresses:
                    raise

    async def _known(self, address: str) -> Known:
        """By which keys the host is known; where it is by none, by the one it has now, if that is how things are set."""
        host, port = self._where.host, self._where.port
        known = self._keys.known(self._org, host, address, port)
        if not any(known[:2]) and self._keys.trusts_first:
            async with self._keys.alone(self._org):
                known = self._keys.known(self._org, host, address, port)
                if not any(known[:2]):
                    await self._trust(address, known[2])
                    known = self._keys.known(self._org, host, address, port)
        if not any(known[:2]):
            raise _RefusedError(HOST_KEY_REFUSED)
        return known

    async def _trust(self, address: str, revoked: Any) -> None:
        # No password is sent before this is recorded.
        async with asyncio.timeout(CONNECT_S):
            key = await asyncssh.get_server_host_key(address, self._where.port, config=None)
        if key is None or key in revoked:
            raise _RefusedError(HOST_KEY_REFUSED)
        # If we die between these two, it is trusted, and recorded, once more.
        await self._ledger.execute(
            TrustHostKey(
                caller=ledger_itself(self._org),
                host=self._where.host,
                port=self._where.port,
                algorithm=key.get_algorithm(),
                fingerprint=key.get_fingerprint(),
                job_id=self._job_id,
            )
        )
        await self._keys.trust(self._org, self._where.host, self._where.port, key)

    async def _login(self, address: str, known: Known) -> asyncssh.SSHClientConnection:
        # Left to itself it would show the server account's own keys to a host that the caller names.
        return await asyncssh.connect(
            address,
            self._where.port,
            config=None,
            client_keys=None,
            agent_path=None,
            agent_forwarding=False,
            username=self._where.user,
            password=self._password,
            preferred_auth="password,keyboard-interactive",
            public_key_auth=False,
            host_based_auth=False,
            gss_auth=False,
            gss_kex=False,
            known_hosts=known,
            host_key_alias=self._where.host,
            x509_trusted_certs=None,
            # It is compressed.
            compression_algs=None,
            connect_timeout=CONNECT_S,
            login_timeout=LOGIN_S,
            keepalive_interval=SIGN_OF_LIFE_S,
            keepalive_count_max=SIGNS_OF_LIFE,
        )

    async def _copy(self, folder: FarSide) -> None:
        parts = {file: self._there(f".{file.path.name}.{self._claim}.part") for file in self._files}
        # Of earlier claims too: whoever had them is refused its next step.
        await folder.remove(
            self._there(f".{file.path.name}.{claim}.part")
            for file in self._files
            for claim in range(1, self._claim + 1)
        )
        try:
            copied = [file for file in self._files if not await self._is_there(folder, file)]
            for file in copied:
                async with aclosing(self._pieces(file)) as pieces:
                    await folder.write(parts[file], pieces, file.size_bytes)
                await self._must_equal(folder, parts[file], file)
            await self._progress(self._done / self._total if self._total else 1.0)
            # If we die from here on, some have their names: the next one finds them right.
            for file in copied:
                await folder.rename(parts[file], self._there(file.path.name))
        except BaseException:
            with suppress(Exception):
                async with asyncio.timeout(CLEANING_S):
                    await folder.remove(parts.values())
            raise

    async def _is_there(self, folder: FarSide, file: LocalFile) -> bool:
        """Whether it lies there, right, under its own name. Refused where something else does: nothing is written over."""
        path = self._there(file.path.name)
        if await folder.size(path) is None:
            return False
        await self._must_equal(folder, path, file)
        await self._tell(file.size_bytes)
        return True

    async def _must_equal(self, folder: FarSide, path: str, file: LocalFile) -> None:
        """By a command there, or, where none is allowed, by reading it back."""
        size_bytes = await folder.size(path)
        if size_bytes == file.size_bytes:
            digest = await self._telling(folder.digest(path, size_bytes))
            if digest is None:
                back = hashlib.sha256()
                async with aclosing(folder.read(path)) as pieces:
                    async for piece in pieces:
                        back.update(piece)
                        await self._tell(0)
                digest = back.hexdigest()
            if digest == file.sha256:
                return
        log.warning("Job %s of %s: %s", self._job_id, self._org, COPY_DIFFERS)
        raise _RefusedError(COPY_DIFFERS)

    async def _telling(self, digest: Awaitable[str | None]) -> str | None:
        """What comes of it; how far the whole is, is told meanwhile."""
        doing = asyncio.ensure_future(digest)
        try:
            while not doing.done():
                await asyncio.wait([doing], timeout=TELL_EVERY_S)
                await self._tell(0)
            return doing.result()
        finally:
            doing.cancel()
            await asyncio.wait([doing])

    async def _pieces(self, file: LocalFile) -> AsyncGenerator[bytes, None]:
        opened = await asyncio.to_thread(file.path.open, "rb")
        try:
            # Not more than was hashed: a server is told the size before.
            rest = file.size_bytes
            while rest and (piece := await asyncio.to_thread(opened.read, min(rest, PIECE_BYTES))):
                yield piece
                rest -= len(piece)
                await self._tell(len(piece))
        finally:
            opened.close()

    async def _tell(self, more: int) -> None:
        self._done += more
        if monotonic() - self._told_at >= TELL_EVERY_S:
            await self._progress(self._done / self._total if self._total else 1.0)
            self._told_at = monotonic()

    def _there(self, name: str) -> str:
        return f"{self._where.path.rstrip('/')}/{name}"


def _survey(files: Sequence[Path]) -> list[LocalFile]:
    """What is to be copied, whole. Raises OSError, ValueError for two of one name."""
    if len({it.name for it in files}) != len(files):
        raise ValueError("two files of one name")
    surveyed = []
    for path in files:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            surveyed.append(LocalFile(path, file.tell(), digest))
    return surveyed
