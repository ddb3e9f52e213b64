"""The API's description, made of what the handlers, their readers and the dialects say of themselves.

What goes without saying is derived here: the variables of a path, ``Idempotency-Key``, the media types of bodies and answers, who
may come in, and the refusals: each error that can befall such an operation has its status and its document from the dialect.

Source: https://spec.openapis.org/oas/v3.1.1
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web

from jobledger.http.deadlines import TooSlowError
from jobledger.http.dialect import Dialect, Dialects
from jobledger.http.document import BodyTooLargeError, UnsupportedMediaTypeError
from jobledger.http.members import Members, Reader
from jobledger.http.native.parameters import IDEMPOTENCY_KEY
from jobledger.http.negotiation import JSON, XML, Form, NotAcceptableError, forms_of
from jobledger.http.operation import Body, ByWord, Operation, declared
from jobledger.http.schema import INTEGER, STRING, UUID, Named, Schema
from jobledger.ledger.errors import (
    IdempotencyKeyReusedError,
    InvalidCommandError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    NotLetInError,
    OutcomeUnknownError,
    TooManyAttemptsError,
    UnavailableError,
)

VERSION = "3.1.1"
ABOUT = """\
The system of record for jobs, in the words of several APIs, JSON or XML as `Accept` and `Content-Type` say.

- HEAD is answered wherever GET is; another method is 405 with `Allow`, an `Expect` that is not known 417. What the server
  fails at is 500. All in the dialect's own words.
- Integers are also taken as numeric strings. In XML all values are texts; a list repeats its element, an empty one is
  absent; null is an empty element with `nil="true"`.
