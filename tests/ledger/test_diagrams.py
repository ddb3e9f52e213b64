"""Diagrams: what they may be, and how they are saved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.diagram import DRAFT, Diagram, must_be_sound
from jobledger.ledger.domain.diagram_commands import (
    ActivateDiagram,
    ChangeTemplate,
    CreateDiagram,
    CreateTemplate,
    DeleteDiagram,
    DeleteDiagramVersion,
    DeleteTemplate,
    SaveDiagram,
)
from jobledger.ledger.errors import DiagramVersionIsActiveError, InvalidCommandError, NotFoundError
from jobledger.ledger.store.ledger import Ledger
from tests.world import ALICE, ORG, serving, types_of

A_TO_B = {"steps": [{"id": "a", "name": "A", "next": ["b"]}, {"id": "b", "name": "B", "next": []}]}
JUST_A = {"steps": [{"id": "a", "name": "A", "next": []}]}

names = st.sampled_from("abcdef")
graphs = st.dictionaries(names, st.lists(names, max_size=4), min_size=1)


def content_of(graph: dict[str, list[str]], **members: Any) -> dict[str, Any]:
    """The graph as a diagram's content."""
    return {"steps": [{"id": it, "name": it, "next": following} for it, following in graph.items()], **members}


@given(graphs, st.none() | names)
def test_a_diagram_has_one_initial_step_and_all_can_be_reached_from_it(
    graph: dict[str, list[str]], initial: str | None
) -> None:
    """As a fixpoint over the relation says it, which knows nothing of how it is searched."""
    starts = {initial} if initial else set(graph) - {it for following in graph.values() for it in following}
    found = set(starts)
    for _ in graph:
        found |= {target for it in found if it in graph for target in graph[it]}
    all_lead_somewhere = all(target in graph for following in graph.values() for target in following)
    is_sound = len(starts) == 1 and starts <= graph.keys() and all_lead_somewhere and found == graph.keys()

    try:
        must_be_sound(content_of(graph, **({"initial_step": initial} if initial else {})))
    except InvalidCommandError:
        assert not is_sound
    else:
        assert is_sound


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (content_of({}), "A diagram has 1 to 1000 steps."),
        (content_of({"a": [], "b": []}), "A diagram has exactly one initial step; this one has 2 initial steps."),
        (content_of({"a": ["a"]}), "A diagram has exactly one initial step; this one has no initial step."),
        (
            content_of({"a": [], "b": []}, initial_step=["a", "b"]),
            "A diagram has exactly one initial step; this one has 2 initial steps.",
        ),
        (content_of({"a": [], "b": ["b"]}), "Step b cannot be reached."),
        (content_of({"a": [], "b": []}, initial_step="a"), "Step b cannot be reached."),
        (content_of({"a": ["c"]}), "Step a leads to c, which is no step of the diagram."),
        (content_of({"a": []}, initial_step="z"), "The initial step z is no step of the diagram."),
        ({"steps": JUST_A["steps"] * 2}, "Two steps have the id a."),
    ],
)
def test_what_is_no_diagram(content: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidCommandError) as refusal:
        must_be_sound(content)
    assert refusal.value.detail == said


async def test_a_draft_becomes_a_version_once_it_is_active(ledger: Ledger) -> None:
    created = await ledger.execute(CreateDiagram(caller=ALICE, name="Permit", content=JUST_A))
    drafted = await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=A_TO_B))
    active = await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, is_active=True))
    again = await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=A_TO_B, is_active=True))
    other = await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=JUST_A))
    renamed = await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, name="Permits", is_active=True))
    back = await ledger.execute(ActivateDiagram(caller=ALICE, diagram_id=1, number=1))

    assert created.result == {"id": 1, "diagram_version": DRAFT, "active_version": None, "version": 2}
    assert drafted.result == {"id": 1, "diagram_version": DRAFT, "active_version": None, "version": 3}
    assert active.result == {"id": 1, "diagram_version": 1, "active_version": 1, "version": 4}
    assert (again.result, again.event_count) == (active.result, 0)
    assert other.result["diagram_version"] == DRAFT
    assert renamed.result == {"id": 1, "diagram_version": 2, "active_version": 2, "version": 6}
    assert back.result == {"id": 1, "diagram_version": 1, "active_version": 1, "version": 7}
    assert await types_of(ledger, "diagram-1") == [
        "diagram.created",
        "diagram.draft_saved",
        "diagram.draft_saved",
        "diagram.version_saved",
        "diagram.draft_saved",
        "diagram.version_saved",
        "diagram.activated",
    ]


async def test_what_is_removed_is_in_no_list_and_stays_for_those_in_it(ledger: Ledger, database_url: str) -> None:
    await ledger.execute(CreateDiagram(caller=ALICE, name="Permit", content=JUST_A, is_active=True))
    await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=A_TO_B, is_active=True))
    await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=JUST_A))

    with pytest.raises(DiagramVersionIsActiveError):
        await ledger.execute(DeleteDiagramVersion(caller=ALICE, diagram_id=1, number=2))
    for number in (1, DRAFT):
        await ledger.execute(DeleteDiagramVersion(caller=ALICE, diagram_id=1, number=number))
        with pytest.raises(NotFoundError):
            await ledger.execute(DeleteDiagramVersion(caller=ALICE, diagram_id=1, number=number))
    with pytest.raises(NotFoundError):
        await ledger.execute(ActivateDiagram(caller=ALICE, diagram_id=1, number=1))
    deleted = await ledger.execute(DeleteDiagram(caller=ALICE, diagram_id=1, reason="not used"))
    again = await ledger.execute(DeleteDiagram(caller=ALICE, diagram_id=1))

    assert (deleted.event_count, again.event_count) == (1, 0)
    with pytest.raises(NotFoundError):
        await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=JUST_A))
    async with serving(database_url) as other:
        diagram = await other.aggregate(ORG, "diagram-1")
    assert isinstance(diagram, Diagram)
    assert diagram.versions[1].is_deleted
    assert diagram.versions[1].content == {**JUST_A, "initial_step": "a"}
    assert diagram.draft is None


async def test_rows_are_read_as_the_events_fold(ledger: Ledger) -> None:
    """What is loaded from rows is what its events add up to."""
    await ledger.execute(CreateDiagram(caller=ALICE, name="Permit", description="of all", content=JUST_A))
    await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=A_TO_B, is_active=True, description=""))
    draft = {"name": "Permits", "description": "of some"}
    await ledger.execute(SaveDiagram(caller=ALICE, diagram_id=1, content=JUST_A, **draft))  # type: ignore[arg-type]
    await ledger.execute(CreateTemplate(caller=ALICE, name="T", diagram_id=1, defaults={"priority": "High"}))
    await ledger.execute(ChangeTemplate(caller=ALICE, template_id=2, name="U"))
    await ledger.execute(DeleteTemplate(caller=ALICE, template_id=2))

    for stream in ("diagram-1", "template-2"):
        folded = None
        async for stored in ledger.recorder.scan(ORG, stream=stream):
            folded = stored.event().mutate(folded)
        loaded = await ledger.aggregate(ORG, stream)
        assert folded is not None
        assert loaded is not None
        assert {**loaded.__dict__, "_pending_events": []} == {**folded.__dict__, "_pending_events": []}
