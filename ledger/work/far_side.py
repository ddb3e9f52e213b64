"""The folder on the other host, over an SSH connection: by SFTP, and where a server has none by the older SCP and commands.

SFTP comes first, as in OpenSSH's own scp since 9.0: no shell reads the path, nothing but the subsystem need be allowed, and what
was copied under another name is renamed without overwriting anything.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import suppress
from shlex import quote

import asyncssh

# Of a file, in flight at once.
PIECE_BYTES = 128 * 1024
# Without a byte for so long, the other side is taken for gone.
IDLE_S = 60.0
# What is tidied up there, when copying has failed or ends, may take so long each time.
CLEANING_S = 2.0
# A command that reads a whole file there: what it may take besides, and how fast it is at least.
COMMAND_S, COMMAND_BYTES_A_SECOND = 60.0, 2_000_000
LONGEST_OUTPUT_BYTES = 4096
# 64 hex digits alone in front: what sha256sum, shasum and openssl -r print.
DIGEST = re.compile(rb"\\?([0-9a-f]{64})[ *]")
MODE = 0o600


class FarSideError(Exception):
    """The other side does not do what it is asked to. No words of its own are told: it may say anything."""


class FarSide(ABC):
    """Files of a folder there, by their whole paths. Whatever fails raises FarSideError; a lost connection what asyncssh raises."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.connection = connection

    @abstractmethod
    async def size(self, path: str) -> int | None:
        """The size in bytes; None where there is no such file."""

    @abstractmethod
    async def write(self, path: str, pieces: AsyncIterator[bytes], size_bytes: int) -> None:
        """Make a file that was not there, of these pieces, and have it on disk there if the server can."""

    @abstractmethod
    def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a file."""

    @abstractmethod
    async def remove(self, paths: Iterable[str]) -> None:
        """Remove the files of these that are there."""

    @abstractmethod
    async def rename(self, path: str, new_path: str) -> None:
        """Give a file another name, which nothing has."""

    async def digest(self, path: str, size_bytes: int) -> str | None:
        """The SHA-256 (hex) that a command there gives of a file; None where no command does."""
        name = quote(path)
        # By redirection: no name is printed, and none taken for an option.
        command = f"sha256sum < {name} || shasum -a 256 < {name} || openssl dgst -sha256 -r < {name}"
        patience_s = COMMAND_S + size_bytes / COMMAND_BYTES_A_SECOND
        _code, said = await run(self.connection, command, patience_s)
        match = DIGEST.match(said)
        return match[1].decode() if match else None


class SftpFolder(FarSide):
    """By SFTP."""

    def __init__(self, connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient) -> None:
        super().__init__(connection)
        self._client = client

    async def size(self, path: str) -> int | None:
        """See ``FarSide``."""
        try:
            async with asyncio.timeout(IDLE_S):
                return (await self._client.lstat(path)).size
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None
        except asyncssh.SFTPError as error:
            raise refused(error) from error

    async def write(self, path: str, pieces: AsyncIterator[bytes], size_bytes: int) -> None:
        """See ``FarSide``."""
        try:
            # Exclusively: a link that lies there leads nowhere.
            async with asyncio.timeout(IDLE_S):
                file = await self._client.open(path, "xb", asyncssh.SFTPAttrs(permissions=MODE))
            try:
                offset = 0
                async for piece in pieces:
                    async with asyncio.timeout(IDLE_S):
                        await file.write(piece, offset)
                    offset += len(piece)
                # It may be a while until a large file is on disk.
                async with asyncio.timeout(COMMAND_S + size_bytes / COMMAND_BYTES_A_SECOND):
                    with suppress(asyncssh.SFTPOpUnsupported):
                        await file.fsync()
            except BaseException:
                await _give_up(file)
                raise
            async with asyncio.timeout(IDLE_S):
                await file.close()
        except asyncssh.SFTPError as error:
            raise refused(error) from error

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """See ``FarSide``."""
        try:
            async with asyncio.timeout(IDLE_S):
                file = await self._client.open(path, "rb")
            try:
                offset = 0
                while True:
                    async with asyncio.timeout(IDLE_S):
                        piece: bytes = await file.read(PIECE_BYTES, offset)
                    if not piece:
                        return
                    offset += len(piece)
                    yield piece
            finally:
                await _give_up(file)
        except asyncssh.SFTPError as error:
            raise refused(error) from error

    async def remove(self, paths: Iterable[str]) -> None:
        """See ``FarSide``."""
        for path in paths:
            try:
                async with asyncio.timeout(IDLE_S):
                    await self._client.remove(path)
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                pass
            except asyncssh.SFTPError as error:
                raise refused(error) from error

    async def rename(self, path: str, new_path: str) -> None:
        """See ``FarSide``."""
        try:
            async with asyncio.timeout(IDLE_S):
                await self._client.rename(path, new_path)
        except asyncssh.SFTPError as error:
            raise refused(error) from error


class ScpFolder(FarSide):
    """By SCP as it was before SFTP, and commands of a POSIX shell; every path is quoted, as a shell reads it."""

    async def size(self, path: str) -> int | None:
        """See ``FarSide``."""
        name = quote(path)
        code, said = await run(
            self.connection, f"if test -e {name} || test -h {name}; then wc -c < {name}; else echo none; fi", COMMAND_S
        )
        text = said.strip()
        if code == 0 and text == b"none":
            return None
        if code != 0 or not text.isdigit():
            raise FarSideError("no size")
        return int(text)

    async def write(self, path: str, pieces: AsyncIterator[bytes], size_bytes: int) -> None:
        """See ``FarSide``.

        scp -t <path>   ← 00   C0600 <size> <name>\\n →   ← 00   <bytes> 00 →   ← 00
        """
        async with asyncio.timeout(IDLE_S):
            writer, reader, _ = await self.connection.open_session(f"scp -t {quote(path)}", encoding=None)
        try:
            await _must_agree(reader)
            writer.write(b"C%04o %d part\n" % (MODE, size_bytes))
            await _must_agree(reader)
            async for piece in pieces:
                writer.write(piece)
                async with asyncio.timeout(IDLE_S):
                    await writer.drain()
            writer.write(b"\0")
            await _must_agree(reader)
            writer.write_eof()
        finally:
            writer.close()

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """See ``FarSide``."""
        async with asyncio.timeout(IDLE_S):
            writer, reader, _ = await self.connection.open_session(f"scp -f {quote(path)}", encoding=None)
        try:
            writer.write(b"\0")
            async with asyncio.timeout(IDLE_S):
                head = await reader.readuntil(b"\n")
            match = re.match(rb"C[0-7]{4} ([0-9]{1,18}) ", head)
            if match is None:
                raise FarSideError("no file")
            writer.write(b"\0")
            rest = int(match[1])
            while rest:
                async with asyncio.timeout(IDLE_S):
                    piece: bytes = await reader.read(min(rest, PIECE_BYTES))
                if not piece:
                    raise FarSideError("cut off")
                rest -= len(piece)
                yield piece
            await _must_agree(reader)
            writer.write(b"\0")
        except asyncio.IncompleteReadError as error:
            raise FarSideError("cut off") from error
        finally:
            writer.close()

    async def remove(self, paths: Iterable[str]) -> None:
        """See ``FarSide``."""
        await self._must(f"rm -f -- {' '.join(map(quote, paths))}")

    async def rename(self, path: str, new_path: str) -> None:
        """See ``FarSide``."""
        old, new = quote(path), quote(new_path)
        await self._must(f"test ! -e {new} && test ! -h {new} && mv -- {old} {new}")

    async def _must(self, command: str) -> None:
        code, _said = await run(self.connection, command, COMMAND_S)
        if code != 0:
            raise FarSideError("a command failed")


async def folder_of(connection: asyncssh.SSHClientConnection) -> FarSide:
    """The way to reach files there: SFTP, or, where the server refuses that, SCP."""
    try:
        async with asyncio.timeout(IDLE_S):
            return SftpFolder(connection, await connection.start_sftp_client())
    except (asyncssh.ChannelOpenError, asyncssh.SFTPError):
        if connection.is_closed():
            raise
        return ScpFolder(connection)


async def _give_up(file: asyncssh.SFTPClientFile) -> None:
    """Close a file of which nothing more is wanted; whoever stops does not wait for the other side."""
    with suppress(Exception):
        async with asyncio.timeout(CLEANING_S):
            await file.close()


def refused(error: asyncssh.SFTPError) -> Exception:
    """What a refusal comes to; a lost connection is none."""
    if isinstance(error, (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)):
        return error
    return FarSideError(type(error).__name__)


async def run(connection: asyncssh.SSHClientConnection, command: str, patience_s: float) -> tuple[int | None, bytes]:
    """A command's exit code, None without one, and the first bytes that it said. No more of them is kept, however much it says."""
    process = None
    try:
        async with asyncio.timeout(patience_s):
            process = await connection.create_process(
                command, stdin=asyncssh.DEVNULL, stderr=asyncssh.DEVNULL, encoding=None
            )
            said = b""
            while len(said) < LONGEST_OUTPUT_BYTES:
                piece: bytes = await process.stdout.read(LONGEST_OUTPUT_BYTES - len(said))
                if not piece:
                    break
                said += piece
            else:
                return None, said
            await process.wait_closed()
            return process.exit_status, said
    except (asyncssh.ChannelOpenError, TimeoutError):
        # No command is allowed, or it never ends.
        if connection.is_closed():
            raise
        return None, b""
    finally:
        if process is not None:
            process.close()


async def _must_agree(reader: asyncssh.SSHReader[bytes]) -> None:
    async with asyncio.timeout(IDLE_S):
        answer = await reader.read(1)
    if answer != b"\0":
        raise FarSideError("refused")
