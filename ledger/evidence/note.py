"""Signed notes: a text, a blank line, and a line for each signature.

— <key name> <base64 of key id (4 bytes) ‖ signature (64 bytes)>
key id         the first 4 bytes of SHA-256(key name ‖ 0x0A ‖ 0x01 ‖ public key)
verifier key   <key name>+<key id, 8 hex digits>+<base64 of 0x01 ‖ public key>
                                                       Source: C2SP signed-note; 0x01 is Ed25519
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
KEY_BYTES = 32
SIGNATURE_BYTES = 64
KEY_NAME = re.compile(r"[^\s+]+")
SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


class NoteError(Exception):
    """A note, or a verifier key, that is none, or is not signed by whom it must be; the message says why."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Who signs, under a name: the public half of an Ed25519 key."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """By which its signatures are told from others', 4 bytes."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def has_signed(self, text: bytes, signature: bytes) -> bool:
        """Whether it is its signature of the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_verifier_key(text: str) -> VerifierKey:
    """The verifier key in its own form. Raises NoteError."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not KEY_NAME.fullmatch(parts[0]):
        raise NoteError("A verifier key is <name>+<8 hex digits>+<base64>.")
    key = VerifierKey(parts[0], _decoded(parts[2])[1:])
    if _decoded(parts[2])[:1] != ED25519 or len(key.public) != KEY_BYTES or key.id.hex() != parts[1].lower():
        raise NoteError("It is not the verifier key of an Ed25519 key.")
    return key


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key, by its seed of 32 bytes."""

    seed: bytes = field(repr=False)

    @property
    def public(self) -> bytes:
        """Its public half, 32 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()

    def named(self, name: str) -> VerifierKey:
        """The public half under a name."""
        return VerifierKey(name, self.public)

    def sign(self, text: bytes) -> bytes:
        """The signature of a text, 64 bytes; the same each time."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(text)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature in a note."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text, ending in a newline, and what signed it."""

    text: bytes
    signatures: tuple[Signature, ...]

    def must_be_signed_by(self, key: VerifierKey) -> None:
        """Raise NoteError unless the key signed it."""
        for it in self.signatures:
            if it.name == key.name and it.key_id == key.id and key.has_signed(self.text, it.signature):
                return
        raise NoteError(f"It is not signed by {key}.")


def sign_note(text: bytes, name: str, keys: Sequence[SigningKey]) -> bytes:
    """The note of a text that ends in a newline, signed by these keys under the same name."""
    lines = [f"— {name} {base64.b64encode(key.named(name).id + key.sign(text)).decode()}\n".encode() for key in keys]
    return text + b"\n" + b"".join(lines)


def read_note(note: bytes) -> Note:
    """What is in a note; nothing is verified. Raises NoteError."""
    text, blank, lines = note.rpartition(b"\n\n")
    if not blank or not lines.endswith(b"\n"):
        raise NoteError("It is no signed note.")
    try:
        words = [SIGNATURE.fullmatch(it) for it in lines.decode().removesuffix("\n").split("\n")]
    except UnicodeDecodeError:
        raise NoteError("It is no signed note.") from None
    signatures = []
    for word in words:
        if word is None:
            raise NoteError("It has a line among its signatures that is none.")
        given = _decoded(word[2])
        if len(given) < 5:
            raise NoteError("It has a signature that is too short.")
        signatures.append(Signature(word[1], given[:4], given[4:]))
    return Note(text + b"\n", tuple(signatures))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{text[:100]!r} is not base64.") from None
