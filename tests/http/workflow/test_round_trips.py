"""A diagram that is posted back as it was shown is the same, whichever way it came and goes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobledger.http.native.diagrams import SAVED_DIAGRAM, diagram_members
from jobledger.http.workflow.diagrams import SAVED, read_diagram, shown_diagram
from jobledger.ledger.domain.diagram import initial_steps
from tests.examples import examples
from tests.http.serving import Api
from tests.http.workflow.speaking import DIAGRAM, Workflow

WORDS = st.sampled_from([None, "", "a word"])
FURTHER: dict[str, st.SearchStrategy[Any]] = {
    "position": st.sampled_from([None, "", "1 2", 0, [], {"x": 1}]),
    "isInitialStep": st.booleans(),
}


def paths(extra: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(extra.map(lambda it: {"nextStep": "b", **it}), max_size=2)


VENDORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([None, "n"]),
        "assignedType": WORDS,
        "assignedTo": WORDS,
        "canSkip": st.sampled_from([None, False, True]),
        "paths": paths(st.sampled_from([{}, {"points": []}, {"label": None}])),
        **FURTHER,
    },
)
NATIVE = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from([None, "n"]),
        "assigned_to": st.sampled_from([None, "ann"]),
        "can_skip": st.sampled_from([None, False, True]),
        "next": st.none() | st.lists(st.just("b"), max_size=2),
        "attributes": st.sampled_from([None, {}, {"position": "1 2"}]),
    },
)


def stored(content: dict[str, Any]) -> dict[str, Any]:
    """As a diagram keeps it."""
    return {**content, "initial_step": "a"}


def posted_back(content: dict[str, Any]) -> dict[str, Any]:
    """What comes of it once it was shown here."""
    version = {"id": 1, "name": "d", "description": None, "diagram_version": 1, "is_active": True, **content}
    read = read_diagram(shown_diagram(version), SAVED)
    assert initial_steps(read["content"]) == {"a"}
    return stored(read["content"])


def posted_back_natively(content: dict[str, Any]) -> dict[str, Any]:
    body = {name: content[name] for name in ("steps", "attributes", "initial_step") if name in content}
    return stored(diagram_members(SAVED_DIAGRAM.read(body))["content"])


@examples(200)
@given(steps=st.tuples(VENDORS, VENDORS), further=st.sampled_from([{}, {"displayGrid": True}, {"annotations": None}]))
def test_a_diagram_of_this_dialect(steps: tuple[dict[str, Any], ...], further: dict[str, Any]) -> None:
    first, second = steps
    given_steps = [{**first, "id": "a", "isInitialStep": True}, {**second, "id": "b", "isInitialStep": False}]
    content = stored(read_diagram({"steps": given_steps, **further}, SAVED)["content"])

    assert posted_back(content) == content
    assert posted_back_natively(content) == content


@examples(200)
@given(steps=st.tuples(NATIVE, NATIVE), attributes=st.sampled_from([None, {}, {"displayGrid": True}]))
def test_a_diagram_of_the_native_api(steps: tuple[dict[str, Any], ...], attributes: dict[str, Any] | None) -> None:
    told = [{**it, "id": step_id} for step_id, it in zip("ab", steps, strict=True)]
    content = stored(diagram_members(SAVED_DIAGRAM.read({"steps": told, "attributes": attributes}))["content"])

    assert posted_back(content) == content
    assert posted_back_natively(content) == content


async def test_what_is_posted_back_changes_nothing(workflow: Workflow) -> None:
    """Also beside a draft, and where steps were saved without paths; of a draft, too."""
    bare = {"diagramName": "Bare", "active": True, "initialStepId": "a", "steps": [{"id": "a"}]}
    await workflow.post("diagrams", bare)
    await workflow.post("diagrams/1", {**DIAGRAM, "diagramName": "Another", "active": False})
    version = (await workflow.native.get("diagrams/1")).document["version"]

    for path, number in (("diagrams/1", 1), ("diagrams/1/-1", -1)):
        shown = (await workflow.get(path)).document
        assert (await workflow.post("diagrams/1", shown)).document == {"success": True, "diagramVersion": number}

    assert (await workflow.native.get("diagrams/1")).document["version"] == version


async def test_a_draft_names_the_diagram_once_it_is_active(workflow: Workflow, api: Api) -> None:
    """Until then the diagram is called as it was, everywhere; the next draft is called as the one before."""

    async def names() -> list[Any]:
        [listed] = (await workflow.get("diagrams")).document["diagrams"]
        shown = (await workflow.get("diagrams/1")).document
        native = (await api.get("diagrams/1")).document
        return [(it["diagramName"], it["description"]) for it in (listed, shown)] + [
            (native["name"], native["description"])
        ]

    await workflow.diagram(description="d")
    draft = {"diagramName": "Another", "description": "", "steps": [{"id": "a", "name": "Look"}]}
    assert (await workflow.post("diagrams/1", draft)).document["diagramVersion"] == -1
    assert await names() == [("Permit", "d")] * 3
    assert (await workflow.post("diagrams/1", {"steps": [{"id": "a"}]})).document["diagramVersion"] == -1
    shown = (await workflow.get("diagrams/1/-1")).document
    assert (shown["diagramName"], shown["description"]) == ("Another", None)
    native = (await api.get("diagrams/1/versions/-1")).document
    assert (native["name"], native["description"]) == ("Another", None)
    assert await names() == [("Permit", "d")] * 3

    assert (await api.post("diagrams/1/versions/-1/activate")).document["diagram_version"] == 2

    assert await names() == [("Another", None)] * 3
    assert (await api.post("diagrams/1", {"name": "A third"})).document["diagram_version"] == -1
    assert await names() == [("Another", None)] * 3
    assert (await api.post("diagrams/1", {"active": True})).document["diagram_version"] == 3
    assert await names() == [("A third", None)] * 3


async def test_whoever_removes_a_version_may_say_why(api: Api) -> None:
    """As of a diagram and of a template: it stands in the event."""
    await api.draw()

    for path in ("diagrams/1/versions/1", "diagrams/1/versions/-1", "templates/2", "diagrams/1"):
        reply = await api.send("DELETE", api.path(path), params={"reason": "not used"})
        assert reply.status == 200, (path, reply.body)

    events = (await api.get("events", {"stream": "diagram-1"})).document["events"]
    removed = [it["content"]["data"] for it in events if "deleted" in it["header"]["type"]]
    assert [it.get("reason") for it in removed] == ["not used"] * 3
