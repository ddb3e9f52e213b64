"""Jobs that go through diagrams, and what is said of jobs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.diagram_commands import CreateDiagram, CreateTemplate, DeleteDiagram, SaveDiagram
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_decisions import CloseJob
from jobledger.ledger.domain.job_workflow_commands import CreateJobs, TakeSteps, UpdateJob, UpgradeJob
from jobledger.ledger.errors import (
    DiagramIsNotActiveError,
    InvalidCommandError,
    JobHasNoDiagramError,
    JobIsBelowError,
    JobIsClosedError,
    JobIsRunningError,
    LedgerError,
    NotFoundError,
    StepIsNotThereError,
)
from jobledger.ledger.store.ledger import Ledger
from tests.examples import examples
from tests.world import ALICE, ORG, SALES, register, register_running, serving, types_of

# a leads to b and c at once, both lead to d; b may be skipped.
CONTENT: dict[str, Any] = {
    "steps": [
        {"id": "a", "name": "Survey", "next": ["b", "c"], "assigned_type": "User", "assigned_to": "ann"},
        {"id": "b", "name": "Notify", "next": ["d"], "can_skip": True},
        {"id": "c", "name": "Check", "next": ["d"]},
        {"id": "d", "name": "Archive", "next": []},
    ]
}
PROPERTY = {"identifier": "permit.owner", "value": "Ann Example"}
POINT = {"geometryType": "Point", "geometry": '{"x":1,"y":2}'}


async def diagram(ledger: Ledger, content: dict[str, Any] = CONTENT) -> int:
    """An active diagram's id."""
    created = await ledger.execute(CreateDiagram(caller=ALICE, name="Permit", content=content, is_active=True))
    diagram_id: int = created.result["id"]
    return diagram_id


async def create(ledger: Ledger, diagram_id: int, **members: Any) -> list[int]:
    """The ids of jobs created from a diagram."""
    command = CreateJobs(caller=ALICE, template_id=diagram_id, diagram_id=diagram_id, domain="Global", **members)
    job_ids: list[int] = (await ledger.execute(command)).result["job_ids"]
    return job_ids


async def take(ledger: Ledger, action: str, *step_ids: str, **members: Any) -> list[tuple[str, str | None]]:
    """What became of each step of job 1."""
    command = TakeSteps(caller=ALICE, job_id=1, action=action, step_ids=list(step_ids) or None, **members)
    return [(it["id"], it["code"]) for it in (await ledger.execute(command)).result["steps"]]


async def standing(ledger: Ledger, job_id: int = 1) -> dict[str, str]:
    """The job's current steps and their states."""
    job = await ledger.job(ORG, job_id)
    return {it["id"]: it["state"] for it in (job.workflow or {})["steps"]}


async def test_a_job_goes_through_its_diagram_to_success(ledger: Ledger) -> None:
    await create(ledger, await diagram(ledger))

    assert await take(ledger, "finish", "a") == [("a", "invalid")]
    assert await take(ledger, "run") == [("a", None)]
    assert await take(ledger, "run") == [("a", None)]
    assert await take(ledger, "stop") == [("a", None)]
    assert await take(ledger, "run", "z", "a") == [("z", "step_is_not_there"), ("a", None)]
    assert await take(ledger, "finish") == [("a", None)]
    assert await standing(ledger) == {"b": "ready", "c": "ready"}
    assert await take(ledger, "finish", "b", "c") == [("b", None), ("c", "invalid")]
    assert await take(ledger, "run", "c") == [("c", None)]
    assert await take(ledger, "finish", "c") == [("c", None)]
    assert await standing(ledger) == {"d": "ready"}
    assert (await ledger.job(ORG, 1)).progress == 0.75
    await take(ledger, "run")
    await take(ledger, "finish")

    job = await ledger.job(ORG, 1)
    assert (job.state, job.progress, job.workflow and job.workflow["steps"]) == ("SUCCESS", 1.0, [])
    assert await types_of(ledger, "job-1") == [
        *("job.registered", "job.diagram_assigned", "job.started", "job.step_started", "job.step_stopped"),
        *("job.step_started", "job.step_finished", "job.step_finished", "job.step_started", "job.step_finished"),
        *("job.step_started", "job.step_finished", "job.succeeded"),
    ]
    with pytest.raises(LedgerError):
        await take(ledger, "run")


