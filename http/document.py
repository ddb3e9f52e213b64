"""Request bodies: bounded while they are read, and what JSON may hold here.

Refused with 400 at the edge, before anything looks at them: a NUL in a string (Postgres holds none), an integer beyond 64
bits (clients and databases would round it), nesting deeper than 64.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import web

from jobledger.ledger.errors import InvalidCommandError

CONTINUE = "100-continue"
LARGEST_BODY_BYTES = 8 * 1024 * 1024
SMALL_BODY_BYTES = 64 * 1024
DEEPEST = 64
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1

# Only where one of these stands in the text can the slower checks find anything.
LONG_NUMBER = b"0" * 19
# Every digit a 0.
DIGITS = bytes.maketrans(b"123456789", b"000000000")


# What the client expects, in lower case; None once it was told to send its body. aiohttp is not shown the header: it would
# answer it itself, before whatever could say so in a dialect's words.
EXPECTED: web.RequestKey[str | None] = web.RequestKey("expected", str)
# A small body that was read, None until then.
BODY: web.RequestKey[bytes | None] = web.RequestKey("body", bytes)


class MalformedDocumentError(InvalidCommandError):
    """The body cannot be read."""

    code = "malformed"


class BodyTooLargeError(InvalidCommandError):
    """The body is too large."""

    code = "body_too_large"


class UnsupportedMediaTypeError(InvalidCommandError):
    """The media type of the body is not taken here."""

    code = "unsupported_media_type"


async def read_body(request: web.Request, limit_bytes: int = LARGEST_BODY_BYTES) -> bytes:
    """The body. Raises BodyTooLargeError as soon as it is known to be, before it is read where its length is told."""
    known = body_at_hand(request)
    if known is not None:
        return known
    if (request.content_length or 0) > limit_bytes:
        raise BodyTooLargeError(f"A body is at most {limit_bytes} bytes here.", limit_bytes=limit_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in body_chunks(request):
        size += len(chunk)
        if size > limit_bytes:
            raise BodyTooLargeError(f"A body is at most {limit_bytes} bytes here.", limit_bytes=limit_bytes)
        chunks.append(chunk)
    body = b"".join(chunks)
    if has_small_body(request):
        request[BODY] = body
    return body


def body_at_hand(request: web.Request) -> bytes | None:
    """A small body that came with its head, as nearly all do, or was read before; None for one that is yet to be read."""
    body = request[BODY]
    if body is None and request.content.is_eof() and has_small_body(request) and not is_waiting(request):
        body = request[BODY] = request.content.read_nowait()
    return body


def has_small_body(request: web.Request) -> bool:
    """Whether the body is of a stated length that is small: once read it is kept, for a handler that begins anew."""
    length = request.content_length
    return length is not None and length <= SMALL_BODY_BYTES


async def body_chunks(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises MalformedDocumentError where it is not encoded as its headers say."""
    await let_come(request)
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except web.RequestPayloadError as error:
        raise MalformedDocumentError("The body is not encoded as its headers say.") from error


async def let_come(request: web.Request) -> None:
    """Tell the client to send its body, where it waits for that."""
    if is_waiting(request):
        request[EXPECTED] = None
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def must_meet_expectation(request: web.Request) -> None:
    """Raise HTTPExpectationFailed for what nobody here knows."""
    if request[EXPECTED] not in (None, CONTINUE):
        raise web.HTTPExpectationFailed


def is_waiting(request: web.Request) -> bool:
    """Whether the client waits to be told to send its body: that is when it is about to be read, not before, so that whoever is
    refused sends none.
    """
    return request[EXPECTED] == CONTINUE


def parse_json(text: bytes) -> Any:
    """The document. Raises MalformedDocumentError."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedDocumentError(f"This is not JSON: {error}") from error
    if text.count(b"{") + text.count(b"[") > DEEPEST:
        _must_be_shallow(document)
    must_be_storable(text, document)
    return document


def must_be_storable(text: bytes, document: Any) -> None:
    """Raise MalformedDocumentError where *text*, which was read as *document*, holds what cannot be kept."""
    if b"\\u0000" in text:
        _must_have_no_nul(document)
    if LONG_NUMBER in text.translate(DIGITS):
        # orjson rounds integers beyond 64 bits to floats without a word: read again by one that does not.
        json.loads(text, parse_int=_bounded_integer)


def _must_be_shallow(document: Any) -> None:
    level = [document]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    if any(isinstance(it, dict | list) for it in level):
        raise MalformedDocumentError(f"This nests deeper than {DEEPEST} levels.", limit=DEEPEST)


def _must_have_no_nul(document: Any) -> None:
    todo = [document]
    while todo:
        it = todo.pop()
        if isinstance(it, str):
            texts = [it]
        else:
            texts = list(it) if isinstance(it, dict) else []
            todo += _children(it)
        if any("\0" in text for text in texts):
            raise MalformedDocumentError("A string holds a NUL character.")


def _children(document: Any) -> list[Any]:
    if isinstance(document, dict):
        return list(document.values())
    return document if isinstance(document, list) else []


def _bounded_integer(digits: str) -> int:
    # Longer texts than any such integer has are not even converted: that takes time beyond measure.
    number = int(digits) if len(digits) <= 20 else LARGEST_INTEGER + 1
    if not SMALLEST_INTEGER <= number <= LARGEST_INTEGER:
        raise MalformedDocumentError("An integer lies beyond 64 bits.")
    return number
