"""The native API's lists: pages that go on by a cursor, as JSON, XML or CSV, whatever they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from jobledger.http.context import CURSOR_KEY, FORM
from jobledger.http.csv_rows import write_csv
from jobledger.http.exchange import answer
from jobledger.http.native.parameters import LINK
from jobledger.http.negotiation import CSV, JSON, XML, AnyHandler, gives
from jobledger.http.operation import operation, operation_of
from jobledger.http.schema import STRING, Schema
from jobledger.projections.page import Page


def listing(page: Schema, **further: Any) -> Callable[[AnyHandler], AnyHandler]:
    """Say of a handler that it gives *page*, an object with a list in it: see ``Operation``."""
    said = operation(page, forms={CSV.syntax: STRING}, gives_headers=LINK, **further)
    return lambda handler: gives(JSON, XML, CSV)(said(handler))


def page_answer(request: web.Request, name: str, page: Page, list_name: str) -> web.Response:
    """A page of a list, with where it goes on."""
    key = request.app[CURSOR_KEY]
    following = None if page.next_after is None else key.cursor(page.next_after, list_name)
    return list_answer(request, name, page.documents, following)


def list_answer(
    request: web.Request,
    name: str,
    documents: Sequence[Mapping[str, Any]],
    following: str | None,
    *,
    columns: Iterable[str] | None = None,
    **further: Any,
) -> web.Response:
    """The documents of a list under its name, and the cursor that it goes on by. In CSV these alone, a row each.

    Without *columns* a row has all members that the schema of the answer says a document has.
    """
    headers = {}
    if following is not None:
        headers["Link"] = f'<{request.rel_url.update_query(cursor=following)}>; rel="next"'
    if request[FORM] is CSV:
        if columns is None:
            columns = operation_of(request).answer["properties"][name]["items"]["properties"]
        return csv_answer(columns, documents, headers)
    return answer(request, {name: documents, "next": following, **further}, headers=headers)


def csv_answer(columns: Iterable[str], rows: Iterable[Mapping[str, Any]], headers: Mapping[str, str]) -> web.Response:
    """Rows as CSV."""
    return web.Response(body=write_csv(columns, rows), headers={**headers, "Content-Type": CSV.content_type})
