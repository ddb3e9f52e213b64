"""Random histories of jobs on copies: what the rules forbid is refused, and of several jobs all or none is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.copy_operations import (
    AllowCopy,
    CopyOperation,
    DeleteFromCopy,
    DisallowAllCopies,
    DisallowCopy,
    ReleaseOnCopy,
    RetainOnCopy,
)
from jobledger.ledger.domain.job_copies import NoteCopied
from jobledger.projections.copy_query import CopyJobsFilter, CopyQuery
from tests.histories import DAY, FOREVER, QUICK, STEPS, Ask, Place, instant
from tests.job_histories import MOST_LIVING, NO_JOB, JobHistories
from tests.modelled_jobs import RUNNING, Modelled
from tests.world import registration

# The copies, and the storage policy of each.
POLICIES = {9: 7, 10: 7, 20: 8}
# Most often those on which most jobs are.
COPIES = st.sampled_from([9, 9, 10, 10, 20])
AVAILABLE, TO_BE_COPIED, NOT_TO_BE_COPIED = STATES = ("available", "to_be_copied", "not_to_be_copied")
OPERATIONS = (AllowCopy, DisallowCopy, DisallowAllCopies, RetainOnCopy, ReleaseOnCopy, DeleteFromCopy)


@dataclass(eq=False)
class ModelledOnCopies(Modelled):
    """How a job stands on its copies, from which of them it was deleted, and which jobs it requires."""

    on: dict[int, str] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    requires: set[int] = field(default_factory=set)

    def is_there(self, copy_id: int) -> bool:
        """Whether its data lies on the copy, or is to."""
        is_meant = self.on.get(copy_id) in (AVAILABLE, TO_BE_COPIED)
        return is_meant and copy_id not in self.deleted and self.gone is None


class Histories(JobHistories):
    """One org with three copies of two storage policies."""

    kind = "copied"
    copy_ids = (None,)

    def __init__(self) -> None:
        super().__init__()
        for copy_id, policy in POLICIES.items():
            given = {"storage_policy_id": policy, "storage_policy_name": f"policy {policy}", "name": f"copy {copy_id}"}
            self.tell(PutCopy(caller=self.caller, copy_id=copy_id, **given))  # type: ignore[arg-type]
        # A chain, and one that nobody requires.
        for requires in ([], [1], [2], []):
            self.add({9: AVAILABLE, 10: TO_BE_COPIED if requires else AVAILABLE}, requires)

    def add(self, on: dict[int, str], requires: Sequence[int]) -> None:
        copies = [{"id": copy_id, "state": state} for copy_id, state in on.items()]
        self.tell(registration(caller=self.caller, copies=copies or None, required_job_ids=list(requires) or None))
        job = ModelledOnCopies(len(self.jobs) + 1, registered_at=self.now, on=dict(on), requires=set(requires))
        self.jobs.append(job)

    def go(self, job: Modelled, gone: str) -> None:
        super().go(job, gone)
        assert isinstance(job, ModelledOnCopies)
        job.on, job.deleted = {}, set()

    def requiring(self, number: int) -> set[int]:
        """All that require it, directly or not."""
        reached, todo = set[int](), [number]
        while todo:
            required = todo.pop()
            new = {it.number for it in self.jobs if required in it.requires} - reached
            reached |= new
            todo += new
        return reached

    # What the rules say to an operation on one job: for what it is refused, and what changes.

    def codes(self, kind: type[CopyOperation], copy_id: int, number: int, listed: set[int], until: float) -> set[str]:
        if number > len(self.jobs):
            return {"not_found"}
        job = self.jobs[number - 1]
        if job.gone is not None:
            return {"gone"}
        if kind in (AllowCopy, DisallowCopy, DisallowAllCopies):
            if not {it for it, policy in POLICIES.items() if policy == POLICIES[copy_id]} & job.on.keys():
                return {"not_found"}
            return {"job_is_copied"} if kind is DisallowCopy and job.on.get(copy_id) == AVAILABLE else set()
        if copy_id not in job.on:
            return {"not_found"}
        if kind is RetainOnCopy:
            return {"job_copy_is_deleted"} if copy_id in job.deleted else set()
        if kind is ReleaseOnCopy or copy_id in job.deleted:
            return set()
        others = {it for it in self.requiring(number) if self.jobs[it - 1].is_there(copy_id)} - listed
        required = {"job_is_required"} if others else set()
        return self.kept_codes(job, copy_id) | required | ({"job_is_running"} if job.state == RUNNING else set())

    def change(self, kind: type[CopyOperation], copy_id: int, job: ModelledOnCopies, until: float) -> bool:
        """Whether anything is another."""
        before = dict(job.on), set(job.deleted), dict(job.retentions)
        if kind is AllowCopy and (job.on.get(copy_id) in (None, NOT_TO_BE_COPIED) or copy_id in job.deleted):
            job.on[copy_id] = TO_BE_COPIED
            job.deleted.discard(copy_id)
        if kind in (DisallowCopy, DisallowAllCopies):
            meant = {it for it, policy in POLICIES.items() if policy == POLICIES[copy_id]}
            for it in meant if kind is DisallowAllCopies else {copy_id}:
                if job.on.get(it) != AVAILABLE:
                    job.on[it] = NOT_TO_BE_COPIED
        if kind is RetainOnCopy:
            job.retentions[copy_id] = max(job.retentions.get(copy_id, 0), until)
        if kind is ReleaseOnCopy and job.retentions.get(copy_id, 0) > self.now:
            del job.retentions[copy_id]
        if kind is DeleteFromCopy:
            job.deleted.add(copy_id)
        return before != (job.on, job.deleted, job.retentions)

    def command(self, kind: type[CopyOperation], copy_id: int, numbers: Sequence[int], until: float) -> CopyOperation:
        members: dict[str, Any] = {"reason": "law"} if kind in (ReleaseOnCopy, DeleteFromCopy) else {}
        if kind is RetainOnCopy and until != FOREVER:
            members["until"] = instant(until)
        return kind(caller=self.caller, copy_id=copy_id, job_ids=numbers, **members)

    def asks_of_one_that_is_there(self, job: Modelled) -> Iterator[Ask]:
        yield from super().asks_of_one_that_is_there(job)
        assert isinstance(job, ModelledOnCopies)
        for copy_id in POLICIES:
            codes = {"job_copy_is_disallowed"} if job.on.get(copy_id) == NOT_TO_BE_COPIED else set()
            lies_there = job.on.get(copy_id) == AVAILABLE and copy_id not in job.deleted
            noted = None if lies_there else self.noting(job, copy_id)
            yield Ask(NoteCopied(caller=self.caller, job_id=job.number, copy_id=copy_id), codes, noted)

    def noting(self, job: ModelledOnCopies, copy_id: int) -> Callable[[Outcome], None]:
        def note(_: Outcome) -> None:
            job.on[copy_id] = AVAILABLE
            job.deleted.discard(copy_id)

        return note

    def asks_to_remove(self, job: Modelled) -> Iterator[Ask]:
        yield from super().asks_to_remove(job)
        for copy_id in POLICIES:
            for kind in OPERATIONS:
                yield self.ask_of_many(kind, copy_id, [job.number], FOREVER)

    def ask_of_many(self, kind: type[CopyOperation], copy_id: int, numbers: list[int], until: float) -> Ask:
        listed = set(numbers)
        codes = {it: self.codes(kind, copy_id, it, listed, until) for it in dict.fromkeys(numbers)}
        refused = {it: why for it, why in codes.items() if why}
        command = self.command(kind, copy_id, numbers, until)
        if refused:
            is_absent = any(why & {"gone", "not_found"} for why in refused.values())
            return Ask(command, {"jobs_not_found" if is_absent else "jobs_refused"}, refused=refused)
        would_change = [it for it in codes if self.would_change(kind, copy_id, self.jobs[it - 1], until)]

        def do(outcome: Outcome) -> None:
            changed = [it for it in codes if self.change(kind, copy_id, self.jobs[it - 1], until)]
            assert outcome.result == {"copy_id": copy_id, "jobs": list(codes), "changed": changed}
            assert outcome.event_count == len(changed)

        return Ask(command, (), do if would_change else None)

    def unmade(self, ask: Ask) -> Ask | None:
        command = ask.command
        if not isinstance(command, CopyOperation):
            return super().unmade(ask)
        together = self.command(type(command), command.copy_id, [*command.job_ids, NO_JOB], FOREVER)
        return Ask(together, {"jobs_not_found"}, refused={NO_JOB: {"not_found"}})

    def would_change(self, kind: type[CopyOperation], copy_id: int, job: ModelledOnCopies, until: float) -> bool:
        tried = replace(job, on=dict(job.on), deleted=set(job.deleted), retentions=dict(job.retentions))
        return self.change(kind, copy_id, tried, until)

    @rule(
        data=st.data(),
        copy_id=COPIES,
        kind=st.sampled_from([*OPERATIONS, RetainOnCopy, DeleteFromCopy, DeleteFromCopy]),
        days=st.sampled_from([1, 3, FOREVER]),
        with_all=st.booleans(),
    )
    def operate(self, data: st.DataObject, copy_id: int, kind: Any, days: float, with_all: bool) -> None:
        """On several jobs, more than once perhaps; now and then on one that is none."""
        there = [it.number for it in self.living if copy_id in it.on]
        some = st.lists(st.sampled_from([*there * 4, *(it.number for it in self.jobs)]), min_size=1, max_size=3)
        numbers = data.draw(some) + data.draw(st.sampled_from([*[[]] * 9, [NO_JOB]]))
        if with_all:
            # With all that require them: nothing but what keeps them stands in the way.
            known = [it for it in numbers if it <= len(self.jobs)]
            more = {it for number in known for it in self.requiring(number) if copy_id in self.jobs[it - 1].on}
            numbers += sorted(more)
        ask = self.ask_of_many(kind, copy_id, numbers, self.now + days * DAY)
        outcome = self.judge(ask, self.run(self._outcome(ask.command)))
        if outcome is not None:
            assert (ask.then is None) is (outcome.event_count == 0)
            if ask.then is not None:
                ask.then(outcome)

    @precondition(lambda self: len(self.living) < MOST_LIVING + 1)
    @rule(data=st.data(), on=st.dictionaries(COPIES, st.sampled_from(STATES), min_size=1))
    def register(self, data: st.DataObject, on: dict[int, str]) -> None:
        known = [it.number for it in self.living]
        self.add(on, data.draw(st.lists(st.sampled_from(known), max_size=2)) if known else [])

    def look_at(self, job: Modelled, shown: dict[str, Any]) -> None:
        super().look_at(job, shown)
        assert isinstance(job, ModelledOnCopies)
        on = {it["id"]: (it["state"], it["deleted_at"] is not None) for it in shown["copies"] or ()}
        assert on == {it: (state, it in job.deleted) for it, state in job.on.items()}

    @rule()
    def look(self) -> None:
        """What is on each copy, and who requires it there, too."""
        super().look()
        query = CopyQuery(self.ledger.database)
        for copy_id in POLICIES:
            on = {it.number: it for it in self.living if copy_id in it.on}
            for is_deleted in (False, True):
                rows, _ = self.run(query.page(self.org, copy_id, CopyJobsFilter(is_deleted=is_deleted), None))
                assert {it["id"] for it in rows} == {it for it in on if (copy_id in on[it].deleted) is is_deleted}
            for job in self.jobs:
                found = self.run(query.dependents(self.org, copy_id, [job.number], None))
                meant = {it: copy_id in on[it].deleted for it in self.requiring(job.number) & on.keys()}
                assert found == {it: gone for it, gone in meant.items() if on[it].on[copy_id] != NOT_TO_BE_COPIED}


@pytest.mark.parametrize("examples", [QUICK, pytest.param(40, marks=pytest.mark.slow)])
def test_no_history_changes_what_the_rules_keep_on_a_copy(place: Place, examples: int) -> None:
    place.try_histories(Histories, examples=examples, steps=STEPS)
