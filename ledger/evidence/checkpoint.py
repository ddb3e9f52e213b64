"""A checkpoint: the tree's head, which is signed.

<installation>/<org>                    the origin; after a fork of the history <installation>/<org>/2, and so on
<size>                                  decimal
<base64 of the root, 32 bytes>
                                                       Source: C2SP tlog-checkpoint
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from jobledger.ledger.evidence.note import Note, NoteError, SigningKey, read_note, sign_note

TEXT = re.compile(rb"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*")


def origin_of(installation: str, org: str, fork: int) -> str:
    """What names one history of an org: no two have the same."""
    return f"{installation}/{org}" + ("" if fork == 1 else f"/{fork}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """That the history *origin* began with these *size* leaves. ``note`` is its signed note."""

    origin: str
    size: int
    root: bytes
    note: bytes

    @property
    def fork(self) -> int:
        """Which of the org's histories it is of, from 1."""
        parts = self.origin.split("/")
        return int(parts[2]) if len(parts) == 3 else 1

    @property
    def signed(self) -> Note:
        """The note, taken apart."""
        return read_note(self.note)


def sign_checkpoint(origin: str, size: int, root: bytes, key: SigningKey) -> Checkpoint:
    """A checkpoint. The same each time."""
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()
    return Checkpoint(origin, size, root, sign_note(text, origin, [key]))


def read_checkpoint(note: bytes) -> Checkpoint:
    """The checkpoint in a note; who signed it is not asked. Raises NoteError."""
    match = TEXT.fullmatch(read_note(note).text)
    if match is None:
        raise NoteError("It is no checkpoint.")
    try:
        origin, root = match[1].decode(), base64.b64decode(match[3], validate=True)
    except (UnicodeDecodeError, binascii.Error):
        raise NoteError("It is no checkpoint.") from None
    parts = origin.split("/")
    if len(parts) not in (2, 3) or (len(parts) == 3 and not re.fullmatch(r"[1-9][0-9]{0,8}", parts[2])):
        raise NoteError("It is not the checkpoint of an org's ledger.")
    return Checkpoint(origin, int(match[2]), root, note)
