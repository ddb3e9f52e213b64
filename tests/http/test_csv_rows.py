"""Lists of jobs as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.http.csv_rows import write_csv
from jobledger.projections.jobs import SHOWN
from tests.http.serving import Api

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


async def test_one_job_and_errors_are_no_csv(api: Api) -> None:
    one = await api.get("jobs/1", headers=CSV)
    wrong = await api.get("jobs", {"limit": "0"}, headers=CSV)

    assert (one.status, wrong.status) == (406, 400)
    assert one.headers["Content-Type"] == wrong.headers["Content-Type"] == "application/problem+json"
