"""Many jobs in one command: each judged by itself, or all or none. One append either way."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jobledger.ledger.domain.command import Find, SteppedCommand, UnitOfWork
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.errors import InvalidCommandError, JobsRefusedError, LedgerError, told_refusal

MOST_JOBS = 10_000
# So many are judged before others of this process have a turn.
JOBS_A_TURN = 50


@dataclass(slots=True, kw_only=True, eq=False)
class ManageJobs(SteppedCommand):
    """Several commands, each about one job of its own, with the same caller as this one.

    Each by itself: those that may be are done, the others refused, whatever the reason, a missing capability among them. The
    result is ``{"done": [results], "refused": [{"id", "code", "detail", …}]}``, each in the order given. ``all_or_none``: if any
    is refused JobsRefusedError names all of these and nothing is done; a missing capability is NotAllowedError. What is
    malformed is so for all of them: InvalidCommandError, and nothing is done.
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

    def deciding(self, unit: UnitOfWork) -> Generator[None, None, dict[str, Any]]:
        """Raises InvalidCommandError, JobsRefusedError."""
        by_job = {it.job_id: it for it in self.commands}
        if not 0 < len(by_job) <= MOST_JOBS:
            raise InvalidCommandError(f"From 1 to {MOST_JOBS} jobs are managed at once.", limit=MOST_JOBS)
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
