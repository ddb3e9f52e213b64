"""An RFC 3161 time stamp, as far as is needed to know what it is of and when it was made. Its signature is not checked here: whom
to trust with the time is for who verifies to say (``openssl ts -verify``).

    TimeStampResp    SEQUENCE { PKIStatusInfo, TimeStampToken }
    TimeStampToken   SEQUENCE { OID signedData, [0] SEQUENCE { version, digests, SEQUENCE { OID TSTInfo, [0] OCTET STRING } … } }
    TSTInfo          SEQUENCE { version, policy, SEQUENCE { SEQUENCE { OID hash … }, OCTET STRING }, serial, GeneralizedTime … }
                                                       Source: RFC 3161, section 2.4.2; RFC 5652, section 5
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

LARGEST_TOKEN_BYTES = 64 * 1024
INTEGER, OCTET_STRING, OBJECT_ID, GENERALIZED_TIME, SEQUENCE, SET, EXPLICIT = 0x02, 0x04, 0x06, 0x18, 0x30, 0x31, 0xA0
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")
HASHES: dict[bytes, Callable[[bytes], Any]] = {
    bytes.fromhex("608648016503040201"): hashlib.sha256,
    bytes.fromhex("608648016503040202"): hashlib.sha384,
    bytes.fromhex("608648016503040203"): hashlib.sha512,
}
TIME = re.compile(rb"(\d{14})(?:\.(\d{1,9}))?Z")


class TimestampError(Exception):
    """What was given is no time stamp that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """``token`` is the TimeStampToken by itself; ``imprint`` the hash that was stamped, of the kind that ``hash`` makes."""

    token: bytes
    stamped_at: datetime
    imprint: bytes
    hash: Callable[[bytes], Any]

    def is_of(self, data: bytes) -> bool:
        """Whether it was made of these bytes."""
        return bool(self.hash(data).digest() == self.imprint)


def read_timestamp(given: bytes) -> Timestamp:
    """The time stamp in a response of an authority, or in the token alone. Raises TimestampError."""
    if len(given) > LARGEST_TOKEN_BYTES:
        raise TimestampError(f"A time stamp is at most {LARGEST_TOKEN_BYTES} bytes.")
    try:
        return _read(given)
    except (IndexError, ValueError, OverflowError):
        raise TimestampError("It is no time stamp of RFC 3161 in DER.") from None


def _read(given: bytes) -> Timestamp:
    outer = _only(given)
    first = _Parts(outer.value(SEQUENCE))
    if first.tag == SEQUENCE:
        status = _Parts(first.value(SEQUENCE)).value(INTEGER)
        if int.from_bytes(status, "big") > 1:
            raise TimestampError("The authority did not grant it.")
        token = first.whole(SEQUENCE)
    else:
        token = given
    content = _Parts(_only(token).value(SEQUENCE))
    _must_be(content.value(OBJECT_ID), SIGNED_DATA)
    signed = _Parts(_only(content.value(EXPLICIT)).value(SEQUENCE))
    signed.value(INTEGER)
    signed.value(SET)
    wrapped = _Parts(signed.value(SEQUENCE))
    _must_be(wrapped.value(OBJECT_ID), TST_INFO)
    info = _Parts(_only(_only(wrapped.value(EXPLICIT)).value(OCTET_STRING)).value(SEQUENCE))
    info.value(INTEGER)
    info.value(OBJECT_ID)
    imprint = _Parts(info.value(SEQUENCE))
    algorithm = _Parts(imprint.value(SEQUENCE)).value(OBJECT_ID)
    hashed = imprint.value(OCTET_STRING)
    info.value(INTEGER)
    time = TIME.fullmatch(info.value(GENERALIZED_TIME))
    if time is None:
        raise TimestampError("It says no time.")
    if algorithm not in HASHES:
        raise TimestampError("Its hash is not of SHA-256, SHA-384 or SHA-512.")
    stamped_at = datetime.strptime(time[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    fraction = timedelta(microseconds=int((time[2] or b"0").decode().ljust(6, "0")[:6]))
    return Timestamp(token, stamped_at + fraction, hashed, HASHES[algorithm])


def _must_be(found: bytes, wanted: bytes) -> None:
    if found != wanted:
        raise ValueError


class _Parts:
    """The elements of a DER value, one after another. Its calls raise IndexError, ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def tag(self) -> int:
        """Of the next one."""
        return self._data[self._at]

    def value(self, tag: int) -> bytes:
        """The content of the next one, which has this tag."""
        start, end = self._next(tag)
        return self._data[start:end]

    def whole(self, tag: int) -> bytes:
        """The next one, which has this tag, as it stands."""
        at = self._at
        _, end = self._next(tag)
        return self._data[at:end]

    def _next(self, tag: int) -> tuple[int, int]:
        _must_be(self._data[self._at : self._at + 1], bytes([tag]))
        length, start = self._data[self._at + 1], self._at + 2
        if length & 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4:
                raise ValueError
            length, start = int.from_bytes(self._data[start : start + count], "big"), start + count
        end = start + length
        if end > len(self._data):
            raise ValueError
        self._at = end
        return start, end


def _only(data: bytes) -> _Parts:
    """Of a value that is one element, and nothing beyond."""
    parts = _Parts(data)
    _, end = parts._next(parts.tag)
    if end != len(data):
        raise ValueError
    return _Parts(data)
