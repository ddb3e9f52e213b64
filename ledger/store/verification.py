"""Verifying a range of an org's ledger as it is stored: nothing of it was altered, none is missing."""

from __future__ import annotations

from hashlib import sha256

from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.recorder import Recorder


async def verify_range(recorder: Recorder, org: str, start: int, end: int) -> int:
    """Re-read the events from *start* to before *end*: the number of contents that were compared with their headers' hashes.

    Positions are dense, ``recorded_at`` never falls, each content there is the one that its header names, and the last header at
    the head has the leaf that the head names. Raises CorruptLedgerError with the first position at fault; NotFoundError,
    DatabaseIsAwayError.
    """
    head = await recorder.head(org)
    position, compared, recorded_at, header = start, 0, "", b""
    async for stored in recorder.scan(org, start=start, end=end):
        header, named = stored.header, stored.envelope()
        if stored.position != position or named["position"] != position or named["org"] != org:
            raise CorruptLedgerError(f"Position {position} of {org} is not where it belongs.")
        if named["recorded_at"] < recorded_at:
            raise CorruptLedgerError(f"Position {position} of {org} was recorded before the one before it.")
        for part, name in ((stored.content, "content"), (stored.private, "private")):
            if part is not None:
                compared += 1
                if sha256(part).hexdigest() != named.get(name):
                    raise CorruptLedgerError(
                        f"The {name} of position {position} of {org} is not the one its header names."
                    )
        recorded_at = named["recorded_at"]
        position += 1
    if position != max(start, end):
        raise CorruptLedgerError(f"Position {position} of {org} is missing.")
    if end == head.size > start and sha256(b"\0" + header).digest() != head.last_leaf:
        raise CorruptLedgerError(f"Position {end - 1} of {org} is not the one that the head names.")
    return compared
