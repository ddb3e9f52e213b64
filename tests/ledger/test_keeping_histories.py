"""Random histories: whatever is asked in whatever order, nothing that is kept is removed, and live equals rebuilt.

Beside the ledger goes a model of the rules in a few plain lines, which says of each request whether it is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from jobledger.ledger.domain.command import Caller, Command, Outcome
from jobledger.ledger.domain.hold import HoldFilter
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from jobledger.ledger.domain.job_commands import CancelJob, FailJob, StartJob, SucceedJob
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.ledger.domain.policy_commands import ChangePolicy
from jobledger.ledger.errors import LedgerError
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.job_query import JobFilter, JobQuery
from tests.auditor import audit
from tests.world import ALICE, registration, serving

NUMBERS = count(1)
TYPES = ("copy", "audit")
LONG_AGO = datetime.now(UTC) - timedelta(days=100)
FINAL = ("SUCCESS", "FAILED", "CANCELLED", "DISCARDED")


@dataclass
class Modelled:
    """A job, as the rules have it: its retentions by copy, and how many days it got when it ended or since."""

    type: str
    state: str = "SCHEDULED"
    ended_days_ago: int = 0
    days: int = 0
    preceding: int | None = None
    gone: str | None = None
    is_closed: bool = False
    retentions: set[int | None] = field(default_factory=set)


@dataclass
class ModelledHold:
    """A hold, as the rules have it."""

    job_ids: set[int]
    type: str | None = None
    state: str | None = None
    is_released: bool = False


class Histories(RuleBasedStateMachine):
    """One org from its beginning."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.org = f"history-{next(NUMBERS)}"
        self.caller: Caller = replace(ALICE, org=self.org)
        self.ledger: Ledger = self.run(self.stack.enter_async_context(serving(self.url)))
        self.run(self.ledger.create_org(self.org))
        self.jobs: list[Modelled] = []
        self.holds: list[ModelledHold] = []
        self.policy: dict[tuple[str | None, str | None], int] = {}
        self.is_locked = False

    def run(self, asked: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asked)

    def tell(self, command: Command, *, is_refused: bool) -> Outcome | None:
        """Execute it: refused exactly where the model says so."""
        if not is_refused:
            outcome: Outcome = self.run(self.ledger.execute(command))
            return outcome
        with pytest.raises(LedgerError):
            self.run(self.ledger.execute(command))
        return None

    def days_for(self, job: Modelled) -> int:
        matching = [
            days
            for (kind, state), days in self.policy.items()
            if kind in (None, job.type) and state in (None, job.state)
        ]
        return max(matching, default=0)

    def end(self, number: int, state: str) -> None:
        job = self.jobs[number]
        job.state = state
        job.days = self.days_for(job)
        if state != "SUCCESS":
            self.discard_behind(number)

    def discard_behind(self, number: int) -> None:
        for behind, job in enumerate(self.jobs):
            if job.preceding == number and job.state == "SCHEDULED" and job.gone is None:
                self.end(behind, "DISCARDED")

    def is_held(self, number: int) -> bool:
        job = self.jobs[number]
        for hold in self.holds:
            if hold.is_released:
                continue
            if number in hold.job_ids:
                return True
            if (hold.type or hold.state) and hold.type in (None, job.type) and hold.state in (None, job.state):
                return True
        return False

    def is_kept(self, number: int) -> bool:
        job = self.jobs[number]
        is_retained = job.state in FINAL and job.days > job.ended_days_ago
        return is_retained or bool(job.retentions) or self.is_held(number)

    def may_be_deleted(self, number: int) -> bool:
        job = self.jobs[number]
        return job.gone is None and job.state != "RUNNING" and not self.is_kept(number)

    def choose(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, len(self.jobs) - 1))

    @rule(kind=st.sampled_from(TYPES), is_past=st.booleans())
    def register(self, kind: str, is_past: bool) -> None:
        past: dict[str, Any] = {"state": "SUCCESS", "started_at": LONG_AGO, "ended_at": LONG_AGO} if is_past else {}
        self.tell(registration(caller=self.caller, type=kind, **past), is_refused=False)
        self.jobs.append(Modelled(kind))
        if is_past:
            self.jobs[-1].ended_days_ago = 100
            self.end(len(self.jobs) - 1, "SUCCESS")

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def register_behind(self, data: st.DataObject) -> None:
        number = self.choose(data)
        before = self.jobs[number]
        command = registration(caller=self.caller, type="copy", preceding_job_id=number + 1)
        if self.tell(command, is_refused=before.gone is not None) is not None:
            self.jobs.append(Modelled("copy", preceding=number))
            if before.state in FINAL[1:]:
                self.end(len(self.jobs) - 1, "DISCARDED")

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), kind=st.sampled_from([StartJob, SucceedJob, FailJob, CancelJob]))
    def go_on(self, data: st.DataObject, kind: Any) -> None:
        number = self.choose(data)
        job = self.jobs[number]
        allowed = {StartJob: ("SCHEDULED", "RUNNING"), CancelJob: ("SCHEDULED", "RUNNING")}.get(kind, ("RUNNING",))
        is_refused = job.gone is not None or job.state not in allowed
        is_refused |= kind is StartJob and job.is_closed and job.state == "SCHEDULED"
        if self.tell(kind(caller=self.caller, job_id=number + 1), is_refused=is_refused) is None:
            return
        if kind is StartJob:
            job.state = "RUNNING"
        else:
            self.end(number, {SucceedJob: "SUCCESS", FailJob: "FAILED", CancelJob: "CANCELLED"}[kind])

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), closes=st.booleans())
    def close_or_reopen(self, data: st.DataObject, closes: bool) -> None:
        number = self.choose(data)
        job = self.jobs[number]
        kind: Any = CloseJob if closes else ReopenJob
        refused = (job.state == "RUNNING" and not job.is_closed) if closes else not job.is_closed
        outcome = self.tell(kind(caller=self.caller, job_id=number + 1), is_refused=job.gone is not None or refused)
        if outcome is not None:
            job.is_closed = closes

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), copy_id=st.sampled_from([None, 7]), retains=st.booleans())
    def retain_or_release(self, data: st.DataObject, copy_id: int | None, retains: bool) -> None:
        number = self.choose(data)
        job = self.jobs[number]
        kind: Any = RetainJob if retains else ReleaseJob
        command = kind(caller=self.caller, job_id=number + 1, copy_id=copy_id, reason="asked for")
        if self.tell(command, is_refused=job.gone is not None) is not None:
            (job.retentions.add if retains else job.retentions.discard)(copy_id)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def hold_some(self, data: st.DataObject) -> None:
        numbers = set(data.draw(st.lists(st.integers(0, len(self.jobs) - 1), min_size=1, max_size=3)))
        command = PlaceHold(caller=self.caller, name="case", job_ids=[it + 1 for it in numbers])
        if self.tell(command, is_refused=any(self.jobs[it].gone is not None for it in numbers)) is not None:
            self.holds.append(ModelledHold(numbers))

    @rule(kind=st.sampled_from([None, *TYPES]), state=st.sampled_from([None, *FINAL]))
    def hold_by_filter(self, kind: str | None, state: str | None) -> None:
        command = PlaceHold(caller=self.caller, name="case", filter=HoldFilter(type=kind, state=state))
        if self.tell(command, is_refused=kind is None and state is None) is not None:
            self.holds.append(ModelledHold(set(), kind, state))

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release_hold(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.holds) - 1))
        self.tell(ReleaseHold(caller=self.caller, hold_id=number + 1, reason="settled"), is_refused=False)
        self.holds[number].is_released = True

    @rule(
        rules=st.dictionaries(
            st.tuples(st.sampled_from([None, *TYPES]), st.sampled_from([None, *FINAL])),
            st.sampled_from([1, 30, 200]),
            max_size=2,
        ),
        is_locking=st.booleans(),
    )
    def change_policy(self, rules: dict[tuple[str | None, str | None], int], is_locking: bool) -> None:
        before = {(it, state): self.days_for(Modelled(it, state)) for it in (*TYPES, "other") for state in FINAL}
        kept, self.policy = self.policy, rules
        shortens = any(self.days_for(Modelled(it, state)) < days for (it, state), days in before.items())
        told = [
            {name: it for name, it in (("type", kind), ("state", state)) if it is not None} | {"basic_days": days}
            for (kind, state), days in rules.items()
        ]
        locked = True if is_locking and not shortens else None
        command = ChangePolicy(caller=self.caller, rules=told, locked=locked, reason="law")
        if self.tell(command, is_refused=self.is_locked and shortens) is None:
            self.policy = kept
            return
        self.is_locked |= bool(locked)
        for job in self.jobs:
            if job.state in FINAL:
                job.days = max(job.days, self.days_for(job))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        number = self.choose(data)
        job = self.jobs[number]
        is_refused = job.gone is None and not self.may_be_deleted(number)
        command = DeleteJob(caller=self.caller, job_id=number + 1, reason="asked for")
        if self.tell(command, is_refused=is_refused) is not None and job.gone is None:
            job.gone = "deleted"
            self.discard_behind(number)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def delete_many(self, data: st.DataObject) -> None:
        numbers = data.draw(st.lists(st.integers(0, len(self.jobs) - 1), min_size=1, max_size=4, unique=True))
        commands = [DeleteJob(caller=self.caller, job_id=it + 1, reason="asked for") for it in numbers]
        outcome = self.tell(ManageJobs(caller=self.caller, commands=commands), is_refused=False)
        done = []
        for number in numbers:
            if self.jobs[number].gone is not None or self.may_be_deleted(number):
                done.append(number + 1)
                if self.jobs[number].gone is None:
                    self.jobs[number].gone = "deleted"
                    self.discard_behind(number)
        assert outcome is not None
        assert [it["id"] for it in outcome.result["done"]] == done

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), scope=st.sampled_from(["private", "all"]))
    def erase(self, data: st.DataObject, scope: str) -> None:
        number = self.choose(data)
        job = self.jobs[number]
        is_done = job.gone == "erased" or (job.gone is not None and scope == "private")
        # Of a job that is gone nobody retains anything, but holds and the policy still count.
        is_refused = self.is_kept(number) or (scope == "all" and job.gone is None and job.state not in FINAL)
        command = EraseJob(caller=self.caller, job_id=number + 1, scope=scope, reason="asked for")
        if self.tell(command, is_refused=is_refused and not is_done) is not None and scope == "all":
            job.gone = "erased"

    def teardown(self) -> None:
        """What is listed as retained is what the rules keep; rows are those of a fold of all events."""
        try:
            query = JobQuery(self.ledger.database)
            for is_kept in (True, False):
                page = self.run(query.page(self.org, JobFilter(retained=is_kept), None))
                kept = [n for n, job in enumerate(self.jobs, 1) if job.gone is None and self.is_kept(n - 1) is is_kept]
                assert [int(it.split(b",")[0].removeprefix(b'{"id":')) for it in page.jobs] == kept
                held = self.run(query.page(self.org, JobFilter(held=is_kept), None))
                assert len(held.jobs) == sum(
                    job.gone is None and self.is_held(n) is is_kept for n, job in enumerate(self.jobs)
                )
                closed = self.run(query.page(self.org, JobFilter(closed=is_kept), None))
                assert len(closed.jobs) == sum(job.gone is None and job.is_closed is is_kept for job in self.jobs)
            for number, job in enumerate(self.jobs):
                if job.gone is None:
                    answer = self.run(query.retention(self.org, number + 1, None))
                    assert answer["retained"] is self.is_kept(number)
            self.run(audit(self.url, self.org))
        finally:
            self.run(self.stack.aclose())
            self.runner.close()


def test_no_history_removes_what_is_kept(database_url: str) -> None:
    machine = type("Machine", (Histories,), {"url": database_url})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=30, deadline=None))
