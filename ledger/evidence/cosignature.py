"""What a witness signs below a checkpoint: that it saw it at a time, and that it continues what it had seen before.

    cosignature/v1
    time <seconds since 1970, decimal>
    <the checkpoint's text>

key id         the first 4 bytes of SHA-256(key name ‖ 0x0A ‖ 0x04 ‖ public key)
signature      time (8 bytes, big-endian) ‖ signature (64 bytes)
verifier key   <key name>+<key id, 8 hex digits>+<base64 of 0x04 ‖ public key>
                                                       Source: C2SP tlog-cosignature
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from jobledger.ledger.evidence.note import (
    KEY_BYTES,
    KEY_NAME,
    SIGNATURE_BYTES,
    NoteError,
    Signature,
    SigningKey,
    VerifierKey,
    read_note,
)

COSIGNATURE = b"\x04"
TIME_BYTES = 8
LONGEST_LINE = 1_000


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """Who countersigns, under a name: the public half of an Ed25519 key."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """By which its cosignatures are told from others', 4 bytes."""
        return sha256(self.name.encode() + b"\n" + COSIGNATURE + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(COSIGNATURE + self.public).decode()}"


def read_witness_key(text: str) -> WitnessKey:
    """The verifier key of a witness in its own form. Raises NoteError."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not KEY_NAME.fullmatch(parts[0]):
        raise NoteError("A verifier key is <name>+<8 hex digits>+<base64>.")
    try:
        encoded = base64.b64decode(parts[2], validate=True)
    except (binascii.Error, ValueError):
        encoded = b""
    key = WitnessKey(parts[0], encoded[1:])
    if encoded[:1] != COSIGNATURE or len(key.public) != KEY_BYTES or key.id.hex() != parts[1].lower():
        raise NoteError("It is not the verifier key of a witness with an Ed25519 key.")
    return key


def cosign(text: bytes, name: str, key: SigningKey, at_s: int) -> str:
    """The line by which a witness of this name countersigns a checkpoint's text, its newline with it."""
    signature = at_s.to_bytes(TIME_BYTES, "big") + key.sign(_signed(text, at_s))
    return f"— {name} {base64.b64encode(WitnessKey(name, key.public).id + signature).decode()}\n"


def read_cosignature(line: str) -> Signature:
    """What is in such a line. Raises NoteError."""
    line = line.removesuffix("\n")
    if len(line) > LONGEST_LINE or "\n" in line:
        raise NoteError("It is one line.")
    return read_note(f"-\n\n{line}\n".encode()).signatures[0]


def cosigned_at(text: bytes, line: str, key: WitnessKey) -> int:
    """When the witness countersigned a checkpoint's text by this line, in seconds since 1970. Raises NoteError."""
    it = read_cosignature(line)
    if (it.name, it.key_id) != (key.name, key.id) or len(it.signature) != TIME_BYTES + SIGNATURE_BYTES:
        raise NoteError(f"It is no cosignature of {key}.")
    at_s = int.from_bytes(it.signature[:TIME_BYTES], "big")
    if not VerifierKey(key.name, key.public).has_signed(_signed(text, at_s), it.signature[TIME_BYTES:]):
        raise NoteError(f"{key} has not signed this checkpoint so.")
    return at_s


def _signed(text: bytes, at_s: int) -> bytes:
    return f"cosignature/v1\ntime {at_s}\n".encode() + text
