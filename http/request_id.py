"""The id of a request: a UUID of version 4, as its log line, its answer and its events have it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct

# The kernel is asked for so many at once.
AT_ONCE = 256
# The digits that are random: all but the version's, and the variant's, which is given whole. Source: RFC 9562, section 5.4.
DIGITS = Struct("8s4s3s3s12s")
FORM = b"%b-%b-4%b-a%b-%b"


def new_request_id() -> str:
    """One that no request has had."""
    return next(_ids)


def _make_ids() -> Iterator[str]:
    while True:
        yield from [(FORM % it).decode() for it in DIGITS.iter_unpack(os.urandom(AT_ONCE * 15).hex().encode())]


_ids = _make_ids()
