"""Random histories of jobs in workflows: steps are taken as diagrams have them, and of what is removed nothing is left.

Beside the ledger goes a model of the rules in a few plain lines, which says of each request whether it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.diagram_commands import ActivateDiagram, CreateDiagram, SaveDiagram
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from jobledger.ledger.domain.job_commands import CancelJob, FailJob, StartJob, SucceedJob
from jobledger.ledger.domain.job_copies import NoteCopied
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.domain.job_workflow_commands import (
    AddAttachment,
    CreateJobs,
    RemoveAttachment,
    TakeSteps,
    UpdateJob,
    UpgradeJob,
)
from jobledger.ledger.store.attachments import AttachmentStore, Upload
from jobledger.projections.job_query import JobQuery
from tests.auditor import audit
from tests.cluster import session
from tests.histories import NUMBERS, OrgHistories, Place
from tests.world import registration

# What versions of the diagram look like: of each step whether it may be skipped, and what follows.
SHAPES: list[dict[str, tuple[bool, list[str]]]] = [
    {"a": (False, ["b"]), "b": (True, ["c"]), "c": (False, [])},
    {"a": (True, ["b", "c"]), "b": (False, ["d"]), "c": (True, ["d"]), "d": (False, [])},
    {"a": (False, ["d"]), "d": (True, [])},
]
STEPS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=2, unique=True)
MOST_JOBS = 5
DRAFT = -1
RUNNING, SUCCESS = "RUNNING", "SUCCESS"
COPY = 7


def content(shape: int) -> dict[str, Any]:
    """The version's content, as it is sent."""
    steps = [{"id": name, "can_skip": can_skip, "next": after} for name, (can_skip, after) in SHAPES[shape].items()]
    return {"steps": steps, "initial_step": "a"}


@dataclass(eq=False)
class Modelled:
    """A job, as the rules have it: ``standing`` are its current steps, each with its state and whether it may be skipped."""

    version: int | None = None
    state: str = "SCHEDULED"
    standing: dict[str, tuple[str, bool]] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    said: str | None = None
    is_closed: bool = False
    is_retained: bool = False
    is_copied: bool = False
    gone: str | None = None
    attached: dict[str, str] = field(default_factory=dict)
    # What was said of it in private, and where it is.
    secrets: list[str] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        return self.state not in ("SCHEDULED", RUNNING)


