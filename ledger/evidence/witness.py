"""The witness: a folder, best on another disk, that keeps every checkpoint, and is never restored with the database.

<folder>/<org>/<yyyy-mm-dd>.checkpoints    signed notes one after another, each behind an empty line; only ever added to
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from jobledger.ledger.evidence.checkpoint import Checkpoint, read_checkpoint
from jobledger.ledger.evidence.note import NoteError

SUFFIX = ".checkpoints"
# A checkpoint is far shorter, whatever cosigned it.
TAIL_BYTES = 64 * 1024
# What was cut off by a crash is no note, and was never served.
NOTE = re.compile(rb"[^\n]+\n[0-9]+\n[A-Za-z0-9+/]{43}=\n\n(?:\xe2\x80\x94 [^\n]+\n)+")


class Witness:
    """The checkpoints that the installation's servers have ever given out. Its calls block; they raise OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._newest: dict[str, tuple[tuple[str, int], Checkpoint | None]] = {}

    def newest(self, org: str) -> Checkpoint | None:
        """The newest checkpoint of an org, None where there is none. Remembered as long as the file is as it was."""
        for path in reversed(self._files(org)):
            state = (path.name, path.stat().st_size)
            known = self._newest.get(org)
            if known is None or known[0] != state:
                known = self._newest[org] = (state, _last_of(path, state[1]))
            if known[1] is not None:
                return known[1]
        return None

    def append(self, org: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; on disk when this returns. To be called by one at a time for an org."""
        if self.newest(org) == checkpoint:
            return
        folder = self.folder / org
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            _synchronize(folder.parent)
        files = self._files(org)
        # Never before the last one, whatever the clock says.
        name = max(f"{datetime.now(UTC):%Y-%m-%d}{SUFFIX}", *(it.name for it in files[-1:]), "")
        is_new = not files or files[-1].name != name
        file = os.open(folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, b"\n" + checkpoint.note)
            os.fsync(file)
        finally:
            os.close(file)
        if is_new:
            _synchronize(folder)
        # If we die before this line it is kept, and is no more than the database can prove.

    def every(self, org: str) -> Iterator[Checkpoint]:
        """Every checkpoint of an org, the oldest first."""
        for path in self._files(org):
            yield from _checkpoints_in(path.read_bytes())

    def orgs(self) -> list[str]:
        """The orgs of which it has any."""
        try:
            return sorted(it.name for it in self.folder.iterdir() if it.is_dir())
        except FileNotFoundError:
            return []

    def _files(self, org: str) -> list[Path]:
        try:
            return sorted(it for it in (self.folder / org).iterdir() if it.name.endswith(SUFFIX))
        except FileNotFoundError:
            return []


def _last_of(path: Path, size_bytes: int) -> Checkpoint | None:
    with path.open("rb") as file:
        file.seek(max(0, size_bytes - TAIL_BYTES))
        found = list(_checkpoints_in(file.read()))
    return found[-1] if found else None


def _checkpoints_in(text: bytes) -> Iterator[Checkpoint]:
    for match in NOTE.finditer(text):
        try:
            yield read_checkpoint(match[0])
        except NoteError:
            continue


def _synchronize(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
