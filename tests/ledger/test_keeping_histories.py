"""Random histories of what keeps jobs: whatever is asked in whatever order, nothing that is kept is removed.

Jobs here follow each other, are known by names of others, or were over before they were told of; a policy may be locked.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from jobledger.ledger.domain.job_keeping import RetainJob
from jobledger.ledger.domain.manage_jobs import ManageJobs
from tests.histories import FOREVER, QUICK, STEPS, Place, instant
from tests.job_histories import MOST_LIVING, JobHistories
from tests.modelled_jobs import BROKEN, DISCARDED, FINAL, LONG_AGO, SUCCESS, Modelled
from tests.world import registration


class Histories(JobHistories):
    """One org with jobs of two types."""

    kind = "kept"
    types = ("copy", "audit")
    copy_ids = (None, 7)

    def __init__(self) -> None:
        super().__init__()
        self.is_locked = False
        self.names: dict[str, int] = {}

    def add(self, job_type: str = "copy", **members: Any) -> Modelled:
        job = Modelled(len(self.jobs) + 1, job_type, registered_at=self.now, **members)
        self.jobs.append(job)
        return job

    @initialize()
    def begin(self) -> None:
        """With three jobs in a row, and the policy's two kinds of days."""
        for preceding in (None, 1, 2):
            self.tell(registration(caller=self.caller, type="copy", preceding_job_id=preceding))
            self.add(preceding=preceding)
        self.ask_for_policy({("audit", None): (1, 3), (None, "FAILED"): (3, 0)})

    @precondition(lambda self: len(self.living) < MOST_LIVING)
    @rule(kind=st.sampled_from(types), state=st.sampled_from([None, SUCCESS, DISCARDED]), is_scheduled=st.booleans())
    def register(self, kind: str, state: str | None, is_scheduled: bool) -> None:
        """Of one that was over before, the policy counts from when it ended."""
        members: dict[str, Any] = {"scheduled_at": instant(LONG_AGO)} if is_scheduled else {}
        if state is not None:
            members |= {"state": state, "ended_at": instant(LONG_AGO)}
            members |= {"started_at": instant(LONG_AGO)} if state == SUCCESS else {}
        self.tell(registration(caller=self.caller, type=kind, **members))
        job = self.add(kind, scheduled_at=LONG_AGO if is_scheduled else None)
        if state is not None:
            self.end(job, state, LONG_AGO, is_past=True)

    @precondition(lambda self: len(self.living) < MOST_LIVING)
    @rule(name=st.sampled_from("ab"), other=st.booleans())
    def register_by_name(self, name: str, other: bool) -> None:
        """It is there already as long as it is not gone; another body is refused."""
        known = self.names.get(name)
        is_known = known is not None and self.jobs[known - 1].gone is None
        members = {"source": "cron", "external_id": name, "name": "nightly"}
        if other and is_known:
            self.tell(registration(caller=self.caller, **{**members, "name": "other"}), {"job_exists"})
        outcome = self.tell(registration(caller=self.caller, **members))
        assert outcome is not None
        if not is_known:
            known = self.names[name] = self.add().number
        assert [it["id"] for it in outcome.result["jobs"]] == [known]

    @precondition(lambda self: self.jobs and len(self.living) < MOST_LIVING)
    @rule(data=st.data())
    def register_behind(self, data: st.DataObject) -> None:
        before = self.choose(data)
        command = registration(caller=self.caller, type="copy", preceding_job_id=before.number)
        if self.tell(command, set() if before.gone is None else {"gone"}) is not None:
            job = self.add(preceding=before.number)
            if before.state in BROKEN:
                self.end(job, DISCARDED)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def retain_many(self, data: st.DataObject) -> None:
        """All or none."""
        jobs = data.draw(st.lists(st.sampled_from(self.jobs), min_size=2, max_size=3, unique=True))
        commands = [RetainJob(caller=self.caller, job_id=it.number) for it in jobs]
        refused = {it.number: {"gone"} for it in jobs if it.gone is not None}
        command = ManageJobs(caller=self.caller, commands=commands, all_or_none=True)
        if self.tell_of_many(command, refused) is not None:
            for job in jobs:
                job.retentions[None] = FOREVER

    def policy_codes(self, wanted: dict[tuple[str | None, str | None], tuple[int, int]]) -> set[str]:
        """A locked policy gives nobody less, be it of a type that it does not name."""
        if not self.is_locked:
            return set()
        kinds = [(it, state) for it in (*self.types, "other") for state in FINAL]
        before = {it: self.days_for(*it) for it in kinds}
        kept, self.policy = self.policy, wanted
        after = {it: self.days_for(*it) for it in kinds}
        self.policy = kept
        is_less = any(after[it][which] < before[it][which] for it in kinds for which in (0, 1))
        return {"policy_is_locked"} if is_less else set()

    @precondition(lambda self: not self.is_locked)
    @rule()
    def lock_policy(self) -> None:
        if self.ask_for_policy(self.policy, locked=True):
            self.is_locked = True


@pytest.mark.parametrize("examples", [QUICK, pytest.param(60, marks=pytest.mark.slow)])
def test_no_history_removes_what_is_kept(place: Place, examples: int) -> None:
    place.try_histories(Histories, examples=examples, steps=STEPS)
