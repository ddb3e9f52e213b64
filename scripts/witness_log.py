"""``jobledger witness``: countersigning another ledger's checkpoints, each only if it continues the one before."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from jobledger.ledger.evidence import tree
from jobledger.ledger.evidence.checkpoint import Checkpoint, read_checkpoint
from jobledger.ledger.evidence.cosignature import WitnessKey, cosign
from jobledger.ledger.evidence.keys import read_signing_keys
from jobledger.ledger.evidence.note import KEY_BYTES, KEY_NAME, NoteError, SigningKey, VerifierKey, read_verifier_key
from jobledger.ledger.postgres.data_folder import synchronize
from jobledger.scripts.failure import FailedError, UsageError
from jobledger.scripts.kept_file import keep
from jobledger.scripts.log_source import FolderSource, LogSource, UrlSource, read_tiles


@dataclass(frozen=True, slots=True)
class WitnessOrder:
    """Whom to countersign, and as whom. ``name``: the witness's; ``log_keys``: any of them signs the log; ``seen``: the file
    of what was countersigned last.
    """

    source: str
    name: str
    key: Path
    log_keys: tuple[str, ...]
    seen: Path
    token_file: Path | None = None
    attaches: bool = False


async def witness_log(order: WitnessOrder) -> None:
    """Countersign the newest checkpoint, and print it so. Raises FailedError, UsageError, OSError: then nothing is signed."""
    log_keys, key = _log_keys(order), _signing_key(order)
    print(f"The witness is {WitnessKey(order.name, key.public)}", file=sys.stderr)
    with _kept_alone(order.seen):
        async with aiohttp.ClientSession() as session:
            source = _source(order, session)
            newest = await _newest(source, log_keys)
            seen = _seen(order.seen)
            await _must_continue(source, seen, newest)
            # Before anything is signed: if we die after this line, the next one must continue this.
            _keep_seen(order.seen, newest)
            text = newest.signed.text
            line = cosign(text, order.name, key, int(time.time()))
            if order.attaches:
                told = str(WitnessKey(order.name, key.public))
                await source.attach(newest.size, line.removesuffix("\n"), told)
    sys.stdout.write(newest.note.decode() + line)


def _log_keys(order: WitnessOrder) -> list[VerifierKey]:
    if any(len(it.split()) > 1 for it in order.log_keys):
        raise UsageError("--log-key: these are several keys: name one, as jobledger key show --org ORG prints it.")
    try:
        return [read_verifier_key(it) for it in order.log_keys]
    except NoteError as error:
        raise UsageError(f"--log-key: {error}") from None


def _signing_key(order: WitnessOrder) -> SigningKey:
    if not KEY_NAME.fullmatch(order.name):
        raise UsageError("--name has neither spaces nor +.")
    try:
        return read_signing_keys(keep(order.key, os.urandom(KEY_BYTES).hex()))[-1]
    except ValueError as error:
        raise FailedError(f"{order.key} {error}.") from None


def _source(order: WitnessOrder, session: aiohttp.ClientSession) -> LogSource:
    if not order.source.startswith(("http://", "https://")):
        return FolderSource(Path(order.source))
    token = None if order.token_file is None else order.token_file.read_text("utf-8").strip()
    return UrlSource(session, order.source, token)


async def _newest(source: LogSource, log_keys: list[VerifierKey]) -> Checkpoint:
    """The log's newest checkpoint, by its own signature alone. Raises FailedError."""
    try:
        given = read_checkpoint(await source.read("checkpoint"))
    except NoteError as error:
        raise FailedError(f"The log's checkpoint: {error}") from None
    signed = given.signed
    # What others say below it is no part of what is kept.
    lines = given.note.removeprefix(signed.text + b"\n").splitlines(keepends=True)
    for key in log_keys:
        for it, line in zip(signed.signatures, lines, strict=True):
            is_its = (it.name, it.key_id) == (key.name, key.id) and key.name == given.origin
            if is_its and key.has_signed(signed.text, it.signature):
                return read_checkpoint(signed.text + b"\n" + line)
    raise FailedError(f"The checkpoint of {given.origin} is not signed by the log's key.")


async def _must_continue(source: LogSource, seen: Checkpoint | None, newest: Checkpoint) -> None:
    """Raise FailedError unless what was *seen* is the beginning of what is there now."""
    if seen is None:
        return
    if seen.origin != newest.origin:
        raise FailedError(
            f"The log is {newest.origin}, and {seen.origin} was countersigned until now: its history forked, or it is another. "
            "Countersign it with another --seen, if that is how it should be."
        )
    if newest.size < seen.size:
        raise FailedError(f"The log went back: it has {newest.size} events, and {seen.size} were countersigned.")
    if newest.size == seen.size:
        if newest.root != seen.root:
            raise FailedError(f"The log shows other {newest.size} events than were countersigned.")
        return
    tiles = await read_tiles(source, list(tree.tiles_for_consistency(seen.size, newest.size)))
    proof = tree.consistency_proof(seen.size, newest.size, tiles)
    if not tree.is_consistent(seen.size, seen.root, newest.size, newest.root, proof):
        raise FailedError(
            f"The log's {newest.size} events are no continuation of the {seen.size} that were countersigned."
        )


def _seen(path: Path) -> Checkpoint | None:
    try:
        return read_checkpoint(path.read_bytes())
    except FileNotFoundError:
        return None
    except NoteError as error:
        raise FailedError(f"{path}: {error}") from None


def _keep_seen(path: Path, checkpoint: Checkpoint) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("wb") as file:
        file.write(checkpoint.note)
        file.flush()
        os.fsync(file.fileno())
    os.rename(unfinished, path)
    synchronize(path.absolute().parent)


@contextmanager
def _kept_alone(path: Path) -> Iterator[None]:
    """Two at once could countersign two histories."""
    lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
