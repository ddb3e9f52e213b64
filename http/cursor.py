"""Cursors: where a list goes on, opaque to clients and good only for the list that gave them."""

from __future__ import annotations

import hmac
from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256

from jobledger.ledger.errors import InvalidCommandError

TAG_BYTES = 16
PLACE_BYTES = 8


class CursorKey:
    """Makes and reads cursors. All servers of one installation hold the same secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def cursor(self, after: int, list_name: str) -> str:
        """The cursor of what lies beyond *after* in that list; the name holds all that tells it from another."""
        return self.place_cursor(after.to_bytes(PLACE_BYTES, "big"), list_name)

    def place_cursor(self, place: bytes, list_name: str) -> str:
        """As ``cursor``, of a list whose places are no numbers."""
        return urlsafe_b64encode(place + self._tag(place, list_name)).decode().rstrip("=")

    def read(self, cursor: str, list_name: str) -> int:
        """What *cursor* goes on after. Raises InvalidCommandError for one that was altered or is of another list."""
        return int.from_bytes(self.read_place(cursor, list_name), "big")

    def read_place(self, cursor: str, list_name: str) -> bytes:
        """What ``place_cursor`` made *cursor* of. Raises InvalidCommandError."""
        try:
            # Strictly: the lenient reading passes over signs that are none of base64's.
            data = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            data = b""
        place, tag = data[:-TAG_BYTES], data[-TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(place, list_name)):
            raise InvalidCommandError("This cursor is not one that this list gave.", parameter="cursor")
        return place

    def sealed(self, data: bytes) -> bytes:
        """What tells *data* from other data to those alone who hold the secret: 32 bytes."""
        return hmac.digest(self._secret, b"sealed" + data, sha256)

    def _tag(self, place: bytes, list_name: str) -> bytes:
        # Of one length, so that the list's name always begins at the same byte.
        if len(place) != PLACE_BYTES:
            place = sha256(place).digest()
        return hmac.new(self._secret, place + list_name.encode(), sha256).digest()[:TAG_BYTES]
