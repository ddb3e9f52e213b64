"""The id of a request: a UUID of version 4, as its log line, its answer and its events have it."""

from __future__ import annotations

from random import Random

# It need be one that no other request has, and nothing beyond: no secret. (The standard library's asks the kernel for each.)
_random = Random()  # noqa: S311
VERSION = 0x4 << 76
VARIANT = 0x2 << 62
OTHER_BITS = ~(0xF << 76 | 0x3 << 62)


def new_request_id() -> str:
    """One that no request has had. Source: RFC 9562, section 5.4."""
    digits = f"{_random.getrandbits(128) & OTHER_BITS | VERSION | VARIANT:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
