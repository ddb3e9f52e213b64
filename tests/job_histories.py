"""Random histories of jobs: what is common to all of them, beside a model of the rules in a few plain lines.

Of a job that is chosen all is asked that there is: what the rules refuse, what is so already, and, beside what is refused, so
that nothing comes of it, what they allow. So a state that is reached is tried whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.hold import HoldFilter
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from jobledger.ledger.domain.job_commands import CancelJob, FailJob, JobTransition, StartJob, SucceedJob
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.domain.job_workflow_commands import UpdateJob
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.ledger.domain.policy_commands import ChangePolicy
from jobledger.projections.job_query import JobFilter, JobQuery
from tests.histories import DAY, FOREVER, NUMBERS, Ask, OrgHistories, instant, told_reasons
from tests.modelled_jobs import (
    BROKEN,
    CANCELLED,
    DISCARDED,
    FAILED,
    FINAL,
    LONG_AGO,
    RUNNING,
    SCHEDULED,
    SUCCESS,
    Modelled,
    ModelledHold,
)

MOST_LIVING = 4
MOST_HOLDS = 2
NO_JOB = 10_000


class JobHistories(OrgHistories):
    """One org with a few jobs."""

    types: tuple[str, ...] = ("copy",)
    copy_ids: tuple[int | None, ...] = (None,)

    def __init__(self) -> None:
        super().__init__()
        # Each what the histories at hand make of a Modelled.
        self.jobs: list[Any] = []
        self.holds: list[ModelledHold] = []
        self.policy: dict[tuple[str | None, str | None], tuple[int, int]] = {}
        self.removed: list[str] = []

    # What the rules say.

    @property
    def living(self) -> list[Any]:
        return [it for it in self.jobs if it.gone is None]

    def days_for(self, job_type: str, state: str) -> tuple[int, int]:
        matching = [
            days for (kind, ended), days in self.policy.items() if kind in (None, job_type) and ended in (None, state)
        ]
        return max((it[0] for it in matching), default=0), max((it[1] for it in matching), default=0)

    def reasons(self, job: Modelled, copy_id: int | None = None) -> list[tuple[Any, ...]]:
        """Why the job may not be removed, or its data on the copy: kind, which hold or copy, until when."""
        held = [("hold", number, FOREVER) for number, it in enumerate(self.holds, 1) if it.holds(job)]
        users = [
            ("user", on, until)
            for on, until in sorted(job.retentions.items(), key=lambda it: it[0] or 0)
            if until > self.now and (copy_id is None or on in (None, copy_id))
        ]
        policy = [
            (kind, None, until)
            for kind, days in (("extended", job.days[1]), ("basic", job.days[0]))
            if days and (until := job.counted_from + days * DAY) > self.now
        ]
        return [*held, *users, *policy]

    def kept_codes(self, job: Modelled, copy_id: int | None = None) -> set[str]:
        reasons = self.reasons(job, copy_id)
        return {"job_is_held" if reasons[0][0] == "hold" else "job_is_retained"} if reasons else set()

    def end(self, job: Modelled, state: str, told_end: int | None = None, *, is_past: bool = False) -> None:
        job.state = state
        job.ended_at = self.now if told_end is None else told_end
        job.counted_from = job.ended_at if is_past else max(job.ended_at, self.now)
        job.days = self.days_for(job.type, state)
        if state in BROKEN:
            self.discard_behind(job)

    def discard_behind(self, job: Modelled) -> None:
        for behind in self.living:
            if behind.preceding == job.number and behind.state == SCHEDULED:
                self.end(behind, DISCARDED)

    def lose_private(self, job: Modelled) -> None:
        self.removed += job.secrets
        job.secrets, job.place, job.is_clear = [], None, True

    def go(self, job: Modelled, gone: str) -> None:
        was_there = job.gone is None
        self.lose_private(job)
        job.gone = gone
        job.retentions = {}
        if was_there and gone == "deleted":
            self.discard_behind(job)

    # What may be asked of a job.

    def asks(self, job: Modelled) -> Iterator[Ask]:
        """All that may be asked of one job, and what the rules say to it."""
        for ask in self.asks_of_one_that_is_there(job):
            yield Ask(ask.command, {"gone"}) if job.gone is not None else ask
        yield from self.asks_to_remove(job)

    def asks_of_one_that_is_there(self, job: Modelled) -> Iterator[Ask]:
        named: dict[str, Any] = {"caller": self.caller, "job_id": job.number}
        final = {"job_is_final"} if job.is_final else set()
        ending = final or ({"job_is_not_running"} if job.state == SCHEDULED else set())
        to_start = final or ({"job_is_closed"} if job.state == SCHEDULED and job.is_closed else set())

        def set_to(name: str, value: Any) -> Callable[[Outcome], None]:
            return lambda _: setattr(job, name, value)

        begins = None if job.state == RUNNING else set_to("state", RUNNING)
        yield Ask(StartJob(**named), to_start, begins)
        for told in (None, LONG_AGO, self.now + 2 * DAY):
            ended_at = None if told is None else instant(told)
            yield Ask(SucceedJob(**named, ended_at=ended_at), ending, self.ending(job, SUCCESS, told))
        yield Ask(FailJob(**named), ending, self.ending(job, FAILED), weight=1)
        yield Ask(CancelJob(**named), final, self.ending(job, CANCELLED), weight=1)
        running = {"job_is_running"} if job.state == RUNNING else set()
        yield Ask(
            CloseJob(**named), set() if job.is_closed else running, None if job.is_closed else set_to("is_closed", True)
        )
        yield Ask(ReopenJob(**named), set() if job.is_closed else {"job_is_open"}, set_to("is_closed", False))
        yield from self.asks_to_retain(job, named)
        place = {"geometryType": "Point", "geometry": f"place-{next(NUMBERS)}-"}
        closed = {"job_is_closed"} if job.is_closed else set()

        def located(_: Outcome) -> None:
            job.place = place["geometry"]
            job.secrets.append(place["geometry"])
            job.is_clear = False

        yield Ask(UpdateJob(**named, members={"location": place}), closed, located)

    def ending(self, job: Modelled, state: str, told_end: int | None = None) -> Callable[[Outcome], None]:
        return lambda _: self.end(job, state, told_end)

    def asks_to_retain(self, job: Modelled, named: dict[str, Any]) -> Iterator[Ask]:
        for copy_id in self.copy_ids:
            known = job.retentions.get(copy_id)
            for until in (self.now, self.now + 1, self.now + DAY, FOREVER):
                command = RetainJob(**named, copy_id=copy_id, until=None if until == FOREVER else instant(until))
                retained = self.retaining(job, copy_id, until) if known is None or known < until else None
                codes = {"invalid"} if until == self.now else set()
                yield Ask(command, codes if copy_id is None else {"not_found"}, retained)
            is_over = known is None or known <= self.now
            released = None if is_over else self.retaining(job, copy_id, 0)
            yield Ask(ReleaseJob(**named, copy_id=copy_id, reason="settled"), (), released)
            yield Ask(ReleaseJob(**named, copy_id=copy_id), {"invalid"})

    def retaining(self, job: Modelled, copy_id: int | None, until: float) -> Callable[[Outcome], None]:
        return lambda _: job.retentions.update({copy_id: until})

    def asks_to_remove(self, job: Modelled) -> Iterator[Ask]:
        named: dict[str, Any] = {"caller": self.caller, "job_id": job.number}
        kept, reasons = self.kept_codes(job), self.reasons(job)
        if job.gone is not None:
            yield Ask(DeleteJob(**named, reason="again"))
        else:
            running = {"job_is_running"} if job.state == RUNNING else set()
            yield Ask(
                DeleteJob(**named, reason="law"), running | kept, lambda _: self.go(job, "deleted"), reasons, weight=1
            )
        yield Ask(DeleteJob(**named), {"invalid"})
        for scope in ("private", "all"):
            command = EraseJob(**named, scope=scope, reason="law")
            if job.gone == "erased" or (scope == "private" and (job.gone is not None or job.is_clear)):
                yield Ask(command)
            elif scope == "private":
                yield Ask(command, kept, lambda _: self.lose_private(job), reasons)
            else:
                unended = {"job_is_not_final"} if job.gone is None and not job.is_final else set()
                yield Ask(command, kept | unended, lambda _: self.go(job, "erased"), reasons, weight=1)
        yield Ask(EraseJob(**named, scope="private"), {"invalid"})

    def choose(self, data: st.DataObject) -> Any:
        """A job, seldom one that is gone."""
        living = self.living
        return data.draw(st.sampled_from([*living * 4, *self.jobs] if living else self.jobs))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def ask_everything(self, data: st.DataObject) -> None:
        """Something that is allowed, and then, of the state that this leads to, all that there is to ask."""
        job = self.choose(data)
        for _ in range(2):
            self.ask_something(data, job)
            asks = [it if it.codes or it.then is None else self.unmade(it) for it in self.asks(job)]
            self.probe([it for it in asks if it is not None])

    def unmade(self, ask: Ask) -> Ask | None:
        """The same beside what is refused, all or none: it is told whether it would be allowed, and nothing is done."""
        if not isinstance(ask.command, JobTransition):
            return None
        commands = [ask.command, StartJob(caller=self.caller, job_id=NO_JOB)]
        together = ManageJobs(caller=self.caller, commands=commands, all_or_none=True)
        return Ask(together, {"jobs_refused"}, refused={NO_JOB: {"not_found"}})

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), is_elsewhere=st.booleans())
    def ask_one(self, data: st.DataObject, is_elsewhere: bool) -> None:
        if is_elsewhere:
            self.change_servers()
        self.ask_something(data, self.choose(data))
        self.look_at_jobs()

    def ask_something(self, data: st.DataObject, job: Modelled) -> None:
        allowed = [it for it in self.asks(job) if not it.codes and it.then is not None]
        if not allowed:
            return
        # However many there are of a kind.
        weights = {it.kind: it.weight for it in allowed}
        kind = data.draw(st.sampled_from([it for it, weight in weights.items() for _ in range(weight)]))
        ask = data.draw(st.sampled_from([it for it in allowed if it.kind == kind]))
        outcome = self.tell(ask.command)
        assert outcome is not None
        assert outcome.event_count > 0
        assert ask.then is not None
        ask.then(outcome)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), kind=st.sampled_from([CloseJob, ReopenJob, DeleteJob]))
    def manage(self, data: st.DataObject, kind: Any) -> None:
        """Of several jobs each is judged by itself, one after the other."""
        jobs = data.draw(st.lists(st.sampled_from(self.jobs), min_size=2, max_size=4, unique=True))
        commands: list[Any] = []
        done: list[int] = []
        refused: dict[int, Any] = {}
        for job in jobs:
            ask = next(it for it in self.asks(job) if isinstance(it.command, kind))
            commands.append(ask.command)
            if ask.codes:
                refused[job.number] = ask.codes
            else:
                done.append(job.number)
                if ask.then is not None:
                    ask.then(Outcome({}, None, 0, instant(0)))
        outcome = self.tell(ManageJobs(caller=self.caller, commands=commands))
        assert outcome is not None
        assert [it["id"] for it in outcome.result["done"]] == done
        assert [it["id"] for it in outcome.result["refused"]] == list(refused)
        assert all(it["code"] in refused[it["id"]] for it in outcome.result["refused"])

    # What keeps jobs.

    @rule(data=st.data(), is_listed=st.booleans())
    def hold(self, data: st.DataObject, is_listed: bool) -> None:
        active = [number for number, it in enumerate(self.holds, 1) if not it.is_released]
        if len(active) >= MOST_HOLDS:
            for number in active[data.draw(st.integers(0, 1)) :]:
                self.release_hold(number)
            return
        name = f"case {next(NUMBERS)}"
        if is_listed and self.jobs:
            jobs = data.draw(st.lists(st.sampled_from(self.jobs), min_size=1, max_size=2))
            command = PlaceHold(caller=self.caller, name=name, job_ids=[it.number for it in jobs])
            hold = ModelledHold(name, {it.number for it in jobs})
            codes = {"not_found"} if any(it.gone is not None for it in jobs) else set()
        else:
            criteria: dict[str, Any] = data.draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "type": st.sampled_from(self.types),
                        "state": st.sampled_from([*FINAL, SUCCESS, RUNNING]),
                        "ended_from": st.sampled_from([LONG_AGO, self.now]),
                        "registered_from": st.sampled_from([0, self.now]),
                        "scheduled_from": st.just(LONG_AGO),
                    },
                )
            )
            told: dict[str, Any] = {
                name: instant(it) if name.endswith("_from") else it for name, it in criteria.items()
            }
            command = PlaceHold(caller=self.caller, name=name, filter=HoldFilter(**told))
            hold = ModelledHold(name, criteria=criteria)
            codes = set() if criteria and criteria.get("state") != RUNNING else {"invalid"}
        if self.tell(command, codes) is not None:
            self.holds.append(hold)

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release_some_hold(self, data: st.DataObject) -> None:
        self.release_hold(data.draw(st.integers(1, len(self.holds))))

    def release_hold(self, number: int) -> None:
        self.tell(ReleaseHold(caller=self.caller, hold_id=number), {"invalid"})
        outcome = self.tell(ReleaseHold(caller=self.caller, hold_id=number, reason="settled"))
        assert outcome is not None
        assert (outcome.event_count == 0) is self.holds[number - 1].is_released
        self.holds[number - 1].is_released = True

    @rule(
        rules=st.dictionaries(
            st.tuples(st.sampled_from([None, 0, -1]), st.sampled_from([None, *FINAL[:3]])),
            st.sampled_from([(1, 0), (3, 0), (0, 3), (1, 3)]),
            max_size=2,
        )
    )
    def change_policy(self, rules: dict[tuple[int | None, str | None], tuple[int, int]]) -> None:
        """What it gives jobs that have ended is the more of what they had and of what it says."""
        wanted = {(None if it is None else self.types[it], state): days for (it, state), days in rules.items()}
        self.ask_for_policy(wanted)

    def ask_for_policy(self, wanted: dict[tuple[str | None, str | None], tuple[int, int]], **members: Any) -> bool:
        told = [
            {name: it for name, it in (("type", kind), ("state", state)) if it is not None}
            | {"basic_days": basic, "extended_days": extended}
            for (kind, state), (basic, extended) in wanted.items()
        ]
        command = ChangePolicy(caller=self.caller, rules=told, reason="law", **members)
        if self.tell(command, self.policy_codes(wanted)) is None:
            return False
        self.policy = wanted
        for job in self.jobs:
            if job.is_final:
                now = self.days_for(job.type, job.state)
                job.days = max(job.days[0], now[0]), max(job.days[1], now[1])
        # Jobs that end at the very instant of a change have what was before, too.
        self.move_clock(1)
        return True

    def policy_codes(self, wanted: dict[tuple[str | None, str | None], tuple[int, int]]) -> set[str]:
        return set()

    @rule(data=st.data(), is_just_before=st.booleans())
    def let_time_go_by(self, data: st.DataObject, is_just_before: bool) -> None:
        """Most often until something that keeps a job is over, or the minute before."""
        ends = {until for job in self.jobs for _, _, until in self.reasons(job) if until != FOREVER}
        until = data.draw(st.sampled_from(sorted(ends) or [self.now + DAY])) - is_just_before
        self.move_clock(max(1, int(until) - self.now))
        self.look_at_jobs()

    # What is shown.

    def look_at_jobs(self) -> None:
        """What is shown of jobs is what the rules say."""
        page = self.run(JobQuery(self.ledger.database).page(self.org, JobFilter(), None))
        shown = {it["id"]: it for it in map(orjson.loads, page.jobs)}
        assert list(shown) == [it.number for it in self.living]
        for job in self.living:
            self.look_at(job, shown[job.number])

    def look_at(self, job: Modelled, shown: dict[str, Any]) -> None:
        assert (shown["state"], shown["closed"]) == (job.state, job.is_closed)
        reasons = self.reasons(job)
        retained = [it for it in reasons if it[0] != "hold"]
        assert told_reasons(shown["retention"]) == retained, (shown["retention"], retained, job)
        held = [(number, self.holds[number - 1].name) for kind, number, _ in reasons if kind == "hold"]
        assert [(it["id"], it["name"]) for it in shown["holds"]] == held
        assert (shown["location"] or {}).get("geometry") == job.place

    @rule()
    def look(self) -> None:
        """What is listed is what the rules say, and what was removed is gone, and nothing else."""
        self.look_at_jobs()
        query = JobQuery(self.ledger.database)
        for is_so in (True, False):
            for name, claim in (
                ("retained", lambda it: bool(self.reasons(it))),
                ("held", lambda it: any(hold.holds(it) for hold in self.holds)),
                ("closed", lambda it: it.is_closed),
            ):
                wanted: dict[str, Any] = {name: is_so}
                page = self.run(query.page(self.org, JobFilter(**wanted), None))
                listed = [orjson.loads(it)["id"] for it in page.jobs]
                assert listed == [it.number for it in self.living if claim(it) is is_so], name
        for job in self.living:
            answer = self.run(query.retention(self.org, job.number, None))
            reasons = self.reasons(job)
            assert told_reasons(answer["reasons"]) == reasons
            assert answer["may_be_deleted"] is (not reasons and job.state != RUNNING)
            assert answer["may_be_erased"] is (not reasons and job.is_final)
        private = self.run(self.private_contents())
        assert [it for it in self.removed if it in private] == []
        assert [it for job in self.jobs for it in job.secrets if it not in private] == []