class Histories(OrgHistories):
    """One org with one diagram, of which jobs are created."""

    kind = "drawn"

    def __init__(self) -> None:
        super().__init__()
        self.store = AttachmentStore(self.ledger.database)
        copy = {"storage_policy_id": 3, "storage_policy_name": "nightly", "name": "primary"}
        self.tell(PutCopy(caller=self.caller, copy_id=COPY, **copy), is_refused=False)  # type: ignore[arg-type]
        first = CreateDiagram(caller=self.caller, name="Permit", content=content(0), is_active=True)
        self.tell(first, is_refused=False)
        self.versions = [0]
        self.active = 1
        self.draft: int | None = None
        self.jobs: list[Modelled] = []
        self.holds: list[set[int]] = []
        self.removed: list[str] = []
        self.create(2)

    def choose(self, data: st.DataObject) -> tuple[Modelled, dict[str, Any]]:
        """A job, and how it is named in a command."""
        number = data.draw(st.integers(0, len(self.jobs) - 1))
        return self.jobs[number], {"caller": self.caller, "job_id": number + 1}

    def is_held(self, job: Modelled) -> bool:
        return any(self.jobs.index(job) + 1 in hold for hold in self.holds)

    def is_kept(self, job: Modelled) -> bool:
        return job.is_retained or self.is_held(job)

    def shape_of(self, job: Modelled) -> dict[str, tuple[bool, list[str]]]:
        assert job.version is not None
        return SHAPES[self.versions[job.version - 1]]

    def save_version(self, shape: int) -> None:
        self.versions.append(shape)
        self.active, self.draft = len(self.versions), None

    @rule(shape=st.integers(0, len(SHAPES) - 1), is_active=st.booleans())
    def save(self, shape: int, is_active: bool) -> None:
        command = SaveDiagram(caller=self.caller, diagram_id=1, content=content(shape), is_active=is_active)
        self.tell(command, is_refused=False)
        if (is_active or self.draft is None) and self.versions[self.active - 1] == shape:
            return
        if is_active:
            self.save_version(shape)
        else:
            self.draft = shape

    @rule(data=st.data())
    def activate(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from([DRAFT, *range(1, len(self.versions) + 2)]))
        is_known = self.draft is not None if number == DRAFT else number <= len(self.versions)
        command = ActivateDiagram(caller=self.caller, diagram_id=1, number=number)
        if self.tell(command, is_refused=not is_known) is not None:
            if number == DRAFT:
                assert self.draft is not None
                self.save_version(self.draft)
            else:
                self.active = number

    @precondition(lambda self: len(self.jobs) < MOST_JOBS)
    @rule(how_many=st.integers(1, 2))
    def create(self, how_many: int) -> None:
        shape = SHAPES[self.versions[self.active - 1]]
        command = CreateJobs(caller=self.caller, template_id=1, diagram_id=1, domain="Global", number_of_jobs=how_many)
        self.tell(command, is_refused=False)
        standing = {"a": ("ready", shape["a"][0])}
        self.jobs += [Modelled(self.active, standing=dict(standing)) for _ in range(how_many)]

    @precondition(lambda self: len(self.jobs) < MOST_JOBS)
    @rule()
    def register(self) -> None:
        self.tell(registration(caller=self.caller), is_refused=False)
        self.jobs.append(Modelled())

    @rule(data=st.data(), kind=st.sampled_from([StartJob, SucceedJob, FailJob, CancelJob]))
    def go_on(self, data: st.DataObject, kind: Any) -> None:
        job, named = self.choose(data)
        allowed = {StartJob: ("SCHEDULED", RUNNING), CancelJob: ("SCHEDULED", RUNNING)}.get(kind, (RUNNING,))
        is_refused = job.gone is not None or job.state not in allowed
        is_refused |= kind is StartJob and job.is_closed and job.state == "SCHEDULED"
        if self.tell(kind(**named), is_refused=is_refused) is not None:
            job.state = {StartJob: RUNNING, SucceedJob: SUCCESS, FailJob: "FAILED", CancelJob: "CANCELLED"}[kind]

    @rule(data=st.data(), action=st.sampled_from(["run", "run", "stop", "finish", "finish"]), named_steps=st.booleans())
    def take(self, data: st.DataObject, action: str, named_steps: bool) -> None:
        """Each of the steps is judged by itself."""
        job, named = self.choose(data)
        steps = data.draw(STEPS) if named_steps else list(job.standing)
        command = TakeSteps(**named, action=action, step_ids=steps if named_steps else None)
        outcome = self.tell(command, is_refused=self.may_take_no_steps(job))
        if outcome is not None:
            assert [it["is_done"] for it in outcome.result["steps"]] == [self.takes(job, action, it) for it in steps]

    def may_take_no_steps(self, job: Modelled) -> bool:
        return job.gone is not None or job.version is None or job.is_closed or job.is_final or self.is_held(job)

    def takes(self, job: Modelled, action: str, step: str) -> bool:
        if step not in job.standing:
            return False
        state, can_skip = job.standing[step]
        match action:
            case "run":
                job.state = RUNNING
                job.standing[step] = ("running", can_skip)
            case "stop":
                job.standing[step] = ("stopped" if state == "running" else state, can_skip)
            case "finish":
                if state == "ready" and not can_skip:
                    return False
                del job.standing[step]
                shape = self.shape_of(job)
                for after in shape[step][1]:
                    job.standing.setdefault(after, ("ready", shape[after][0]))
                job.finished.add(step)
                job.state = RUNNING if job.standing else SUCCESS
        return True

    @rule(data=st.data(), steps=STEPS)
    def set_current(self, data: st.DataObject, steps: list[str]) -> None:
        job, named = self.choose(data)
        is_refused = self.may_take_no_steps(job) or any(it not in self.shape_of(job) for it in steps)
        if self.tell(TakeSteps(**named, action="set_current", step_ids=steps), is_refused=is_refused) is not None:
            shape = self.shape_of(job)
            job.standing = {it: job.standing.get(it) or ("ready", shape[it][0]) for it in steps}

    @rule(data=st.data())
    def upgrade(self, data: st.DataObject) -> None:
        job, named = self.choose(data)
        shape = SHAPES[self.versions[self.active - 1]]
        is_refused = job.gone is not None or job.version is None
        if job.version != self.active:
            is_refused |= job.is_closed or job.state == RUNNING or not job.standing.keys() <= shape.keys()
        if self.tell(UpgradeJob(**named), is_refused=is_refused) is not None and job.version != self.active:
            job.version = self.active
            job.standing = {it: (state, shape[it][0]) for it, (state, _) in job.standing.items()}

    @rule(data=st.data(), said=st.sampled_from(["", "one", "two"]), is_located=st.booleans())
    def update(self, data: st.DataObject, said: str, is_located: bool) -> None:
        job, named = self.choose(data)
        place = f"place-{next(NUMBERS)}-"
        located = {"location": {"geometryType": "Point", "geometry": place}} if is_located else {}
        differs = is_located or (said or None) != job.said
        is_refused = job.gone is not None or (job.is_closed and differs)
        command = UpdateJob(**named, members={"details": {"description": said}, **located})
        if self.tell(command, is_refused=is_refused) is not None:
            job.said = said or None
            job.secrets += [place] if is_located else []

    @rule(data=st.data(), pieces=st.lists(st.binary(min_size=1, max_size=50), max_size=2))
    def attach(self, data: st.DataObject, pieces: Sequence[bytes]) -> None:
        """What is written and not recorded is gone."""
        job, named = self.choose(data)
        upload, name = Upload(self.org), f"name-{next(NUMBERS)}-"
        for piece in pieces:
            self.run(self.store.add(upload, piece))
        self.run(self.store.finish(upload))
        sizes = {"size_bytes": upload.size_bytes, "chunk_count": upload.chunk_count, "sha256": upload.sha256}
        command = AddAttachment(**named, attachment_id=str(upload.id), name=name, **sizes)  # type: ignore[arg-type]
        if self.tell(command, is_refused=job.gone is not None or job.is_closed) is not None:
            job.attached[str(upload.id)] = name
        else:
            self.run(self.store.discard(upload))

    @rule(data=st.data())
    def remove_attachment(self, data: st.DataObject) -> None:
        job, named = self.choose(data)
        every = [it for other in self.jobs for it in other.attached]
        attachment_id = data.draw(st.sampled_from(sorted(job.attached) or sorted(every) or ["none"]))
        is_refused = attachment_id not in job.attached or job.is_closed or self.is_kept(job)
        command = RemoveAttachment(**named, attachment_id=attachment_id, reason="asked for")
        if self.tell(command, is_refused=is_refused) is not None:
            self.removed.append(job.attached.pop(attachment_id))

    @rule(data=st.data(), what=st.sampled_from(["close", "reopen", "retain", "release", "hold", "settle", "copied"]))
    def decide(self, data: st.DataObject, what: str) -> None:
        job, named = self.choose(data)
        is_gone = job.gone is not None
        match what:
            case "close":
                is_refused = is_gone or (job.state == RUNNING and not job.is_closed)
                job.is_closed |= self.tell(CloseJob(**named), is_refused=is_refused) is not None
            case "reopen":
                reopened = self.tell(ReopenJob(**named), is_refused=is_gone or not job.is_closed)
                job.is_closed &= reopened is None
            case "retain":
                job.is_retained |= self.tell(RetainJob(**named), is_refused=is_gone) is not None
            case "release":
                job.is_retained &= self.tell(ReleaseJob(**named, reason="settled"), is_refused=is_gone) is None
            case "hold":
                hold = PlaceHold(caller=self.caller, name="case", job_ids=[named["job_id"]])
                if self.tell(hold, is_refused=is_gone) is not None:
                    self.holds.append({named["job_id"]})
            case "settle":
                for hold_id in range(1, len(self.holds) + 1):
                    release = ReleaseHold(caller=self.caller, hold_id=hold_id, reason="settled")
                    self.tell(release, is_refused=False)
                self.holds = [set() for _ in self.holds]
            case "copied":
                job.is_copied |= self.tell(NoteCopied(**named, copy_id=COPY), is_refused=is_gone) is not None

    @rule(data=st.data(), kind=st.sampled_from([DeleteJob, EraseJob]), scope=st.sampled_from(["private", "all"]))
    def remove(self, data: st.DataObject, kind: Any, scope: str) -> None:
        job, named = self.choose(data)
        erases_all = kind is EraseJob and scope == "all"
        if kind is DeleteJob:
            is_refused = job.gone is None and (job.state == RUNNING or self.is_kept(job))
        else:
            is_done = job.gone == "erased" or (job.gone is not None and not erases_all)
            is_refused = not is_done and (self.is_kept(job) or (erases_all and job.gone is None and not job.is_final))
        members = {"scope": scope} if kind is EraseJob else {}
        if self.tell(kind(**named, reason="asked for", **members), is_refused=is_refused) is not None:
            self.removed += [*job.secrets, *job.attached.values()]
            job.secrets, job.attached = [], {}
            if kind is DeleteJob or erases_all:
                job.gone = "erased" if erases_all else job.gone or "deleted"
                job.is_retained = False

    @rule()
    def look(self) -> None:
        """What is shown is what the rules say; rows are those of a fold of all events."""
        query = JobQuery(self.ledger.database)
        for number, job in enumerate(self.jobs, 1):
            if job.gone is not None:
                continue
            shown = orjson.loads(self.run(query.job(self.org, number, None)))
            assert (shown["state"], shown["closed"]) == (job.state, job.is_closed)
            assert (shown["details"] or {}).get("description") == job.said
            assert (shown["attachment_names"] or {}) == job.attached
            assert (shown["attachments"] or {}).keys() == job.attached.keys()
            assert [it["id"] for it in shown["copies"] or ()] == ([COPY] if job.is_copied else [])
            assert (shown["workflow"] is None) == (job.version is None)
            if job.version is not None:
                workflow = shown["workflow"]
                steps = {it["id"]: (it["state"], it.get("can_skip", False)) for it in workflow["steps"]}
                assert steps == job.standing
                assert (workflow["diagram_version"], workflow["finished"]) == (job.version, sorted(job.finished))
        private, chunks = self.run(self.kept())
        assert [it for it in self.removed if it in private] == []
        secrets = [it for job in self.jobs for it in (*job.secrets, *job.attached.values())]
        assert [it for it in secrets if it not in private] == []
        assert chunks <= {it for job in self.jobs for it in job.attached}
        self.run(audit(self.url, self.org))

    async def kept(self) -> tuple[str, set[str]]:
        """All private contents, and the ids of what is attached of which there are bytes."""
        async with session(self.url) as owner:
            records = await owner.fetch("SELECT private FROM content WHERE org = $1 AND private IS NOT NULL", self.org)
            ids = await owner.fetch("SELECT DISTINCT id FROM attachment_chunk WHERE org = $1", self.org)
        return "\n".join(it["private"].decode() for it in records), {str(it["id"]) for it in ids}


@pytest.mark.parametrize("examples", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_no_history_takes_a_step_that_is_not_there(place: Place, examples: int) -> None:
    place.try_histories(Histories, examples=examples, steps=40)