async def test_one_may_choose_which_steps_follow_and_where_a_job_stands(ledger: Ledger) -> None:
    await create(ledger, await diagram(ledger))

    await take(ledger, "run")
    assert await take(ledger, "finish", "a", following=["d"]) == [("a", "invalid")]
    assert await take(ledger, "finish", "a", following=["c"]) == [("a", None)]
    assert await standing(ledger) == {"c": "ready"}
    assert await take(ledger, "set_current", "c", "d") == [("c", None), ("d", None)]
    assert await standing(ledger) == {"c": "ready", "d": "ready"}
    for step_ids, refusal in (((), InvalidCommandError), (("x",), StepIsNotThereError)):
        with pytest.raises(refusal):
            await take(ledger, "set_current", *step_ids)


async def test_jobs_are_created_all_or_none(ledger: Ledger) -> None:
    diagram_id = await diagram(ledger)
    template = CreateTemplate(
        caller=ALICE,
        name="Urgent",
        diagram_id=diagram_id,
        defaults={"name": "U", "priority": "High", "details": {"owned_by": "ann", "notes": "n"}},
    )
    await ledger.execute(template)
    before = (await ledger.recorder.head(ORG)).size

    for number, refusal in ((0, InvalidCommandError), (5_001, InvalidCommandError)):
        with pytest.raises(refusal):
            await create(ledger, diagram_id, number_of_jobs=number)
    with pytest.raises(NotFoundError):
        await create(ledger, diagram_id, members={"details": {"parent_job_id": 7}})
    with pytest.raises(NotFoundError):
        await create(ledger, 9)
    assert (await ledger.recorder.head(ORG)).size == before
    command = CreateJobs(
        caller=ALICE,
        template_id=2,
        diagram_id=diagram_id,
        domain="Sales",
        number_of_jobs=3,
        members={"details": {"notes": "mine"}, "location": POINT, "extended_properties": [PROPERTY]},
    )
    assert (await ledger.execute(command)).result == {"job_ids": [1, 2, 3]}

    job = await ledger.job(ORG, 3)
    assert (job.type, job.name, job.priority, job.domain) == ("Urgent", "U", "High", "Sales")
    assert job.details == {"owned_by": "ann", "notes": "mine"}
    assert (job.location, job.extended_properties) == (POINT, [PROPERTY])
    assert job.workflow == {
        "template_id": 2,
        "template_name": "Urgent",
        "diagram_id": 1,
        "diagram_name": "Permit",
        "diagram_version": 1,
        "steps": [{"id": "a", "name": "Survey", "assigned_type": "User", "assigned_to": "ann", "state": "ready"}],
        "finished": [],
    }


async def test_no_job_is_created_from_a_diagram_that_is_not_active(ledger: Ledger) -> None:
    await ledger.execute(CreateDiagram(caller=ALICE, name="Draft", content=CONTENT))
    await diagram(ledger)
    await ledger.execute(DeleteDiagram(caller=ALICE, diagram_id=2))

    with pytest.raises(DiagramIsNotActiveError):
        await create(ledger, 1)
    with pytest.raises(NotFoundError):
        await create(ledger, 2)


