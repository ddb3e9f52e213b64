"""Random histories: commands of every kind in an order that a seed decides; what is refused is passed over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from jobledger.ledger.domain.access_commands import AddPrincipal
from jobledger.ledger.domain.command import Caller, Command
from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.copy_operations import AllowCopy, DeleteFromCopy, DisallowAllCopies
from jobledger.ledger.domain.credential_commands import IssueToken
from jobledger.ledger.domain.diagram_commands import (
    ActivateDiagram,
    ChangeTemplate,
    CreateDiagram,
    CreateTemplate,
    DeleteDiagram,
    SaveDiagram,
)
from jobledger.ledger.domain.hold import HoldFilter
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_commands import (
    CancelJob,
    FailJob,
    ReportProgress,
    StartJob,
    StopJob,
    SucceedJob,
)
from jobledger.ledger.domain.job_copies import NoteCopied
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.domain.job_work import AdvanceWork, BeatWork, ClaimWork, CompleteWork, FailWork
from jobledger.ledger.domain.job_workflow_commands import CreateJobs, TakeSteps, UpdateJob
from jobledger.ledger.domain.policy_commands import ChangePolicy
from jobledger.ledger.domain.schedule_commands import (
    CreateSchedule,
    DeleteSchedule,
    FireSchedule,
    PauseSchedule,
    ResumeSchedule,
    RunMaintenance,
    RunSchedule,
    ScheduleCommand,
)
from jobledger.ledger.errors import LedgerError
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from tests.ledger.archive_histories import Archives
from tests.world import ALICE, spec

TYPES, DOMAINS = ("copy", "audit", "Größe"), ("Global", "Sales")
LONG_AGO = datetime(2024, 2, 28, 23, 30, tzinfo=UTC)


class History:
    """What happens next in an org, as chance has it."""

    def __init__(self, ledger: Ledger, seed: int, caller: Caller = ALICE) -> None:
        self.ledger = ledger
        self.caller = caller
        self.itself = ledger_itself(caller.org)
        self.chance = Random(seed)
        self.jobs: list[int] = []
        # Jobs that are the ledger's own, and schedules.
        self.works: list[int] = []
        self.schedules: list[UUID] = []
        self.next_at: dict[UUID, datetime] = {}
        self.archives = Archives(ledger, caller, self.itself, seed)
        self.holds = 0
        self.names = 0

    async def go_on(self, steps: int) -> None:
        """Ask for so many things."""
        kinds: list[tuple[int, Callable[[], Command]]] = [
            (10, self.register),
            (8, lambda: StartJob(caller=self.caller, job_id=self.job(), stage=self.chance.choice(["fetch", "load"]))),
            (5, self.progress),
            (6, lambda: SucceedJob(caller=self.caller, job_id=self.job())),
            (3, lambda: FailJob(caller=self.caller, job_id=self.job(), error="no route")),
            (2, lambda: CancelJob(caller=self.caller, job_id=self.job())),
            (2, lambda: StopJob(caller=self.caller, job_id=self.job())),
            (1, lambda: CloseJob(caller=self.caller, job_id=self.job())),
            (1, lambda: ReopenJob(caller=self.caller, job_id=self.job())),
            (1, lambda: RetainJob(caller=self.caller, job_id=self.job(), copy_id=self.chance.choice([None, 4]))),
            (1, lambda: ReleaseJob(caller=self.caller, job_id=self.job(), reason="settled")),
            (3, lambda: DeleteJob(caller=self.caller, job_id=self.job(), reason="asked for")),
            (3, self.erase),
            (1, self.hold),
            (1, lambda: ReleaseHold(caller=self.caller, hold_id=self.chance.randint(1, 1 + self.holds), reason="over")),
            (1, self.policy),
            (1, self.principal),
            (1, self.token),
            (2, self.put_copy),
            (4, lambda: NoteCopied(caller=self.caller, job_id=self.job(), copy_id=self.copy())),
            (2, lambda: AllowCopy(caller=self.caller, job_ids=[self.job()], copy_id=self.copy())),
            (1, lambda: DisallowAllCopies(caller=self.caller, job_ids=[self.job()], copy_id=self.copy())),
            (2, lambda: DeleteFromCopy(caller=self.caller, job_ids=[self.job()], copy_id=self.copy(), reason="old")),
            (3, self.draw),
            (2, self.create),
            (4, lambda: TakeSteps(caller=self.caller, job_id=self.job(), action="run", step_ids=None)),
            (3, self.update),
            (10, self.schedule),
            (14, self.work),
        ]
        weights, makes = zip(*kinds, strict=True)
        for _ in range(steps):
            [make] = self.chance.choices(makes, weights)
            command = self.register() if not self.jobs else make()
            if self.archives.chance.random() < 0.03:
                await self.archive()
            try:
                outcome = await self.ledger.execute(command)
            except LedgerError:
                continue
            if isinstance(command, RegisterJobs):
                self.jobs += [it["id"] for it in outcome.result["jobs"]]
            elif isinstance(command, CreateJobs):
                self.jobs += outcome.result["job_ids"]
            elif isinstance(command, CreateSchedule | ScheduleCommand | RunMaintenance):
                self.told_of_schedule(command, outcome.result)
            elif isinstance(command, PlaceHold):
                self.holds += 1

    async def archive(self) -> None:
        """Archive, or purge what an earlier archive holds; what a hold or somebody else forbids stays undone."""
        try:
            is_new = self.archives.chance.random() < 0.6
            job_id = await (self.archives.make() if is_new else self.archives.purge())
        except LedgerError:
            return
        if job_id is not None:
            self.jobs.append(job_id)

    def told_of_schedule(self, command: Command, result: dict[str, Any]) -> None:
        """Which job was registered, if one was, and when it fires next."""
        if "job_id" in result:
            self.works.append(result["job_id"])
            self.jobs.append(result["job_id"])
        if isinstance(command, CreateSchedule | ScheduleCommand) and result.get("next_at"):
            self.next_at[command.schedule_id] = datetime.fromisoformat(result["next_at"])

    def job(self) -> int:
        """Mostly one of the last."""
        return self.chance.choice(self.jobs[-12:] if self.chance.random() < 0.8 else self.jobs)

    def register(self) -> Command:
        """Some jobs, now and then one whose past is told."""
        chance = self.chance
        self.names += 1
        members: dict[str, Any] = {"type": chance.choice(TYPES), "domain": chance.choice(DOMAINS)}
        if chance.random() < 0.3:
            members |= {"source": "cron", "external_id": f"run {chance.randint(1, 9)}"}
        if chance.random() < 0.3:
            members["backup"] = {"sizeOfApplication": chance.choice([0, 7, 2**40, "12", -3, 1.5, None, "many"])}
        if chance.random() < 0.2:
            members["attributes"] = {"a": [1, 2.0, None, {"b": "ü"}]}
        if chance.random() < 0.3 and self.jobs:
            members["preceding_job_id"] = self.job()
        if chance.random() < 0.3 and self.jobs:
            members["required_job_ids"] = [self.job(), self.job()]
        if chance.random() < 0.2:
            begun = LONG_AGO + timedelta(hours=chance.randint(0, 5), microseconds=chance.randint(0, 10**6))
            took = timedelta(milliseconds=chance.choice([0, 3, 127, 128, 5_000, 10**8]))
            members |= {"state": State.SUCCESS, "started_at": begun, "ended_at": begun + took}
        return RegisterJobs(
            caller=self.caller, jobs=[spec(name=f"{self.names}", **members) for _ in range(chance.choice([1, 1, 2]))]
        )

    def copy(self) -> int:
        """One of two of one policy, or one that may not be there."""
        return self.chance.choice([4, 4, 5, 6])

    def put_copy(self) -> Command:
        """A copy, perhaps under another name."""
        copy_id = self.copy()
        named: dict[str, Any] = {
            "name": f"copy {copy_id} {self.chance.randint(1, 3)}",
            "storage_policy_name": "nightly",
        }
        return PutCopy(caller=self.caller, copy_id=copy_id, storage_policy_id=2, **named)

    def number(self) -> int:
        """Of a diagram or a template."""
        return self.chance.randint(1, 4)

    def draw(self) -> Command:
        """Something about diagrams and templates."""
        chance, caller = self.chance, self.caller
        last = chance.choice("bcd")
        content = {"steps": [{"id": "a", "next": [last]}, {"id": last, "next": []}], "initial_step": "a"}
        named: dict[str, Any] = {"caller": caller, "diagram_id": self.number()}
        commands: list[Callable[[], Command]] = [
            lambda: CreateDiagram(caller=caller, name="drawn", content=content, is_active=chance.random() < 0.8),
            lambda: SaveDiagram(**named, content=content, is_active=False),
            lambda: SaveDiagram(**named, content=content, is_active=True),
            lambda: ActivateDiagram(**named, number=chance.choice([-1, 1])),
            lambda: CreateTemplate(**named, name="t", defaults={"priority": "High"}),
            lambda: ChangeTemplate(caller=caller, template_id=self.number(), name="u"),
            lambda: DeleteDiagram(**named),
        ]
        return chance.choices(commands, [4, 2, 2, 1, 4, 1, 0.3])[0]()

    def create(self) -> Command:
        """Jobs that go through a diagram."""
        named: dict[str, Any] = {
            "template_id": self.number(),
            "diagram_id": self.number(),
            "domain": self.chance.choice(DOMAINS),
        }
        return CreateJobs(caller=self.caller, number_of_jobs=2, **named)

    def update(self) -> Command:
        """What people say of a job, some of it private."""
        said: list[dict[str, Any]] = [
            {"details": {"description": f"said {self.chance.randint(1, 3)}"}},
            {"location": {"geometryType": "Point", "geometry": "1,2"}},
            {"name": "renamed"},
        ]
        return UpdateJob(caller=self.caller, job_id=self.job(), members=self.chance.choice(said))

    def schedule(self) -> Command:
        """Something about schedules; what one of them, or a caller, lets run is work of the ledger's own."""
        chance, caller = self.chance, self.caller
        if not self.schedules or chance.random() < 0.1:
            self.schedules.append(UUID(int=chance.getrandbits(128), version=4))
            action = {"kind": "maintenance", "full_build": chance.random() < 0.5}
            expression = chance.choice(["* * * * * ?", "0 0 4 ? * MON", "30 15 8 L * ? 2090"])
            return CreateSchedule(caller=caller, schedule_id=self.schedules[-1], expression=expression, action=action)
        named: dict[str, Any] = {"caller": caller, "schedule_id": chance.choice(self.schedules)}
        due_at = self.next_at.get(named["schedule_id"], LONG_AGO)
        commands: list[Callable[[], Command]] = [
            lambda: FireSchedule(**named | {"caller": self.itself}, due_at=due_at),
            lambda: RunSchedule(**named),
            lambda: RunMaintenance(caller=caller),
            lambda: PauseSchedule(**named, reason="quiet"),
            lambda: ResumeSchedule(**named),
            lambda: DeleteSchedule(**named, reason="no more"),
        ]
        return chance.choices(commands, [4, 4, 4, 2, 2, 0.5])[0]()

    def work(self) -> Command:
        """A step of the ledger's own work: mostly of a job that it is, by whoever has the claim, or had it."""
        chance = self.chance
        job_id = chance.choice(self.works[-4:]) if self.works and chance.random() < 0.9 else self.job()
        known: dict[str, Any] = {"caller": self.itself, "job_id": job_id, "claim": chance.choice([0, 1, 1, 2])}
        commands: list[Callable[[], Command]] = [
            lambda: ClaimWork(**known, server="s", lapse=timedelta(0)),
            lambda: AdvanceWork(**known, stage=chance.choice(["verify", "prune"]), memory={"at": chance.randint(1, 9)}),
            lambda: AdvanceWork(**known, progress=chance.random(), figures={"events_verified": 3}),
            lambda: BeatWork(**known),
            lambda: CompleteWork(**known),
            lambda: FailWork(**known, error="no room"),
            lambda: CancelJob(caller=self.caller, job_id=job_id),
            lambda: CloseJob(caller=self.caller, job_id=job_id),
            lambda: DeleteJob(caller=self.caller, job_id=job_id, reason="asked for"),
        ]
        return chance.choices(commands, [8, 6, 2, 1, 2, 1, 0.5, 0.5, 0.5])[0]()

    def progress(self) -> Command:
        """A report, perhaps of bytes."""
        reports: list[dict[str, int | float] | None] = [None, {"bytes": 5}, {"bytes": 2**50, "files": 1.25}]
        figures = self.chance.choice(reports)
        return ReportProgress(
            caller=self.caller, job_id=self.job(), progress=self.chance.choice([0, 0.5, 1]), figures=figures
        )

    def erase(self) -> Command:
        """All of it, or what is private."""
        return EraseJob(
            caller=self.caller, job_id=self.job(), scope=self.chance.choice(["private", "all"]), reason="asked for"
        )

    def hold(self) -> Command:
        """Over a job, or a filter that hits few."""
        if self.chance.random() < 0.5:
            return PlaceHold(caller=self.caller, name="case", reason="law", job_ids=(self.job(),))
        return PlaceHold(caller=self.caller, name="case", reason="law", filter=HoldFilter(type="Größe", domain="Sales"))

    def policy(self) -> Command:
        """Another policy, by which most jobs are free."""
        rule = {"type": "audit", "basic_days": self.chance.choice([0, 1])}
        return ChangePolicy(caller=self.caller, rules=[rule], reason="law")

    def principal(self) -> Command:
        """Somebody new."""
        self.names += 1
        return AddPrincipal(caller=self.itself, name=f"p{self.names}", roles=("client",))

    def token(self) -> Command:
        """A token of one of them."""
        return IssueToken(
            caller=self.itself,
            principal=f"p{self.chance.randint(1, self.names)}",
            credential=UUID(int=self.chance.getrandbits(128)),
            token_hash=self.chance.randbytes(32),
        )


def history_of(ledger: Ledger, org: str, seed: int) -> History:
    """A history of another org."""
    return History(ledger, seed, replace(ALICE, org=org))
