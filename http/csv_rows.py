"""Lists as CSV, for spreadsheets. Source: RFC 4180."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import orjson

# What a spreadsheet takes for a formula at the beginning of a cell, also in full width. A job's name is its client's to
# choose, and would run on the desk of whoever opens the list.
FORMULA = re.compile("[=+@\t\r\n＝＋－＠-]")


def write_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A line of names, then a line a row, in UTF-8, each ended by CRLF.

    Null is an empty cell, a time as in JSON, an object or list is JSON, a text that would be taken for a formula has an
    apostrophe before it.
    """
    names = list(columns)
    written = io.StringIO(newline="")
    lines = csv.writer(written)
    lines.writerow(names)
    lines.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return written.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, date):
        return orjson.dumps(value, option=orjson.OPT_UTC_Z).decode().strip('"')
    if isinstance(value, str):
        return f"'{value}" if FORMULA.match(value) else value
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return orjson.dumps(value, option=orjson.OPT_UTC_Z, default=str).decode()
