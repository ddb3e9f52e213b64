"""What keeps jobs, as it is shown: the holds that cover a job, and why and until when it is retained."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.hold import FilterHold, HoldFilter
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.policy import NO_POLICY, Policy
from jobledger.ledger.domain.retention import HOLD, Reason, may_be_deleted, may_be_erased, reasons_to_keep
from jobledger.projections.jobs import SHOWN, UNDECIDED, Row, job_from_row, shown_job
from jobledger.projections.policy import read_policy

_read_policy = lru_cache(maxsize=64)(read_policy)


@lru_cache(maxsize=64)
def _read_holds(text: str | None) -> tuple[FilterHold, ...]:
    """The active holds over filters that ``keeping`` tells of."""
    told = [] if text is None else orjson.loads(text)
    return tuple(FilterHold(it["id"], it["name"], HoldFilter.read(it["filter"])) for it in told)


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is said in an org of how long jobs are kept, and the instant of which is asked."""

    policy: Policy
    filter_holds: tuple[FilterHold, ...]
    now: datetime

    @classmethod
    def read(cls, row: asyncpg.Record) -> Keeping:
        """From a row of ``keeping``, or of what has its columns too."""
        return cls(_read_policy(row["policy"]), _read_holds(row["filter_holds"]), row["now"])

    def reasons(self, job: Job, copy_id: int | None = None) -> list[Reason]:
        """See ``reasons_to_keep``."""
        return reasons_to_keep(job, self.policy, self.filter_holds, self.now, copy_id)

    def shown(self, row: Row) -> dict[str, Any]:
        """A job as the API shows it, from its row, with the holds that cover it and the other reasons why it is retained."""
        members = shown_job(row)
        reasons: list[Reason] = []
        has_policy = self.policy is not NO_POLICY and row["final_at"] is not None
        if has_policy or self.filter_holds or row["decisions"] is not None:
            reasons = self.reasons(job_from_row(row))
        members["holds"] = [{"id": it.hold_id, "name": it.name} for it in reasons if it.kind == HOLD]
        members["retention"] = [it.data for it in reasons if it.kind != HOLD]
        return members

    def shown_of(self, job: Job) -> dict[str, Any]:
        """As ``shown``, from the aggregate; instants are not written yet."""
        values = job.__dict__
        members = {name: values.get(key, UNDECIDED.get(name)) for key, name in SHOWN.items()}
        reasons = self.reasons(job)
        members["holds"] = [{"id": it.hold_id, "name": it.name} for it in reasons if it.kind == HOLD]
        members["retention"] = [it.data for it in reasons if it.kind != HOLD]
        return members

    def answer(self, row: asyncpg.Record) -> dict[str, Any]:
        """The answer to the question of retention about one job."""
        job = job_from_row(row)
        reasons = self.reasons(job)
        return {
            "id": job.job_id,
            "state": str(job.state),
            "retained": bool(reasons),
            "reasons": [it.data for it in reasons],
            "may_be_deleted": may_be_deleted(job, reasons),
            "may_be_erased": may_be_erased(job, reasons),
        }