- A string with a NUL, an integer beyond 64 bits and nesting deeper than 64 are refused.
- Of media types that are lines or events, the schema is that of a list of them.
"""
# What no dialect owns.
OPERATIONS = "operations"
OPTIONAL_SLASH = "{slash}"
VARIABLE = re.compile(r"\{(\w+)\}")
BODY_FORMS = (JSON, XML)
REQUEST_ID_HEADER = {"description": "The request's id, by which the server's log knows it.", "schema": UUID}
RETRY_AFTER = {"description": "Seconds, after which it may be tried again.", "schema": INTEGER}
HEADERS_OF_STATUS = {
    401: {"WWW-Authenticate": {"description": "How to come in.", "schema": STRING}},
    416: {"Content-Range": {"description": "`bytes */` and how many the file has.", "schema": STRING}},
    429: {"Retry-After": RETRY_AFTER},
    503: {"Retry-After": RETRY_AFTER},
}
# Whatever it says.
PASSED_OVER = Reader(str, {**STRING, "description": "Passed over: `Accept` says what the answer comes in."})


class Place(NamedTuple):
    """An operation, and where it stands; *word*: which verb of its handler it is."""

    method: str
    path: str
    handler: Any
    operation: Operation
    dialect: Dialect | None
    word: str | None = None

    @property
    def name(self) -> str:
        """What clients made of the description call it."""
        words = (OPERATIONS if self.dialect is None else self.dialect.name, self.handler.__name__, self.word)
        return "_".join(word for word in words if word)

    @property
    def tag(self) -> str:
        """The group that it is shown in: its dialect and the resource."""
        if self.dialect is None:
            return OPERATIONS
        prefix = next((it for it in self.dialect.prefixes if self.path.startswith(it)), "")
        words = self.path.removeprefix(prefix).split("/")
        return f"{self.dialect.name}: {next(it for it in words if it and not it.startswith('{'))}"

    @property
    def takes_key(self) -> bool:
        """Whether it takes an ``Idempotency-Key``."""
        return self.dialect is not None and self.method in ("POST", "PUT")

    @property
    def is_open(self) -> bool:
        """Whether it needs no credentials."""
        return self.dialect is None or self.path in self.dialect.open_paths


def places_of(router: web.UrlDispatcher, dialects: Dialects) -> list[Place]:
    """Every operation that the router knows. Raises TypeError for a handler that says nothing of itself."""
    places = []
    for route in router.routes():
        if route.method == "HEAD" or route.resource is None:
            continue
        path = route.resource.canonical.replace(OPTIONAL_SLASH, "/")
        said = declared(route.handler)
        match said:
            case Operation():
                places.append(Place(route.method, path, route.handler, said, dialects.owner(path)))
            case ByWord(variable, operations):
                for word, operation in operations.items():
                    below = path.replace(f"{{{variable}}}", word)
                    places.append(Place(route.method, below, route.handler, operation, dialects.owner(below), word))
            case _:
                raise TypeError(f"{route.method} {path}: {route.handler.__name__} has no @operation")
    return places


def describe(router: web.UrlDispatcher, dialects: Dialects, *, version: str, server: str | None) -> dict[str, Any]:
    """The OpenAPI document. *server* is what every URL begins with; None: where the document comes from."""
    return _Description(dialects).document(places_of(router, dialects), version, server)


def refusals_of(place: Place) -> list[type[LedgerError]]:
    """The errors that an operation may be refused with."""
    said = place.operation
    if place.dialect is None:
        return list(said.may)
    kinds: list[type[LedgerError]] = [InvalidCommandError, NotAcceptableError, TooManyAttemptsError, UnavailableError]
    if not place.is_open:
        kinds.append(NotLetInError)
    if said.capability is not None:
        kinds.append(NotAllowedError)
    if VARIABLE.search(place.path):
        kinds.append(NotFoundError)
    if said.body is not None:
        kinds += [TooSlowError, BodyTooLargeError, UnsupportedMediaTypeError]
    if place.takes_key:
        kinds.append(IdempotencyKeyReusedError)
    if place.method != "GET":
        kinds.append(OutcomeUnknownError)
    return [*kinds, *said.may]


class _Description:
    """The document as it grows."""

    def __init__(self, dialects: Dialects) -> None:
        self._dialects = dialects
        self._schemas: dict[str, Any] = {}
        self._responses: dict[str, Any] = {}

    def document(self, places: Iterable[Place], version: str, server: str | None) -> dict[str, Any]:
        """All of it."""
        paths: dict[str, Any] = {}
        tags: dict[str, str] = {}
        for place in places:
            title = "Running the server" if place.dialect is None else place.dialect.title
            tags[place.tag] = title
            operations = paths.setdefault(place.path, {})
            if place.method.lower() in operations:
                raise TypeError(f"{place.method} {place.path} is there twice")
            operations[place.method.lower()] = self._operation(place)
        return {
            "openapi": VERSION,
            "info": {"title": "Job Ledger", "version": version, "description": ABOUT},
            **({} if server is None else {"servers": [{"url": server}]}),
            "tags": [{"name": name, "description": title} for name, title in tags.items()],
            "paths": paths,
            "components": {
                "schemas": self._schemas,
                "responses": self._responses,
                "headers": {"X-Request-Id": REQUEST_ID_HEADER},
                "parameters": {"Idempotency-Key": IDEMPOTENCY_KEY_PARAMETER},
                "securitySchemes": {
                    name: scheme for dialect in self._dialects for name, scheme in schemes_of(dialect).items()
                },
            },
        }

    def _operation(self, place: Place) -> dict[str, Any]:
        said = place.operation
        told = inspect.cleandoc(said.summary or place.handler.__doc__ or "")
        summary, _, further = told.partition("\n")
        needs = None if said.capability is None else f"Needs the capability `{said.capability}`."
        description = "\n\n".join(it for it in (further.strip(), needs) if it)
        return {
            "tags": [place.tag],
            "operationId": place.name,
            "summary": summary,
            **({"description": description} if description else {}),
            **({"parameters": parameters} if (parameters := self._parameters(place)) else {}),
            **({} if said.body is None else {"requestBody": self._body(said.body, place)}),
            "responses": {**self._answers(place), **self._refusals(place)},
            "security": []
            if place.dialect is None or place.is_open
            else [{name: []} for name in schemes_of(place.dialect, said.schemes)],
        }

    def _parameters(self, place: Place) -> list[dict[str, Any]]:
        said = place.operation
        dialect, names = place.dialect, VARIABLE.findall(place.path)
        variables = [] if dialect is None else [("path", name, dialect.variables[name]) for name in names]
        listed: list[tuple[str, str, Reader[Any]]] = [
            *variables,
            *(("query", name, reader) for name, reader in said.parameters.items()),
            *(("query", name, PASSED_OVER) for name in passed_over_by(dialect)),
            *(("header", name, reader) for name, reader in said.headers.items()),
        ]
        parameters = [
            {"name": name, "in": where, "required": where == "path", "schema": self._resolved(reader.schema)}
            for where, name, reader in listed
        ]
        if place.takes_key:
            parameters.append({"$ref": "#/components/parameters/Idempotency-Key"})
        return parameters

    def _body(self, body: Members | Body, place: Place) -> dict[str, Any]:
        if isinstance(body, Members):
            body = Body(body.schema, is_needed=body.is_due)
        schemas = dict.fromkeys((it.media_type for it in BODY_FORMS), body.schema) if body.schema is not None else {}
        dialect = place.dialect or self._dialects.first
        content = {
            media_type: {"schema": self._in_xml(schema, dialect.root) if media_type == XML.media_type else schema}
            for media_type, schema in {**schemas, **body.media_types}.items()
        }
        return {"required": body.is_needed, "content": self._resolved(content)}

    def _answers(self, place: Place) -> dict[str, Any]:
        said, dialect = place.operation, place.dialect or self._dialects.first
        forms: Sequence[Form] = forms_of(place.handler) or dialect.forms
        content = {}
        for form in forms:
            schema = said.forms.get(form.syntax, said.answer)
            content[form.media_type] = {
                "schema": self._in_xml(schema, dialect.root) if form.syntax == "xml" else schema
            }
        headers = {name: {"description": it, "schema": STRING} for name, it in said.gives_headers.items()}
        if place.takes_key and said.marks_replays:
            headers["Idempotent-Replayed"] = {
                "description": "`true`: the first answer again, to a repeated request.",
                "schema": STRING,
            }
        return {
            str(status): {
                "description": told,
                "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}, **headers},
                **({} if status in (204, 304) or not said.answer else {"content": self._resolved(content)}),
            }
            for status, told in said.statuses.items()
        }

    def _refusals(self, place: Place) -> dict[str, Any]:
        dialect = place.dialect or self._dialects.first
        kinds_of: dict[int, list[type[LedgerError]]] = {}
        for kind in refusals_of(place):
            kinds_of.setdefault(dialect.status(kind), []).append(kind)
        return {
            str(status): self._refusal(dialect, status, kinds)
            for status, kinds in sorted(kinds_of.items())
            if status not in place.operation.statuses
        }

    def _refusal(self, dialect: Dialect, status: int, kinds: Sequence[type[LedgerError]]) -> dict[str, Any]:
        titles = " ".join(dict.fromkeys(f"{kind.title()}." for kind in kinds))
        content = {
            form.media_type: {
                "schema": self._in_xml(dialect.error_schema, dialect.error_root, dialect.error_namespace)
                if form.syntax == "xml"
                else dialect.error_schema
            }
            for form in dialect.error_forms
        }
        response = {
            "description": titles,
            "headers": {
                "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"},
                **HEADERS_OF_STATUS.get(status, {}),
            },
            "content": self._resolved(content),
        }
        # Those that many have are said once.
        name = "-".join((dialect.name, str(status), *dict.fromkeys(kind.code for kind in kinds)))
        self._responses[name] = response
        return {"$ref": f"#/components/responses/{name}"}

    def _in_xml(self, schema: Schema, root: str | None, namespace: str | None = None) -> Schema:
        """The schema with the name of its root element: the document's one outer key where there is no *root*."""
        if root is None:
            properties = schema.get("properties", {})
            if len(properties) != 1:
                return schema
            [(root, schema)] = properties.items()
        xml = {"name": root} if namespace is None else {"name": root, "namespace": namespace}
        return {**self._resolved(schema), "xml": xml}

    def _resolved(self, schema: Any) -> Any:
        """*schema* with its named parts in the components."""
        if isinstance(schema, Named):
            plain = dict(schema)
            if schema.name not in self._schemas:
                self._schemas[schema.name] = None
                self._schemas[schema.name] = self._resolved(plain)
            return {"$ref": f"#/components/schemas/{schema.name}"}
        if isinstance(schema, Mapping):
            return {key: self._resolved(it) for key, it in schema.items()}
        return [self._resolved(it) for it in schema] if isinstance(schema, list | tuple) else schema


IDEMPOTENCY_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request again under the same key, within 24 hours, gets the first answer and is done once.",
    "schema": IDEMPOTENCY_KEY,
}


def passed_over_by(dialect: Dialect | None) -> list[str]:
    """The parameters that each path of the dialect takes and that mean nothing; credentials are told elsewhere."""
    if dialect is None:
        return []
    return sorted(dialect.passed_over - {it["name"] for it in dialect.further_schemes.values()})


def schemes_of(dialect: Dialect, words: Iterable[str] | None = None) -> dict[str, Any]:
    """How a dialect takes credentials, as security schemes by their names; of these *words* alone, where there are any."""
    further = dialect.further_schemes if words is None else {}
    named = dialect.schemes if words is None else words
    return {**{f"{dialect.name}-{word}": {"type": "http", "scheme": word} for word in named}, **further}
