"""How many bytes a job moved, where its worker or its backup members tell."""

from __future__ import annotations

from typing import Any

from jobledger.ledger.domain.job import Job

# The figure that a worker may report, and the member of ``backup`` that says the same: the size of what was backed up.
FIGURE = "bytes"
BACKUP_MEMBER = "sizeOfApplication"
LARGEST = 2**63 - 1


def moved_bytes(job: Job) -> int | None:
    """How many bytes the job moved, None where nothing tells: its figure ``bytes``, else its backup's ``sizeOfApplication``.

    Of a job that is gone, what its residue says. A number below 0 or beyond 63 bits tells nothing.
    """
    if job.gone is not None:
        return None if job.residue is None else job.residue.get("bytes")
    for members, name in ((job.figures, FIGURE), (job.backup, BACKUP_MEMBER)):
        told = _natural((members or {}).get(name))
        if told is not None:
            return told
    return None


def _natural(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LARGEST:
        return None
    return min(int(value), LARGEST)
