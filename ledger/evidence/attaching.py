"""What others say of an org's checkpoints: cosignatures and time stamps, checked before they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobledger.ledger.errors import InvalidCommandError, NotFoundError
from jobledger.ledger.evidence.checkpoint import Checkpoint, read_checkpoint
from jobledger.ledger.evidence.cosignature import cosigned_at, read_witness_key
from jobledger.ledger.evidence.note import NoteError
from jobledger.ledger.evidence.store import PACKAGE, NotSignedYetError
from jobledger.ledger.evidence.timestamp import Timestamp, TimestampError, read_timestamp
from jobledger.ledger.store.database import Connection, Database
from jobledger.ledger.store.statement import statement

MOST_COSIGNATURES = 16
MOST_TIMESTAMPS = 8


@dataclass(frozen=True, slots=True)
class KeptTimestamp:
    """A time stamp of a checkpoint. *stamped*: the bytes that it is of."""

    token: bytes
    stamped_at: datetime
    covers: int
    stamped: bytes


@dataclass(frozen=True, slots=True)
class AttestedCheckpoint:
    """A checkpoint with what others say of it. ``witnesses``: the verifier keys by whose holders it is countersigned."""

    checkpoint: Checkpoint
    witnesses: tuple[str, ...]
    lines: tuple[str, ...]
    timestamps: tuple[KeptTimestamp, ...]

    @property
    def note(self) -> bytes:
        """Its note with all cosignatures."""
        return self.note_with(len(self.lines))

    def note_with(self, count: int) -> bytes:
        """Its note with the first *count* cosignatures; -1: the text alone."""
        if count < 0:
            return self.checkpoint.signed.text
        return self.checkpoint.note + "".join(self.lines[:count]).encode()


class Attestations:
    """Attaches, and shows what is attached. Its calls raise DatabaseIsAwayError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attested(self, org: str, checkpoint: Checkpoint) -> AttestedCheckpoint:
        """A checkpoint of the org with what is attached to it."""
        place = (org, checkpoint.fork, checkpoint.size)
        signed = await self._database.fetch(statement(PACKAGE, "cosignatures"), *place)
        stamped = await self._database.fetch(statement(PACKAGE, "timestamps"), *place)
        lines = tuple(it["line"] for it in signed)
        bare = AttestedCheckpoint(checkpoint, tuple(it["verifier_key"] for it in signed), lines, ())
        stamps = tuple(
            KeptTimestamp(it["token"], it["stamped_at"], it["covers"], bare.note_with(it["covers"])) for it in stamped
        )
        return AttestedCheckpoint(checkpoint, bare.witnesses, lines, stamps)

    async def covering(self, org: str, size: int, fork: int | None = None) -> AttestedCheckpoint:
        """The first checkpoint of a history, None: of the newest, that covers so many events.

        Raises NotFoundError, NotSignedYetError before the first.
        """
        records = await self._database.fetch(statement(PACKAGE, "checkpoint_covering"), org, size, fork)
        if not records:
            if not await self._database.fetch(statement(PACKAGE, "newest_checkpoint"), org):
                raise NotSignedYetError("The ledger has no checkpoint yet.")
            if fork is not None:
                raise NotFoundError(f"The history {fork} has no checkpoint of {size} events.", fork=fork, size=size)
            raise NotFoundError(f"There is no checkpoint of {size} events.", size=size)
        return await self.attested(org, read_checkpoint(records[0]["note"]))

    async def cosign(self, org: str, by: str, size: int, line: str, verifier_key: str) -> AttestedCheckpoint:
        """Attach a witness's line; one of the same key is there once. Raises InvalidCommandError, NotFoundError."""
        found = await self.covering(org, size)
        try:
            key = read_witness_key(verifier_key)
            cosigned_at(found.checkpoint.signed.text, line, key)
        except NoteError as error:
            raise InvalidCommandError(str(error)) from None

        async def write(connection: Connection) -> bool:
            place = (org, found.checkpoint.fork, found.checkpoint.size)
            async with connection.transaction():
                await connection.execute(statement(PACKAGE, "lock_attaching"), org)
                there = await connection.fetch(statement(PACKAGE, "cosignatures"), *place)
                if any(it["verifier_key"] == str(key) for it in there):
                    return True
                if len(there) >= MOST_COSIGNATURES:
                    return False
                told = f"{line.removesuffix(chr(10))}\n"
                await connection.execute(
                    statement(PACKAGE, "write_cosignature"), *place, len(there), str(key), told, by
                )
                return True

        if not await self._database.write(write):
            raise InvalidCommandError(f"A checkpoint has at most {MOST_COSIGNATURES} cosignatures.")
        return await self.attested(org, found.checkpoint)

    async def stamp(self, org: str, by: str, size: int, token: bytes) -> AttestedCheckpoint:
        """Attach a time stamp of a checkpoint: of its text, or its note with as many cosignatures as it had.

        Raises InvalidCommandError, NotFoundError.
        """
        found = await self.covering(org, size)
        try:
            stamp = read_timestamp(token)
        except TimestampError as error:
            raise InvalidCommandError(str(error)) from None
        covers = _covered(found, stamp)

        async def write(connection: Connection) -> bool:
            place = (org, found.checkpoint.fork, found.checkpoint.size)
            async with connection.transaction():
                await connection.execute(statement(PACKAGE, "lock_attaching"), org)
                there = await connection.fetch(statement(PACKAGE, "timestamps"), *place)
                if any(it["token"] == stamp.token for it in there):
                    return True
                if len(there) >= MOST_TIMESTAMPS:
                    return False
                told = (len(there), stamp.token, stamp.stamped_at, covers, by)
                await connection.execute(statement(PACKAGE, "write_timestamp"), *place, *told)
                return True

        if not await self._database.write(write):
            raise InvalidCommandError(f"A checkpoint has at most {MOST_TIMESTAMPS} time stamps.")
        return await self.attested(org, found.checkpoint)


def _covered(found: AttestedCheckpoint, stamp: Timestamp) -> int:
    for count in range(-1, len(found.lines) + 1):
        if stamp.is_of(found.note_with(count)):
            return count
    raise InvalidCommandError(
        f"The time stamp is not of the checkpoint of {found.checkpoint.size} events, neither its text nor its note."
    )
