"""Random histories of jobs in workflows: steps are taken as diagrams have them, and of what is removed nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.diagram_commands import ActivateDiagram, CreateDiagram, DeleteDiagramVersion, SaveDiagram
from jobledger.ledger.domain.job_workflow_commands import (
    AddAttachment,
    CreateJobs,
    RemoveAttachment,
    TakeSteps,
    UpdateJob,
    UpgradeJob,
)
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.ledger.store.attachments import AttachmentStore, Upload
from tests.cluster import session
from tests.histories import NUMBERS, QUICK, STEPS, Ask, Place
from tests.job_histories import MOST_LIVING, JobHistories
from tests.modelled_jobs import RUNNING, SUCCESS, Modelled
from tests.world import registration

# What versions of the diagram look like: of each step whether it may be skipped, and what follows.
SHAPES: list[dict[str, tuple[bool, list[str]]]] = [
    {"a": (False, ["b"]), "b": (True, ["c"]), "c": (False, [])},
    {"a": (True, ["b", "c"]), "b": (False, ["d"]), "c": (True, ["d"]), "d": (False, [])},
    {"a": (False, ["d"]), "d": (True, [])},
]
# Two of its steps lead to one.
PARALLEL = 1
DRAFT = -1
SOME_STEPS = (["a"], ["b"], ["c"], ["d"], ["b", "c"], ["d", "a"])


def content(shape: int) -> dict[str, Any]:
    """The version's content, as it is sent."""
    steps = [{"id": name, "can_skip": can_skip, "next": after} for name, (can_skip, after) in SHAPES[shape].items()]
    return {"steps": steps, "initial_step": "a"}


@dataclass(eq=False)
class ModelledInWorkflow(Modelled):
    """Where a job is in its diagram: ``standing`` are its current steps, each with its state and whether it may be skipped."""

    version: int | None = None
    standing: dict[str, tuple[str, bool]] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    progress: float = 0
    said: str | None = None
    attached: dict[str, str] = field(default_factory=dict)


