"""Whether what a server answers is what the API's description says: every answer of every test's server is compared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson
from aiohttp import web

from jobledger.http.app import make_app
from jobledger.http.context import DIALECTS
from jobledger.http.documentation import DOCUMENTATION
from jobledger.http.openapi import Place, places_of
from jobledger.http.operation import ByWord, declared
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from tests.world import projections

# Said once for all paths, in words: tests that let the server fail do so on purpose, and others look at the status.
SAID_ELSEWHERE = frozenset({417, 500})


def an_app(**options: Any) -> web.Application:
    """An application that nobody asks anything."""
    return make_app(Ledger(Database("postgresql://nowhere"), projections()), cursor_key=b"key", **options)


@lru_cache(1)
def document() -> dict[str, Any]:
    """The description."""
    return an_app()[DOCUMENTATION].document


@lru_cache(1)
def places() -> dict[tuple[Any, str | None], Place]:
    """Where operations stand, by their handler and the verb."""
    app = an_app()
    return {(it.handler, it.word): it for it in places_of(app.router, app[DIALECTS])}


def closed(schema: Any) -> Any:
    """The schema without the room that it leaves for members to come."""
    if isinstance(schema, Mapping):
        within = {key: closed(it) for key, it in schema.items()}
        is_open = "properties" in schema and "additionalProperties" not in schema
        return {**within, "additionalProperties": False} if is_open else within
    return [closed(it) for it in schema] if isinstance(schema, list) else schema


@lru_cache(1)
def components() -> Any:
    """What schemas refer to, closed."""
    return {"schemas": closed(document()["components"]["schemas"])}


@lru_cache(1000)
def validator(method: str, path: str, status: int, media_type: str) -> Any:
    """Tells what is wrong with such an answer; the sentence, where there can be none."""
    responses = document()["paths"][path][method]["responses"]
    if str(status) not in responses:
        return f"{status} is not among {', '.join(responses)}"
    response = responses[str(status)]
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response.get("content", {})
    if media_type not in content:
        return f"{media_type} is not among {', '.join(content)}" if content else None
    schema = closed(content[media_type]["schema"])
    return jsonschema_rs.Draft202012Validator({**schema, "components": components()}, validate_formats=True)


class Conformance:
    """Compares a server's answers with the description, and remembers what is wrong."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.seen: set[tuple[str, str, int]] = set()

    async def check(self, request: web.Request, response: web.StreamResponse) -> None:
        """Look at an answer that is about to begin."""
        match = getattr(request, "_match_info", None)
        if match is None or match.route.resource is None or response.status in SAID_ELSEWHERE:
            return
        if request.transport is None or request.transport.is_closing():
            # Nobody is there to be answered.
            return
        said = declared(match.handler)
        word = match[said.variable] if isinstance(said, ByWord) else None
        place = places().get((match.handler, word))
        where = f"{request.method} {request.path}"
        if place is None:
            self.wrong.append(f"{where}: {match.handler} is not described")
            return
        self.seen.add((place.method, place.path, response.status))
        found = validator(place.method.lower(), place.path, response.status, response.content_type)
        if isinstance(found, str):
            self.wrong.append(f"{where}: {found}")
        elif found is not None and isinstance(response, web.Response) and response.content_type.endswith("json"):
            body = response.body
            assert isinstance(body, bytes)
            errors = [f"{it.message} at {it.instance_path}" for it in found.iter_errors(orjson.loads(body))]
            if errors:
                self.wrong.append(f"{where}: {response.status} {body[:300]!r}: {errors[:3]}")
