"""Lists of jobs as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.http.app import make_app
from jobledger.http.csv_rows import write_csv
from jobledger.http.operation import Operation, declared
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.jobs import SHOWN
from tests.http.serving import CURSOR_KEY, Api, Server
from tests.ledger.archived import archived, ended
from tests.world import projections

CSV = {"Accept": "text/csv"}
NAMES = ["a", "b"]


def read(text: bytes) -> list[list[str]]:
    """The rows, by a reader that knows nothing of the writer."""
    return list(csv.reader(io.StringIO(text.decode(), newline=""), strict=True))


@given(st.lists(st.fixed_dictionaries({name: st.text(st.characters(codec="utf-8")) for name in NAMES}), max_size=5))
def test_every_text_comes_through(rows: list[dict[str, str]]) -> None:
    """Whatever quotes, commas and line ends it holds; no cell begins as a formula."""
    names, *cells = read(write_csv(NAMES, rows))

    assert names == NAMES
    assert [[cell.removeprefix("'") for cell in row] for row in cells] == [
        [row[name].removeprefix("'") for name in NAMES] for row in rows
    ]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in cells for cell in row)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""), ("", ""), (7, "7"), (-7, "-7"), (0.5, "0.5"), (True, "true"), ({"a": [1]}, '{"a":[1]}'), ([], "[]"), ("a", "a"),
        ("=1+1", "'=1+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"), ("＝1", "'＝1"), ("a=1", "a=1"), ('a,"b"\r\n', 'a,"b"\r\n'),
    ],
)  # fmt: skip
def test_what_a_cell_shows(value: Any, cell: str) -> None:
    assert read(write_csv(["a", "b"], [{"a": value, "b": 1}]))[1] == [cell, "1"]


async def test_a_list_of_jobs(api: Api) -> None:
    await api.register(name="=HYPERLINK()", attributes={"a": 1})
    await api.register()

    page = await api.get("jobs", {"limit": "1"}, headers=CSV)

    assert (page.status, page.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert page.body.count(b"\r\n") == 2
    names, row = read(page.body)
    assert names == list(SHOWN.values())
    job = dict(zip(names, row, strict=True))
    assert (job["id"], job["name"], job["attributes"], job["stage"]) == ("1", "'=HYPERLINK()", '{"a":1}', "")
    following = page.headers["Link"].partition(">")[0][1:]
    second = await api.send("GET", api.url + following, headers=CSV)
    assert [row[0] for row in read(second.body)] == ["id", "2"]
    assert "Link" not in second.headers


def test_every_list_of_the_native_api_comes_as_csv() -> None:
    """All but events, which come as NDJSON: a list is what goes on by a cursor."""
    app = make_app(Ledger(Database("postgresql://nowhere"), projections()), cursor_key=CURSOR_KEY)
    below = "/ledger/v1/{org}/"
    lists = {}
    for route in app.router.routes():
        assert route.resource is not None
        path, said = route.resource.canonical, declared(route.handler)
        if path.startswith(below) and isinstance(said, Operation) and "cursor" in said.parameters:
            lists[path.removeprefix(below)] = said

    assert {*lists} == {"jobs", "audit", "rollups", *LISTS, "archives/{archive_id}/jobs"}
    assert all("csv" in it.forms for it in lists.values())


LISTS = (
    "schedules",
    "archives",
    "exports",
    "principals",
    "tokens",
    "holds",
    "queues",
    "copies",
    "diagrams",
    "templates",
)


async def test_what_a_list_shows_in_csv_is_what_it_shows_in_json(server: Server, tmp_path: Path) -> None:
    """A column a member, in the order of the description; times as in JSON."""
    api = await server.client("admin", "compliance", name="ann")
    jobs = await ended(server.ledger, 2)
    archive = await archived(server.ledger, tmp_path, purge=True)
    for path, body in BODIES.items():
        assert (await api.post(path, body)).status in (201, 202)
    paused = (await api.get("schedules")).document["schedules"][0]["id"]
    await api.post(f"schedules/{paused}/pause")

    held = f"archives/{archive.archive_id}/jobs"
    for path in (*LISTS, held):
        shown = (await api.get(path)).document[path.rpartition("/")[2]]
        names, *rows = read((await api.get(path, headers=CSV)).body)
        assert shown or path in ("queues", "copies"), path
        assert len(rows) == len(shown)
        for document, row in zip(shown, rows, strict=True):
            assert {*document} <= {*names}
            for name, cell in zip(names, row, strict=True):
                value = document.get(name)
                written = value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
                assert cell.removeprefix("'") == written, (path, name)
    page = await api.get(held, {"limit": "1"}, headers=CSV)
    following = page.headers["Link"].partition(">")[0][1:]
    second = await api.send("GET", api.url + following, headers=CSV)
    assert [row[0] for row in read(page.body) + read(second.body)] == ["id", str(jobs[0]), "id", str(jobs[1])]


BODIES: dict[str, Any] = {
    "schedules": {"expression": "0 0 4 ? * *", "action": {"kind": "export", "last_days": 7}},
    "exports": {},
    "holds": {"name": "=1+1", "reason": "a case", "filter": {"type": "none"}},
    "tokens": {"principal_id": 1, "label": "t"},
    "diagrams": {"name": "d", "steps": [{"id": "a"}]},
    "templates": {"name": "t", "diagram_id": 1},
}


async def test_one_job_and_errors_are_no_csv(api: Api) -> None:
    one = await api.get("jobs/1", headers=CSV)
    wrong = await api.get("jobs", {"limit": "0"}, headers=CSV)

    assert (one.status, wrong.status) == (406, 400)
    assert one.headers["Content-Type"] == wrong.headers["Content-Type"] == "application/problem+json"