async def test_an_update_records_what_differs(ledger: Ledger, database_url: str) -> None:
    await register(ledger, priority="Low")

    def update(**members: Any) -> UpdateJob:
        return UpdateJob(caller=ALICE, job_id=1, members=members)

    first = update(
        name="new",
        priority="Low",
        details={"notes": "n", "owned_by": "ann"},
        location=POINT,
        extended_properties=[PROPERTY],
    )
    outcome = await ledger.execute(first)
    again = await ledger.execute(first)
    further = await ledger.execute(
        update(
            details={"notes": ""}, extended_properties=[{"identifier": "x", "value": None}], location=None, priority=""
        )
    )

    assert outcome.result["changed"] == ["name", "location", "extended_properties", "notes", "owned_by"]
    assert again.event_count == 0
    assert further.result["changed"] == ["priority", "location", "extended_properties", "notes"]
    async with serving(database_url) as other:
        job = await other.job(ORG, 1)
    assert (job.name, job.priority, job.details, job.location) == ("new", None, {"owned_by": "ann"}, None)
    assert job.extended_properties == [PROPERTY, {"identifier": "x", "value": None}]
    stored = [it async for it in ledger.recorder.scan(ORG, stream="job-1")]
    assert stored[1].content is not None
    assert stored[1].private is not None
    assert b"Ann Example" not in stored[1].content + stored[1].header
    assert b"Ann Example" in stored[1].private


async def test_what_is_private_may_be_gone(ledger: Ledger) -> None:
    """A fold does with what was erased as with what was never given."""
    await register(ledger)
    members = {"name": "new", "location": POINT, "extended_properties": [PROPERTY]}
    await ledger.execute(UpdateJob(caller=ALICE, job_id=1, members=members))

    job = None
    async for stored in ledger.recorder.scan(ORG, stream="job-1"):
        object.__setattr__(stored, "private", None)
        job = stored.event().mutate(job)

    assert isinstance(job, Job)
    assert (job.name, job.location, job.extended_properties) == ("new", None, None)


async def test_a_closed_job_is_not_updated_nor_upgraded(ledger: Ledger) -> None:
    await create(ledger, await diagram(ledger), members={"name": "n"})
    await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, name="Permits", is_active=True))
    await ledger.execute(CloseJob(caller=ALICE, job_id=1))

    assert (await ledger.execute(UpdateJob(caller=ALICE, job_id=1, members={"name": "n"}))).event_count == 0
    for command in (UpdateJob(caller=ALICE, job_id=1, members={"name": "m"}), UpgradeJob(caller=ALICE, job_id=1)):
        with pytest.raises(JobIsClosedError):
            await ledger.execute(command)
    with pytest.raises(JobIsClosedError):
        await take(ledger, "run")


async def test_a_job_goes_up_to_the_version_that_is_active(ledger: Ledger) -> None:
    await create(ledger, await diagram(ledger), number_of_jobs=2)
    renamed = {"steps": [{"id": "a", "name": "Look", "next": []}]}
    upgrade = UpgradeJob(caller=ALICE, job_id=1)

    assert (await ledger.execute(upgrade)).event_count == 0
    await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=renamed, is_active=True))
    assert (await ledger.execute(upgrade)).event_count == 1
    assert (await ledger.execute(upgrade)).event_count == 0
    job = await ledger.job(ORG, 1)
    assert job.workflow is not None
    assert (job.workflow["diagram_version"], job.workflow["steps"]) == (
        2,
        [{"id": "a", "name": "Look", "state": "ready"}],
    )
    await take(ledger, "run")
    await ledger.execute(
        SaveDiagram(
            caller=ALICE, diagram_id=1, content={"steps": [{"id": "z", "name": "Z", "next": []}]}, is_active=True
        )
    )
    with pytest.raises(JobIsRunningError):
        await ledger.execute(upgrade)
    with pytest.raises(StepIsNotThereError):
        await ledger.execute(UpgradeJob(caller=ALICE, job_id=2))
    await register_running(ledger)
    with pytest.raises(JobHasNoDiagramError):
        await ledger.execute(UpgradeJob(caller=ALICE, job_id=3))
    with pytest.raises(NotFoundError):
        await ledger.execute(UpgradeJob(caller=SALES, job_id=1))


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["run", "stop", "finish", "set_current"]), st.lists(st.sampled_from("abcdz"), max_size=2)
    ),
    max_size=12,
)


