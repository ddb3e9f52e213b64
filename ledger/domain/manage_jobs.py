"""Many jobs in one command: each judged by itself, or all or none.

All or none of them are one append, for which the others of the org wait. Where each is judged by itself, a few hundred are, and
more are several with the others' appends in between: so nobody waits for long, however many there are.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from jobledger.ledger.domain.command import Find, Outcome, SteppedCommand, UnitOfWork
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.errors import InvalidCommandError, JobsRefusedError, LedgerError, told_refusal

MOST_JOBS = 10_000
# So many are judged before others of this process have a turn.
JOBS_A_TURN = 50
JOBS_AN_APPEND = 128


@dataclass(slots=True, kw_only=True, eq=False)
class ManageJobs(SteppedCommand):
    """Several commands, each about one job of its own, with the same caller as this one.

    Each by itself: those that may be are done, the others refused, whatever the reason, a missing capability among them. The
    result is ``{"done": [results], "refused": [{"id", "code", "detail", …}]}``, each in the order given. ``all_or_none``: if any
    is refused JobsRefusedError names all of these and nothing is done; a missing capability is NotAllowedError. What is
    malformed is so for all of them: InvalidCommandError, and nothing is done. Of a job that is named twice the last command counts.
    """

    capability: ClassVar[str] = "jobs.read"
    is_counted: ClassVar[bool] = False
    commands: Sequence[JobTransition]
    all_or_none: bool = False
    _finds: tuple[Find, ...] | None = field(default=None, init=False)

    @property
    def least_events(self) -> int:
        """One a job: what takes long is deciding, however little it comes to."""
        return len(self.commands)

    @property
    def needs_lock(self) -> bool:  # type: ignore[override]  # of the commands it holds
        """Whether one of them does."""
        return any(it.needs_lock for it in self.commands)

    def must_be_allowed(self) -> None:
        """Raise NotAllowedError; each by itself, that is said of each job."""
        if self.all_or_none:
            for capability in sorted({it.capability for it in self.commands}):
                self.caller.must(capability)

    def streams(self) -> Iterable[str]:
        """Those of all of them."""
        for command in self.commands:
            yield from command.streams()

    def finds(self) -> Iterable[Find]:
        """Those of all of them, each once; of one kind they are answered from one statement."""
        if self._finds is None:
            self._finds = tuple(dict.fromkeys(find for command in self.commands for find in command.finds()))
        return self._finds

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """Those of all of them."""
        known = dict(zip(self.finds(), answers, strict=True))
        return {
            stream
            for command in self.commands
            for stream in command.found_streams([known[find] for find in command.finds()])
        }

    def parts(self) -> Sequence[Self]:
        """Those that are appended one after the other. Their keys are the command's own and such as no client can give.

        Raises InvalidCommandError.
        """
        commands = list(self._by_job().values())
        if self.all_or_none or len(commands) <= JOBS_AN_APPEND:
            return [self]
        key = self.idempotency
        return [
            replace(
                self,
                commands=commands[begin : begin + JOBS_AN_APPEND],
                idempotency=key if key is None or begin == 0 else replace(key, key=f"{key.key}\x1f{begin}"),
            )
            for begin in range(0, len(commands), JOBS_AN_APPEND)
        ]

    def _by_job(self) -> Mapping[int, JobTransition]:
        by_job = {it.job_id: it for it in self.commands}
        if not 0 < len(by_job) <= MOST_JOBS:
            raise InvalidCommandError(f"From 1 to {MOST_JOBS} jobs are managed at once.", limit=MOST_JOBS)
        return by_job

    def joined(self, outcomes: Sequence[Outcome]) -> Outcome:
        """What becomes of the command, of what became of its parts."""
        return Outcome(
            result={
                "done": [it for outcome in outcomes for it in outcome.result["done"]],
                "refused": [it for outcome in outcomes for it in outcome.result["refused"]],
            },
            first_position=next((it.first_position for it in outcomes if it.event_count), None),
            event_count=sum(it.event_count for it in outcomes),
            recorded_at=outcomes[-1].recorded_at,
            is_repeated=all(it.is_repeated for it in outcomes),
            events=tuple(event for it in outcomes for event in it.events),
        )

    def deciding(self, unit: UnitOfWork) -> Generator[None, None, dict[str, Any]]:
        """Raises InvalidCommandError, JobsRefusedError."""
        by_job = self._by_job()
        done: list[dict[str, Any]] = []
        refused: dict[int, LedgerError] = {}
        for number, (job_id, command) in enumerate(by_job.items(), 1):
            try:
                command.must_be_allowed()
                done.append(unit.attempt(command.decide))
            except InvalidCommandError:
                # Of what is asked, which is the same of every job.
                raise
            except LedgerError as refusal:
                refused[job_id] = refusal
            if number % JOBS_A_TURN == 0:
                yield
        if refused and self.all_or_none:
            raise JobsRefusedError(
                f"{len(refused)} of {len(by_job)} jobs are refused, and none was changed.", refused=refused
            )
        return {"done": done, "refused": [told_refusal(job_id, it) for job_id, it in refused.items()]}
