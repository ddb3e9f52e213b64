"""The keys by which an installation signs its orgs' checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from jobledger.ledger.evidence.note import KEY_BYTES, SigningKey

SEED = re.compile(rf"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}")


def read_signing_keys(text: str) -> list[SigningKey]:
    """The keys in a text, each of 64 hex digits, the newest last. Raises ValueError."""
    words = text.replace(",", " ").split()
    if not words or not all(SEED.fullmatch(it) for it in words):
        raise ValueError(f"is one key, or some with commas between, each of {2 * KEY_BYTES} hex digits")
    return [SigningKey(bytes.fromhex(it)) for it in words]


class KeyRing:
    """The keys that there are; looked up anew where one is asked for that is not among them: it may just have been made."""

    def __init__(self, look_up: Callable[[], Sequence[SigningKey]]) -> None:
        self._look_up = look_up
        self._keys = tuple(look_up())

    @property
    def newest(self) -> SigningKey:
        """By which an org that has no checkpoint yet begins."""
        return self._keys[-1]

    def with_public(self, public: bytes) -> SigningKey | None:
        """The key with this public half, None where it is not here."""
        for _ in range(2):
            for key in self._keys:
                if key.public == public:
                    return key
            self._keys = tuple(self._look_up())
        return None

    def named(self, name: str, key_id: bytes) -> SigningKey | None:
        """The key that signs under a name with this id, None where it is not here."""
        return next((key for key in self._keys if key.named(name).id == key_id), None)