@given(ACTIONS)
@examples(60)
async def test_steps_go_as_a_simple_model_says(ledger: Ledger, actions: list[tuple[str, list[str]]]) -> None:
    """The model is a table of the diagram and of the current steps; the auditor compares rows and folds at the end."""
    paths, skippable = {it["id"]: it["next"] for it in CONTENT["steps"]}, {"b"}
    [job_id] = await create(ledger, await diagram(ledger))
    current, is_done = {"a": "ready"}, False
    for action, step_ids in actions:
        command = TakeSteps(caller=ALICE, job_id=job_id, action=action, step_ids=step_ids or None)
        wanted = list(dict.fromkeys(step_ids)) or ([] if action == "set_current" else list(current))
        if is_done or not wanted or (action == "set_current" and set(wanted) - set(paths)):
            with pytest.raises(LedgerError):
                await ledger.execute(command)
            continue
        said = {it["id"]: it["is_done"] for it in (await ledger.execute(command)).result["steps"]}
        if action == "set_current":
            current = {it: current.get(it, "ready") for it in wanted}
        for it in wanted if action != "set_current" else ():
            state = current.get(it)
            may = state is not None and not (action == "finish" and state == "ready" and it not in skippable)
            assert said[it] == may
            if may and action == "run":
                current[it] = "running"
            elif may and action == "stop" and state == "running":
                current[it] = "stopped"
            elif may and action == "finish":
                del current[it]
                current |= {after: "ready" for after in paths[it] if after not in current}
                is_done = not current
        assert await standing(ledger, job_id) == current
        assert ((await ledger.job(ORG, job_id)).state == "SUCCESS") == is_done


async def test_many_at_once(ledger: Ledger) -> None:
    """Steps of one job asked for at once are taken one after another."""
    await create(ledger, await diagram(ledger))
    await asyncio.gather(*(take(ledger, "run") for _ in range(20)))

    assert (await types_of(ledger, "job-1")).count("job.step_started") == 1


def below(job_id: int, parent_id: int | None) -> UpdateJob:
    """The job is to lie below that one."""
    return UpdateJob(caller=ALICE, job_id=job_id, members={"details": {"parent_job_id": parent_id}})


async def test_no_job_lies_below_itself(ledger: Ledger) -> None:
    """However far below; what lay in between and was deleted, or goes elsewhere, is no way."""
    for _ in range(5):
        await register(ledger)
    for job_id in (2, 3, 4):
        await ledger.execute(below(job_id, job_id - 1))

    for parent_id in (2, 3, 4):
        with pytest.raises(JobIsBelowError):
            await ledger.execute(below(1, parent_id))
    with pytest.raises(InvalidCommandError):
        await ledger.execute(below(1, 1))
    assert (await ledger.job(ORG, 1)).version == 1
    await ledger.execute(below(1, 5))
    assert (await ledger.execute(below(4, 3))).event_count == 0
    await ledger.execute(below(3, None))
    await ledger.execute(below(5, 4))
    await ledger.execute(below(4, None))
    await ledger.execute(below(5, 3))


@pytest.mark.usefixtures("either_way")
async def test_of_those_that_ask_at_once_none_closes_a_circle(ledger: Ledger) -> None:
    for _ in range(3):
        await register(ledger)

    outcomes = await asyncio.gather(
        *(ledger.execute(below(job_id, 1 + job_id % 3)) for job_id in (1, 2, 3)), return_exceptions=True
    )

    assert [type(it).__name__ for it in outcomes] == ["Outcome", "Outcome", "JobIsBelowError"]


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=20))
@examples(15)
async def test_parents_never_go_round_in_circles(ledger: Ledger, asked: list[tuple[int, int]]) -> None:
    """Each is refused just where it would close a circle."""
    first, *_ = [await register(ledger) for _ in range(6)]
    parents: dict[int, int] = {}

    for job_id, parent_id in asked:
        above, it = {parent_id}, parent_id
        while (it := parents.get(it, 0)) != 0:
            above.add(it)
        try:
            await ledger.execute(below(first + job_id - 1, first + parent_id - 1))
        except (JobIsBelowError, InvalidCommandError):
            assert job_id in above
        else:
            assert job_id not in above or parents.get(job_id) == parent_id
            parents[job_id] = parent_id