class Histories(JobHistories):
    """One org with one diagram, of which jobs are created."""

    kind = "drawn"
    types = ("copy", "Permit")

    def __init__(self) -> None:
        super().__init__()
        self.store = AttachmentStore(self.ledger.database)
        self.tell(CreateDiagram(caller=self.caller, name="Permit", content=content(PARALLEL), is_active=True))
        self.versions = [PARALLEL]
        self.deleted: set[int] = set()
        self.active = 1
        self.draft: int | None = None
        self.create_jobs(2)
        # Their diagram goes on without them.
        self.save(0, True)

    # The diagram.

    def shape_of(self, job: ModelledInWorkflow) -> dict[str, tuple[bool, list[str]]]:
        assert job.version is not None
        return SHAPES[self.versions[job.version - 1]]

    def save_version(self, shape: int) -> None:
        self.versions.append(shape)
        self.active, self.draft = len(self.versions), None

    @rule(shape=st.integers(0, len(SHAPES) - 1), is_active=st.booleans())
    def save(self, shape: int, is_active: bool) -> None:
        command = SaveDiagram(caller=self.caller, diagram_id=1, content=content(shape), is_active=is_active)
        outcome = self.tell(command)
        assert outcome is not None
        of_active = is_active or self.draft is None
        is_so = shape == (self.versions[self.active - 1] if of_active else self.draft)
        assert (outcome.event_count == 0) is is_so
        if not is_so and is_active:
            self.save_version(shape)
        elif not is_so:
            self.draft = shape
        assert outcome.result["active_version"] == self.active

    @rule(data=st.data(), deletes=st.booleans())
    def activate(self, data: st.DataObject, deletes: bool) -> None:
        number = data.draw(st.sampled_from([DRAFT, *range(1, len(self.versions) + 2)]))
        is_known = self.draft is not None if number == DRAFT else number <= len(self.versions)
        codes = set() if is_known and number not in self.deleted else {"not_found"}
        if deletes:
            codes = codes or ({"diagram_version_is_active"} if number == self.active else set())
            if self.tell(DeleteDiagramVersion(caller=self.caller, diagram_id=1, number=number), codes) is not None:
                self.draft = None if number == DRAFT else self.draft
                self.deleted |= {number} - {DRAFT}
        elif self.tell(ActivateDiagram(caller=self.caller, diagram_id=1, number=number), codes) is not None:
            if number == DRAFT:
                assert self.draft is not None
                self.save_version(self.draft)
            else:
                self.active = number

    # Its jobs.

    def create_jobs(self, how_many: int) -> None:
        command = CreateJobs(caller=self.caller, template_id=1, diagram_id=1, domain="Global", number_of_jobs=how_many)
        self.tell(command)
        can_skip = SHAPES[self.versions[self.active - 1]]["a"][0]
        for _ in range(how_many):
            job = ModelledInWorkflow(len(self.jobs) + 1, "Permit", registered_at=self.now, version=self.active)
            job.standing = {"a": ("ready", can_skip)}
            self.jobs.append(job)

    @precondition(lambda self: len(self.living) < MOST_LIVING)
    @rule(how_many=st.integers(1, 2))
    def create(self, how_many: int) -> None:
        self.create_jobs(how_many)

    @precondition(lambda self: len(self.living) < MOST_LIVING)
    @rule()
    def register(self) -> None:
        self.tell(registration(caller=self.caller))
        self.jobs.append(ModelledInWorkflow(len(self.jobs) + 1, registered_at=self.now))

    def lose_private(self, job: Modelled) -> None:
        super().lose_private(job)
        assert isinstance(job, ModelledInWorkflow)
        self.removed += job.attached.values()
        job.attached = {}

    # What may be asked of a job.

    def asks_of_one_that_is_there(self, job: Modelled) -> Iterator[Ask]:
        yield from super().asks_of_one_that_is_there(job)
        assert isinstance(job, ModelledInWorkflow)
        named: dict[str, Any] = {"caller": self.caller, "job_id": job.number}
        yield from self.asks_for_steps(job, named)
        yield Ask(UpgradeJob(**named), *self.upgrading(job))
        closed = {"job_is_closed"} if job.is_closed else set()
        for said in ("one", "two", ""):
            differs = (said or None) != job.said
            then = self.setting(job, said or None) if differs else None
            yield Ask(UpdateJob(**named, members={"details": {"description": said}}), closed if differs else (), then)
        if closed or job.gone is not None:
            unwritten: dict[str, Any] = {
                "attachment_id": "00000000-0000-4000-8000-000000000000",
                "name": "none",
                "sha256": "0" * 64,
            }
            yield Ask(AddAttachment(**named, **unwritten, size_bytes=0, chunk_count=0), closed)
        kept, reasons = self.kept_codes(job), self.reasons(job)
        elsewhere = [it for other in self.jobs for it in other.attached if other is not job]
        for attachment_id in [*job.attached, *elsewhere[:1], "none"]:
            command = RemoveAttachment(**named, attachment_id=attachment_id, reason="asked for")
            if attachment_id in job.attached:
                yield Ask(command, closed | kept, self.detaching(job, attachment_id), reasons)
            else:
                yield Ask(command, {"not_found"})

    def setting(self, job: ModelledInWorkflow, said: str | None) -> Callable[[Outcome], None]:
        return lambda _: setattr(job, "said", said)

    def detaching(self, job: ModelledInWorkflow, attachment_id: str) -> Callable[[Outcome], None]:
        return lambda _: self.removed.append(job.attached.pop(attachment_id))

    def upgrading(self, job: ModelledInWorkflow) -> tuple[set[str], Callable[[Outcome], None] | None]:
        """For what it is refused, and what becomes of it."""
        if job.version is None:
            return {"job_has_no_diagram"}, None
        if job.version == self.active:
            return set(), None
        shape = SHAPES[self.versions[self.active - 1]]
        codes = {"job_is_closed"} if job.is_closed else set()
        codes |= {"job_is_running"} if job.state == RUNNING else set()
        codes |= set() if job.standing.keys() <= shape.keys() else {"step_is_not_there"}

        def upgrade(_: Outcome) -> None:
            job.version = self.active
            job.standing = {it: (state, shape[it][0]) for it, (state, _) in job.standing.items()}

        return codes, upgrade

    def asks_for_steps(self, job: ModelledInWorkflow, named: dict[str, Any]) -> Iterator[Ask]:
        if job.version is None:
            for action in ("run", "set_current"):
                yield Ask(TakeSteps(**named, action=action, step_ids=["a"]), {"job_has_no_diagram"})
            return
        codes = {"job_is_closed"} if job.is_closed else set()
        codes |= {"job_is_final"} if job.is_final else set()
        codes |= {"job_is_held"} if any(it.holds(job) for it in self.holds) else set()
        asked = [None, *([it] for it in job.standing), *SOME_STEPS]
        for action in ("run", "stop", "finish"):
            for steps in asked:
                command = TakeSteps(**named, action=action, step_ids=steps)
                no_steps = {"invalid"} if steps is None and not job.standing else set()
                yield Ask(command, codes or no_steps, self.taking(job, action, steps))
        for steps in SOME_STEPS:
            unknown = set() if set(steps) <= self.shape_of(job).keys() else {"step_is_not_there"}
            then = None if set(steps) == job.standing.keys() else self.standing_at(job, steps)
            yield Ask(TakeSteps(**named, action="set_current", step_ids=steps), codes | unknown, then)

    def standing_at(self, job: ModelledInWorkflow, steps: list[str]) -> Callable[[Outcome], None]:
        def stand(_: Outcome) -> None:
            shape = self.shape_of(job)
            job.standing = {it: job.standing.get(it) or ("ready", shape[it][0]) for it in steps}

        return stand

    def taking(self, job: ModelledInWorkflow, action: str, steps: list[str] | None) -> Callable[[Outcome], None] | None:
        """Each of the steps is judged by itself. None where none of them makes a difference."""
        wanted = list(job.standing) if steps is None else steps

        def take(outcome: Outcome) -> None:
            told = outcome.result["steps"]
            assert [it["is_done"] for it in told] == [self.takes(job, action, it) for it in wanted]

        # This only asks whether it would.
        tried = replace(job, standing=dict(job.standing), finished=set(job.finished))
        taken = [] if job.is_final else [self.takes(tried, action, it) for it in wanted]
        was, becomes = ((it.state, it.standing, it.finished) for it in (job, tried))
        return take if any(taken) and was != becomes else None

    def takes(self, job: ModelledInWorkflow, action: str, step: str) -> bool:
        if step not in job.standing:
            return False
        state, can_skip = job.standing[step]
        if action == "run":
            job.state = RUNNING
            job.standing[step] = ("running", can_skip)
        elif action == "stop":
            job.standing[step] = ("stopped" if state == "running" else state, can_skip)
        elif state == "ready" and not can_skip:
            return False
        else:
            del job.standing[step]
            shape = self.shape_of(job)
            for after in shape.get(step, (False, []))[1]:
                job.standing.setdefault(after, ("ready", shape[after][0]))
            job.finished.add(step)
            job.progress = round(len(job.finished & shape.keys()) / len(shape), 6)
            job.state = RUNNING
            if not job.standing:
                job.progress = 1
                self.end(job, SUCCESS)
        return True

    @precondition(lambda self: self.living)
    @rule(data=st.data(), pieces=st.lists(st.binary(min_size=1, max_size=50), max_size=2))
    def attach(self, data: st.DataObject, pieces: list[bytes]) -> None:
        """What is written and not recorded is gone."""
        job = self.choose(data)
        upload, name = Upload(self.org), f"name-{next(NUMBERS)}-"
        for piece in pieces:
            self.run(self.store.add(upload, piece))
        self.run(self.store.finish(upload))
        sizes: dict[str, Any] = {
            "size_bytes": upload.size_bytes,
            "chunk_count": upload.chunk_count,
            "sha256": upload.sha256,
        }
        named: dict[str, Any] = {"caller": self.caller, "job_id": job.number, "attachment_id": str(upload.id)}
        codes = {"gone"} if job.gone is not None else {"job_is_closed"} if job.is_closed else set()
        if self.tell(AddAttachment(**named, name=name, **sizes), codes) is not None:
            job.attached[str(upload.id)] = name
            job.is_clear = False
        else:
            self.run(self.store.discard(upload))

    @rule()
    def upgrade_all(self) -> None:
        """Each is judged by itself."""
        asks = {it.number: self.upgrading(it) if it.gone is None else ({"gone"}, None) for it in self.jobs}
        commands = [UpgradeJob(caller=self.caller, job_id=it) for it in asks]
        outcome = self.tell(ManageJobs(caller=self.caller, commands=commands))
        assert outcome is not None
        assert [it["id"] for it in outcome.result["done"]] == [it for it, (codes, _) in asks.items() if not codes]
        assert all(it["code"] in asks[it["id"]][0] for it in outcome.result["refused"])
        for codes, then in asks.values():
            if then is not None and not codes:
                then(outcome)

    def look_at(self, job: Modelled, shown: dict[str, Any]) -> None:
        super().look_at(job, shown)
        assert isinstance(job, ModelledInWorkflow)
        assert (shown["details"] or {}).get("description") == job.said
        assert (shown["attachment_names"] or {}) == job.attached
        assert (shown["attachments"] or {}).keys() == job.attached.keys()
        assert (shown["workflow"] is None) == (job.version is None)
        if job.version is not None:
            workflow = shown["workflow"]
            steps = {it["id"]: (it["state"], it.get("can_skip", False)) for it in workflow["steps"]}
            assert steps == job.standing
            assert (workflow["diagram_version"], workflow["finished"]) == (job.version, sorted(job.finished))
            assert job.progress == shown["progress"] or job.state != RUNNING

    @rule()
    def look(self) -> None:
        """Of what is attached there are bytes, and of nothing else."""
        super().look()
        private, chunks = self.run(self.private_contents()), self.run(self.kept_bytes())
        assert [it for job in self.jobs for it in job.attached.values() if it not in private] == []
        assert chunks <= {it for job in self.jobs for it in job.attached}

    async def kept_bytes(self) -> set[str]:
        """The ids of what is attached of which there are bytes."""
        async with session(self.url) as owner:
            ids = await owner.fetch("SELECT DISTINCT id FROM attachment_chunk WHERE org = $1", self.org)
        return {str(it["id"]) for it in ids}


@pytest.mark.parametrize("examples", [QUICK, pytest.param(40, marks=pytest.mark.slow)])
def test_no_history_takes_a_step_that_is_not_there(place: Place, examples: int) -> None:
    place.try_histories(Histories, examples=examples, steps=STEPS)
