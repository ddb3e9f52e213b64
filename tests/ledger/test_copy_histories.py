"""Random histories of jobs on copies: what the rules forbid is refused, all or none is done, and live equals rebuilt.

Beside the ledger goes a model of the rules in a few plain lines, which says of each request whether it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

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
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from jobledger.ledger.domain.job_commands import FailJob, StartJob, SucceedJob
from jobledger.ledger.domain.job_copies import NoteCopied
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.job_removal import DeleteJob
from jobledger.ledger.domain.policy_commands import ChangePolicy
from jobledger.projections.copy_query import CopyJobsFilter, CopyQuery
from tests.auditor import audit
from tests.histories import OrgHistories, Place
from tests.world import registration

# The copies, and the storage policy of each.
POLICIES = {9: 7, 10: 7, 20: 8}
# Most often those on which most jobs are.
COPIES = st.sampled_from([9, 9, 10, 10, 20])
MOST_JOBS = 5
AVAILABLE, TO_BE_COPIED, NOT_TO_BE_COPIED = STATES = ("available", "to_be_copied", "not_to_be_copied")
RUNNING = "RUNNING"


@dataclass
class Modelled:
    """A job, as the rules have it: how it stands on its copies, which of them it was deleted from, what a user retains."""

    on: dict[int, str]
    requires: set[int]
    state: str = "SCHEDULED"
    days: int = 0
    deleted: set[int] = field(default_factory=set)
    retentions: set[int | None] = field(default_factory=set)
    is_gone: bool = False

    @property
    def is_final(self) -> bool:
        return self.state in ("SUCCESS", "FAILED")

    def is_there(self, copy_id: int) -> bool:
        """Whether its data lies on the copy, or is to."""
        is_meant = self.on.get(copy_id) in (AVAILABLE, TO_BE_COPIED)
        return is_meant and copy_id not in self.deleted and not self.is_gone


class Histories(OrgHistories):
    """One org with three copies of two storage policies."""

    kind = "copied"

    def __init__(self) -> None:
        super().__init__()
        for copy_id, policy in POLICIES.items():
            given = {"storage_policy_id": policy, "storage_policy_name": f"policy {policy}", "name": f"copy {copy_id}"}
            self.tell(PutCopy(caller=self.caller, copy_id=copy_id, **given), is_refused=False)  # type: ignore[arg-type]
        self.jobs: dict[int, Modelled] = {}
        self.holds: list[set[int]] = []
        self.days = 0
        # A chain on one copy: without it most of what is asked would be refused for one reason.
        for requires in ([], [1], [2]):
            self.add({9: AVAILABLE, 10: TO_BE_COPIED if requires else AVAILABLE}, requires)
        self.tell(StartJob(caller=self.caller, job_id=3), is_refused=False)
        self.jobs[3].state = RUNNING

    def is_kept(self, number: int, copy_id: int | None) -> bool:
        """On the copy; None: as a whole."""
        job = self.jobs[number]
        is_retained = bool(job.retentions) if copy_id is None else bool(job.retentions & {None, copy_id})
        return is_retained or (job.is_final and job.days > 0) or any(number in hold for hold in self.holds)

    def requiring(self, number: int) -> set[int]:
        """All that require it, directly or not."""
        reached, todo = set[int](), [number]
        while todo:
            required = todo.pop()
            new = {it for it, job in self.jobs.items() if required in job.requires} - reached
            reached |= new
            todo += new
        return reached

    def may_be_deleted_from(self, number: int, copy_id: int, listed: set[int]) -> bool:
        job = self.jobs[number]
        if copy_id in job.deleted:
            return True
        others = {it for it in self.requiring(number) if self.jobs[it].is_there(copy_id)} - listed
        return job.state != RUNNING and not self.is_kept(number, copy_id) and not others

    def choose(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.jobs)))

    def choose_some(self, data: st.DataObject) -> list[int]:
        """Some jobs, more than once perhaps; now and then one that is none."""
        some = st.lists(st.sampled_from(sorted(self.jobs)), min_size=1, max_size=3)
        return data.draw(some) + data.draw(st.sampled_from([*[[]] * 9, [10_000]]))

    def add(self, on: dict[int, str], requires: list[int]) -> None:
        copies = [{"id": copy_id, "state": state} for copy_id, state in on.items()]
        command = registration(caller=self.caller, copies=copies or None, required_job_ids=requires or None)
        self.tell(command, is_refused=False)
        self.jobs[len(self.jobs) + 1] = Modelled(dict(on), set(requires))

    def ask(
        self, kind: type[CopyOperation], copy_id: int, numbers: list[int], allows: Any, changes: Any, **members: Any
    ) -> None:
        """One operation on several jobs: all allow it and it changes those that are not so already, or none is changed."""
        listed = set(numbers)
        known = listed <= self.jobs.keys() and not any(self.jobs[it].is_gone for it in listed)
        is_refused = not (known and all(allows(it) for it in listed))
        command = kind(caller=self.caller, copy_id=copy_id, job_ids=numbers, **members)
        outcome = self.tell(command, is_refused=is_refused)
        if outcome is not None:
            # One after the other: whether it is changed, and then that it is.
            changed = [it for it in dict.fromkeys(numbers) if changes(self.jobs[it])]
            assert outcome.result == {"copy_id": copy_id, "jobs": list(dict.fromkeys(numbers)), "changed": changed}
            assert outcome.event_count == len(changed)

    @precondition(lambda self: len(self.jobs) < MOST_JOBS)
    @rule(data=st.data(), on=st.dictionaries(COPIES, st.sampled_from(STATES), min_size=1))
    def register(self, data: st.DataObject, on: dict[int, str]) -> None:
        known = sorted(it for it, job in self.jobs.items() if not job.is_gone)
        requires = data.draw(st.lists(st.sampled_from(known), max_size=2)) if known else []
        self.add(on, requires)

    @rule(data=st.data(), kind=st.sampled_from([StartJob, SucceedJob, FailJob]))
    def go_on(self, data: st.DataObject, kind: Any) -> None:
        number = self.choose(data)
        job = self.jobs[number]
        allowed = ("SCHEDULED", RUNNING) if kind is StartJob else (RUNNING,)
        command = kind(caller=self.caller, job_id=number)
        if self.tell(command, is_refused=job.is_gone or job.state not in allowed) is not None:
            job.state = {StartJob: RUNNING, SucceedJob: "SUCCESS", FailJob: "FAILED"}[kind]
            job.days = self.days if job.is_final else 0

    @rule(data=st.data(), copy_id=COPIES)
    def note_copied(self, data: st.DataObject, copy_id: int) -> None:
        number = self.choose(data)
        job = self.jobs[number]
        is_refused = job.is_gone or job.on.get(copy_id) == NOT_TO_BE_COPIED
        if self.tell(NoteCopied(caller=self.caller, job_id=number, copy_id=copy_id), is_refused=is_refused) is not None:
            job.on[copy_id] = AVAILABLE
            job.deleted.discard(copy_id)

    @rule(data=st.data(), copy_id=COPIES, kind=st.sampled_from([DisallowCopy, DisallowAllCopies, AllowCopy]))
    def allow_or_disallow(self, data: st.DataObject, copy_id: int, kind: type[CopyOperation]) -> None:
        siblings = {it for it, policy in POLICIES.items() if policy == POLICIES[copy_id]}
        meant = siblings if kind is DisallowAllCopies else {copy_id}

        def allows(number: int) -> bool:
            on = self.jobs[number].on
            is_copied = kind is DisallowCopy and on.get(copy_id) == AVAILABLE
            return not siblings.isdisjoint(on) and not is_copied

        def changes(job: Modelled) -> bool:
            before = dict(job.on), set(job.deleted)
            if kind is AllowCopy:
                if job.on.get(copy_id) != AVAILABLE or copy_id in job.deleted:
                    job.on[copy_id] = TO_BE_COPIED
                    job.deleted.discard(copy_id)
            else:
                job.on |= {it: NOT_TO_BE_COPIED for it in meant if job.on.get(it) != AVAILABLE}
            return before != (job.on, job.deleted)

        self.ask(kind, copy_id, self.choose_some(data), allows, changes)

    @rule(data=st.data(), copy_id=COPIES)
    def delete_from_copy(self, data: st.DataObject, copy_id: int) -> None:
        numbers = self.choose_some(data)
        if data.draw(st.booleans()):
            # With all that require them: nothing but what keeps them stands in the way.
            numbers += sorted(
                {it for number in numbers for it in self.requiring(number) if copy_id in self.jobs[it].on}
            )

        def allows(number: int) -> bool:
            return copy_id in self.jobs[number].on and self.may_be_deleted_from(number, copy_id, set(numbers))

        def changes(job: Modelled) -> bool:
            before = len(job.deleted)
            job.deleted.add(copy_id)
            return len(job.deleted) > before

        self.ask(DeleteFromCopy, copy_id, numbers, allows, changes, reason="asked for")

    @rule(data=st.data(), copy_id=COPIES, releases=st.booleans())
    def retain_or_release_on_copy(self, data: st.DataObject, copy_id: int, releases: bool) -> None:
        """All are retained until released; times are tried elsewhere."""

        def allows(number: int) -> bool:
            job = self.jobs[number]
            return copy_id in job.on and (releases or copy_id not in job.deleted)

        def changes(job: Modelled) -> bool:
            was = copy_id in job.retentions
            (job.retentions.discard if releases else job.retentions.add)(copy_id)
            return was == releases

        if releases:
            self.ask(ReleaseOnCopy, copy_id, self.choose_some(data), allows, changes, reason="settled")
        else:
            self.ask(RetainOnCopy, copy_id, self.choose_some(data), allows, changes)

    @rule(data=st.data(), what=st.sampled_from(["retain", "release", "hold", "settle", "policy", "delete"]))
    def decide_whole(self, data: st.DataObject, what: str) -> None:
        """What keeps or removes a job on all of its copies."""
        number = self.choose(data)
        job, given = self.jobs[number], {"caller": self.caller, "reason": "asked for"}
        match what:
            case "retain" | "release":
                kind: Any = RetainJob if what == "retain" else ReleaseJob
                if self.tell(kind(job_id=number, **given), is_refused=job.is_gone) is not None:
                    (job.retentions.add if what == "retain" else job.retentions.discard)(None)
            case "hold":
                hold = PlaceHold(name="case", job_ids=[number], **given)  # type: ignore[arg-type]
                if self.tell(hold, is_refused=job.is_gone) is not None:
                    self.holds.append({number})
            case "settle":
                for hold_id in range(1, len(self.holds) + 1):
                    self.tell(ReleaseHold(hold_id=hold_id, **given), is_refused=False)  # type: ignore[arg-type]
                self.holds = [set() for _ in self.holds]
            case "policy":
                # Of jobs that have ended it lengthens what there is, never shortens it.
                self.days = data.draw(st.sampled_from([0, 30]))
                rules = [{"basic_days": self.days}] if self.days else []
                self.tell(ChangePolicy(rules=rules, **given), is_refused=False)  # type: ignore[arg-type]
                for it in self.jobs.values():
                    it.days = max(it.days, self.days) if it.is_final else 0
            case "delete":
                is_refused = not job.is_gone and (job.state == RUNNING or self.is_kept(number, None))
                delete = DeleteJob(job_id=number, **given)  # type: ignore[arg-type]
                if self.tell(delete, is_refused=is_refused) is not None:
                    job.is_gone = True

    @rule()
    def look(self) -> None:
        """What is on each copy, how, and who requires it, is what the rules say; rows are those of a fold of all events."""
        query = CopyQuery(self.ledger.database)
        for copy_id in POLICIES:
            on = {number for number, job in self.jobs.items() if copy_id in job.on and not job.is_gone}
            for state in STATES:
                for is_deleted in (False, True):
                    wanted = CopyJobsFilter(states=(state,), is_deleted=is_deleted)
                    rows, _ = self.run(query.page(self.org, copy_id, wanted, None))
                    assert {it["id"] for it in rows} == {
                        it
                        for it in on
                        if self.jobs[it].on[copy_id] == state and (copy_id in self.jobs[it].deleted) is is_deleted
                    }
            for number in self.jobs:
                found = self.run(query.dependents(self.org, copy_id, [number], None))
                meant = {it: copy_id in self.jobs[it].deleted for it in self.requiring(number) & on}
                meant = {it: gone for it, gone in meant.items() if self.jobs[it].on[copy_id] != NOT_TO_BE_COPIED}
                assert found == meant
        self.run(audit(self.url, self.org))


@pytest.mark.parametrize("examples", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_no_history_changes_what_the_rules_keep_on_a_copy(place: Place, examples: int) -> None:
    place.try_histories(Histories, examples=examples, steps=40)
