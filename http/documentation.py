"""The API's description: ``/openapi.json`` for programs, ``/docs`` for people.

Both are for anybody, and made once, when they are first asked for.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.dialect import Dialects
from jobledger.http.documentation_page import STYLE, write_page
from jobledger.http.negotiation import JSON, Form, gives
from jobledger.http.openapi import describe
from jobledger.http.operation import operation
from jobledger.http.schema import OBJECT, STRING

HTML = Form("html", "text/html", MappingProxyType({"charset": "utf-8"}))
TAG = {"ETag": "Says whether it is still the same, to `If-None-Match`."}
STATUSES = {200: "As asked.", 304: "It is still the same."}
# No script and nothing from elsewhere; of styles the page's own alone.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

documentation_routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Written:
    """A document with the tag by which who has it already knows it."""

    body: bytes
    form: Form

    @property
    def tag(self) -> str:
        """Its strong entity tag, without quotes."""
        return sha256(self.body).hexdigest()[:32]


class Documentation:
    """The description of an application's routes in both forms. *server*: what its URLs begin with, None: as it is asked."""

    def __init__(self, router: web.UrlDispatcher, dialects: Dialects, server: str | None) -> None:
        self._router = router
        self._dialects = dialects
        self._server = server

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return describe(self._router, self._dialects, version=version("jobledger"), server=self._server)

    @cached_property
    def json(self) -> Written:
        """As it is sent to programs."""
        return Written(orjson.dumps(self.document), JSON)

    @cached_property
    def page(self) -> Written:
        """As people read it."""
        return Written(write_page(self.document).encode(), HTML)


DOCUMENTATION = web.AppKey("documentation", Documentation)


@documentation_routes.get("/openapi.json")
@gives(JSON)
@operation(OBJECT, statuses=STATUSES, gives_headers=TAG)
async def get_openapi(request: web.Request) -> web.Response:
    """The description of all that is answered here, as OpenAPI 3.1: this document."""
    return _answer(request, request.app[DOCUMENTATION].json)


@documentation_routes.get("/docs")
@gives(HTML)
@operation(STRING, statuses=STATUSES, gives_headers=TAG)
async def get_page(request: web.Request) -> web.Response:
    """The same as a page to read."""
    return _answer(request, request.app[DOCUMENTATION].page, {"Content-Security-Policy": POLICY})


def _answer(request: web.Request, written: Written, headers: Mapping[str, str] | None = None) -> web.Response:
    # It holds nothing of any org: it may be kept, and is asked for anew each time, as the server may be another by then.
    told = {"ETag": f'"{written.tag}"', "Cache-Control": "no-cache", **(headers or {})}
    seen = request.if_none_match or ()
    if any(it.value in (written.tag, "*") for it in seen):
        return web.Response(status=304, headers=told)
    return web.Response(body=written.body, headers={**told, "Content-Type": written.form.content_type})
