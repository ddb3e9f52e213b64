"""Diagrams and searching in the workflow dialect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.http.workflow.job_documents import FIELDS
from tests.examples import examples
from tests.http.workflow.speaking import DIAGRAM, Workflow, error


async def test_a_diagram_comes_back_as_it_was_given(workflow: Workflow) -> None:
    assert await workflow.diagram() == "1"

    reply = await workflow.get("diagrams/1")

    assert reply.document == {
        "diagramId": "1",
        "diagramName": "Permit",
        "description": "How permits go",
        "diagramVersion": 1,
        "active": True,
        "initialStepId": "a",
        "initialStepName": "Survey",
        "steps": [
            DIAGRAM["steps"][0],
            {**DIAGRAM["steps"][1], "assignedType": None, "assignedTo": None},
        ],
        "displayGrid": True,
    }
    again = await workflow.post("diagrams/1", reply.document)
    assert again.document == {"success": True, "diagramVersion": 1}


async def test_versions_drafts_and_removing(workflow: Workflow) -> None:
    await workflow.diagram()
    one_step = {"steps": [{"id": "a", "name": "Look"}]}
    draft = await workflow.post("diagrams/1", {**one_step, "active": False})
    assert draft.document == {"success": True, "diagramVersion": -1}
    assert (await workflow.get("diagrams/1/-1")).document["steps"][0]["name"] == "Look"
    assert (await workflow.get("diagrams/1")).document["diagramVersion"] == 1
    active = await workflow.post("diagrams/1", {**one_step, "active": True})
    assert active.document == {"success": True, "diagramVersion": 2}
    assert (await workflow.get("diagrams/1/-1")).status == 404
    assert (await workflow.get("diagrams")).document == {
        "diagrams": [
            {
                "diagramId": "1",
                "diagramName": "Permit",
                "description": "How permits go",
                "active": True,
                "activeVersion": 2,
                "draft": False,
                "versions": [1, 2],
            }
        ]
    }
    reply = await workflow.send("DELETE", "diagrams/1/2")
    assert (reply.status, reply.document) == (
        400,
        error("Version 2 of diagram 1 is the active one.", "JobManageError"),
    )
    assert (await workflow.send("DELETE", "diagrams/1/1")).document == {"success": True}
    assert (await workflow.send("DELETE", "diagrams/1/1")).status == 404
    assert (await workflow.send("DELETE", "diagrams/1")).document == {"success": True}
    for path in ("diagrams/1", "diagrams/1/2", "diagrams/x", "diagrams/1/x"):
        assert (await workflow.get(path)).status == 404


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"initialStepId": None}, None),
        (
            {"steps": [{"id": "a", "isInitialStep": True}, {"id": "b", "isInitialStep": True}]},
            "A diagram has exactly one initial step; this one has 2 initial steps.",
        ),
        ({"steps": [{"id": "a"}, {"id": "b"}]}, "Step b cannot be reached."),
        (
            {"initialStepId": None, "steps": [{"id": "a"}, {"id": "b"}]},
            "A diagram has exactly one initial step; this one has 2 initial steps.",
        ),
        ({"steps": []}, "A diagram has 1 to 1000 steps."),
        ({"steps": [{"id": "a", "paths": [{"nextStep": "z"}]}]}, "Step a leads to z, which is no step of the diagram."),
        ({"steps": [{"id": "a", "paths": [{}]}]}, "Steps holds a step with a path that names no nextStep."),
        ({"steps": [{"name": "a"}]}, "Steps holds a step of which id is missing."),
        ({"diagramName": ""}, "DiagramName is not 1 to 500 characters long."),
        ({"diagramName": None}, "DiagramName is missing."),
    ],
)
async def test_what_is_no_diagram(workflow: Workflow, members: dict[str, Any], said: str | None) -> None:
    reply = await workflow.post("diagrams", {**DIAGRAM, **members})

    if said is None:
        assert reply.status == 200
    else:
        assert (reply.status, reply.document["error"]["type"]) == (400, "InvalidRequestError")
        assert reply.document["error"]["message"] == said


@pytest.fixture
async def jobs(workflow: Workflow) -> Workflow:
    """Four jobs: a High one that runs, a Low one that is closed, one without a priority, and one of no diagram."""
    await workflow.diagram()
    await workflow.create("1", jobName="Elm 1", priority="High", dueDate="2026-03-01T00:00:00Z", ownedBy="ann")
    await workflow.create("1", jobName="Elm 2", priority="Low", dueDate="2026-02-01T00:00:00Z")
    await workflow.create("1", jobName="Oak's end")
    await workflow.native.register(name="other", priority="High")
    await workflow.act("1", "Run")
    await workflow.manage("Close", "2")
    return workflow


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, "1234"),
        ({"search": "ELM"}, "12"),
        ({"search": "3"}, "3"),
        ({"q": "priority = 'High'"}, "14"),
        ({"q": "PRIORITY <> 'High'"}, "2"),
        ({"q": "NOT priority = 'High'"}, "23"),
        ({"q": "priority IS NULL"}, "3"),
        ({"q": "priority IS NOT NULL AND diagramId = 1"}, "12"),
        ({"q": "closed = 1"}, "2"),
        ({"q": "closed = false and (jobname like 'elm%' or priority = 'High')"}, "14"),
        ({"q": "jobId IN (1, 3)"}, "13"),
        ({"q": "jobId NOT IN (1, 3)"}, "24"),
        ({"q": "jobStatus = 'In Progress'"}, "1"),
        ({"q": "jobName = 'Oak''s end'"}, "3"),
        ({"q": "jobName LIKE 'e_m%'"}, "12"),
        ({"q": "jobName LIKE '%\\' OR jobName LIKE '\\%'"}, ""),
        ({"q": "dueDate < '2026-02-15T00:00:00Z'"}, "2"),
        ({"q": "percentComplete >= 0 AND ownedBy = 'ann'"}, "1"),
        ({"sortFields": [{"field": "dueDate", "sortOrder": "Desc"}]}, "1234"),
        ({"sortFields": [{"field": "dueDate", "sortOrder": "Asc"}]}, "2134"),
        ({"sortFields": [{"field": "priority"}, {"field": "jobName", "sortOrder": "desc"}]}, "4123"),
        ({"q": "closed = 0", "search": "elm", "sortFields": [{"field": "jobId", "sortOrder": "Desc"}]}, "1"),
    ],
)
async def test_searching(jobs: Workflow, body: dict[str, Any], found: str) -> None:
    reply = await jobs.post("jobs/search", {"fields": ["jobId"], **body})

    assert reply.status == 200, reply.body
    assert "".join(it for [it] in reply.document["results"]) == found
    assert reply.document["nextStart"] == -1


FIELD_NAMES = st.sampled_from([*FIELDS, "createdBy", "nothing"])
VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0'"), max_size=9).map("'{}'".format),
    st.sampled_from(
        ["'%\\'", "'1'", "'High'", "'2026-01-01T00:00:00Z'", "'9899-12-31T23:59:59-01:00'", "true", "null"]
    ),
    st.decimals(-(10**15), 10**15, allow_nan=False, places=3).map(str),
)
OPERATORS = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">=", "LIKE", "NOT LIKE", "IS"])
TERMS = st.one_of(
    st.tuples(FIELD_NAMES, OPERATORS, VALUES).map(" ".join),
    st.tuples(FIELD_NAMES, st.sampled_from(["IS NULL", "IS NOT NULL"])).map(" ".join),
    st.tuples(FIELD_NAMES, st.lists(VALUES, min_size=1, max_size=3)).map(lambda it: f"{it[0]} IN ({', '.join(it[1])})"),
)
CONDITIONS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda it: f"({' '.join(it)})"),
        inner.map(lambda it: f"NOT {it}"),
    ),
    max_leaves=4,
)


@examples(150)
@given(q=CONDITIONS)
async def test_every_condition_is_answered_or_refused(jobs: Workflow, q: str) -> None:
    """And where it is answered, by it and by its opposite each job is found once."""

    async def found(q: str) -> list[str] | None:
        reply = await jobs.post("jobs/search", {"fields": ["jobId"], "q": q})
        assert reply.status in (200, 400), (q, reply.body)
        return [it for [it] in reply.document["results"]] if reply.status == 200 else None

    holding, opposite = await found(q), await found(f"NOT ({q})")

    assert (holding is None) == (opposite is None)
    assert holding is None or opposite is None or sorted(holding + opposite) == [*"1234"]


async def test_pages_of_a_search(jobs: Workflow) -> None:
    body = {"fields": ["jobId", "jobName", "closed"], "displayNames": ["Id", "Name", "Closed"], "num": 2, "start": 1}

    reply = await jobs.post("jobs/search", body)

    assert reply.document == {
        "fields": ["Id", "Name", "Closed"],
        "results": [["2", "Elm 2", True], ["3", "Oak's end", False]],
        "start": 1,
        "nextStart": 3,
        "num": 2,
    }


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"q": "priority ="},
        {"q": "priority = High"},
        {"q": "priority 'High'"},
        {"q": "(closed = 1"},
        {"q": "closed = 1)"},
        {"q": "closed = 1 closed = 0"},
        {"q": "closed = 'maybe'"},
        {"q": "jobId = 'x'"},
        {"q": "jobId LIKE '1%'"},
        {"q": "createdBy = 'ann'"},
        {"q": "1 = 1"},
        {"q": "dueDate < 'now'"},
        {"q": "jobName = 'a"},
        {"q": "jobName = 'a'; DROP TABLE job"},
        {"q": "(" * 30 + "closed = 1" + ")" * 30},
        {"q": "NOT " * 30 + "closed = 1"},
        {"q": " OR ".join(["closed = 1"] * 300)},
        {"q": "x" * 4_001},
        {"search": "x" * 201},
        {"num": 0},
        {"num": 1_001},
        {"start": -1},
        {"start": 100_001},
        {"fields": ["nothing"]},
        {"fields": ["jobId"], "displayNames": ["a", "b"]},
        {"sortFields": [{"field": "nothing"}]},
        {"sortFields": [{"field": "jobId", "sortOrder": "Up"}]},
        {"sortFields": [{"field": "jobId"}] * 6},
        {"other": 1},
    ],
)
async def test_what_is_no_search(workflow: Workflow, body: Any) -> None:
    reply = await workflow.post("jobs/search", body)

    assert (reply.status, reply.document["error"]["type"]) == (400, "InvalidRequestError"), reply.body
    assert reply.document["error"]["message"]


async def test_it_is_spoken_in_xml_too(workflow: Workflow) -> None:
    """Both ways; one element where a list is due is a list of one."""
    xml = {"Content-Type": "application/xml", "Accept": "application/xml"}
    await workflow.native.register()

    closed = await workflow.post("jobs/manage", data=b"<any><type>Close</type><jobIds>1</jobIds></any>", headers=xml)
    refused = await workflow.post(
        "jobs/manage", data=b"<any><type>Close</type><jobIds>1</jobIds><jobIds>7</jobIds></any>", headers=xml
    )

    assert closed.body.endswith(b"<response><success>true</success></response>")
    assert refused.body.endswith(
        b"<response><error><message>1 of 2 jobs were managed.</message><type>JobManageError</type>"
        b"<details>7: There is no job 7.</details></error></response>"
    )
    made = await workflow.post(
        "diagrams",
        data=b"<d><diagramName>D</diagramName><active>true</active><steps><id>a</id><name>A</name></steps></d>",
        headers=xml,
    )
    assert made.body.endswith(b"<response><diagramId>1</diagramId></response>")
