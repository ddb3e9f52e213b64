"""Documents on their way in and out: JSON or XML, by one way for every resource of every dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from jobledger.http.context import DIALECT, FORM, READING_XML
from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.document import (
    BODY,
    LARGEST_BODY_BYTES,
    UnsupportedMediaTypeError,
    body_at_hand,
    parse_json,
    read_body,
)
from jobledger.http.large_json import PIECE_BYTES, read_json
from jobledger.http.negotiation import JSON, PLAIN, Form, accept_header, preferred
from jobledger.http.standing import ask_standing
from jobledger.http.whole_answer import WholeAnswer
from jobledger.http.xml_document import read_xml, write_xml

# XML takes long to read, and many times its size in memory: bodies that may be larger in JSON may not in XML, and of large
# ones few are read at once, in threads.
LARGEST_XML_BYTES = 8 * 1024 * 1024
XML_AT_ONCE = 2
READ_AT_ONCE_BYTES = 32 * 1024
# What Content-Type may call them, and what the parser does.
UTF8 = {"utf-8": "UTF-8", "utf8": "UTF-8", "us-ascii": "UTF-8", "ascii": "UTF-8"}
XML_ENCODINGS = {**UTF8, "utf-16": "UTF-16", "iso-8859-1": "ISO-8859-1", "latin-1": "ISO-8859-1"}


class Received(NamedTuple):
    """A request's document; *body* is what was sent; *root* the root element's name, None in JSON."""

    document: Any
    body: bytes
    root: str | None = None


async def read_document(request: web.Request, limit_bytes: int = LARGEST_BODY_BYTES) -> Received:
    """The document in the body, JSON or XML as ``Content-Type`` says; ``{}`` for none.

    Where nothing is said it is in the dialect's default form. Raises UnsupportedMediaTypeError, BodyTooLargeError,
    MalformedDocumentError; NotLetInError where the body took its time and its caller is let in no more by its end.
    """
    # Whatever such a body says that it is: some clients say it of each that they send, also of none.
    if request.content_length == 0 or (request[BODY] is None and not request.can_read_body):
        return Received({}, b"")
    syntax, charset = ("json", None) if request.headers.get("Content-Type") == JSON.media_type else body_syntax(request)
    encoding: str | None = "UTF-8"
    if charset is not None:
        encoding = (UTF8 if syntax == "json" else XML_ENCODINGS).get(charset)
        if encoding is None:
            raise UnsupportedMediaTypeError("A body is in UTF-8 here.", charset=charset)
    body = body_at_hand(request)
    if body is None:
        body = await read_body(request, min(limit_bytes, LARGEST_XML_BYTES) if syntax == "xml" else limit_bytes)
        await ask_standing(request)
    if not body:
        return Received({}, b"")
    if syntax == "json":
        return Received(parse_json(body) if len(body) <= PIECE_BYTES else await read_json(body), body)
    if charset is None:
        # Then the document itself says it.
        encoding = None
    if len(body) <= READ_AT_ONCE_BYTES:
        root, document = read_xml(body, encoding)
    else:
        async with request.app[READING_XML]:
            root, document = await asyncio.to_thread(read_xml, body, encoding)
    if request[DIALECT].root is None:
        document = {root: document}
    return Received(document, body, root)


def body_syntax(request: web.Request) -> tuple[str, str | None]:
    """ "json" or "xml", and the charset in lower case, as ``Content-Type`` says. Raises UnsupportedMediaTypeError."""
    if "Content-Type" not in request.headers:
        return request[DIALECT].forms[0].syntax, None
    said = request.content_type
    charset = None if request.charset is None else request.charset.lower()
    if said == "application/json" or said.endswith("+json"):
        return "json", charset
    if said in ("application/xml", "text/xml") or said.endswith("+xml"):
        return "xml", charset
    raise UnsupportedMediaTypeError("A body here is application/json or application/xml.", content_type=said)


def answer(
    request: web.Request, document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The answer to a request, in the form that was found for it before its handler began."""
    form = request[FORM]
    return _response(form, written(document, form, request[DIALECT].root), status, headers)


def answer_json(
    request: web.Request, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """As ``answer``, of a document that is JSON already, and goes out so as it is."""
    if request[FORM].syntax == "json":
        return _response(request[FORM], body, status, headers)
    return answer(request, orjson.loads(body), status, headers)


def answer_refusal(request: web.Request, refusal: Refusal, dialect: Dialect) -> web.Response:
    """An error in the form that ``Accept`` prefers, or in the dialect's first: never itself refused."""
    document = refusal.document
    if isinstance(document, str):
        return _response(PLAIN, document.encode(), refusal.status, refusal.headers)
    form = preferred(accept_header(request), dialect.error_forms) or dialect.error_forms[0]
    body = written(document, form, dialect.error_root, dialect.error_namespace)
    return _response(form, body, refusal.status, refusal.headers)


def written(document: Any, form: Form, root: str | None, namespace: str | None = None) -> bytes:
    """The document in that form."""
    if form.syntax == "xml":
        return write_xml(document, root, namespace)
    return orjson.dumps(document, option=orjson.OPT_UTC_Z, default=str)


def _response(form: Form, body: bytes, status: int, headers: Mapping[str, str] | None) -> web.Response:
    return WholeAnswer(body=body, status=status, headers={**(headers or {}), "Content-Type": form.content_type})
