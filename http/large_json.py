"""Large JSON documents: read by pieces between which other requests go on, and refused where they become too much.

A parser of JSON lets nobody else work until it is done, so it is given some 32 KiB at a time. A piece ends at any comma that is
not in a string, within whatever objects and lists are open there; these are opened anew before the next piece and closed
behind each, which makes a whole document of it, and what comes out is grafted onto what is there. So all of the syntax is
judged by the parser, and what is read is what it would have read at once.

    {"jobs":[{"id":1},{"id":2,"tags":["a","b"]}]}      cut at the last comma but one becomes
    {"jobs":[{"id":1},{"id":2  ,"cut":"cut"}]}   and   {"begun":[{"begun":0,  "tags":["a","b"]}]}
"""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import Any

import orjson

from jobledger.http.document import (
    DEEPEST,
    BodyTooLargeError,
    MalformedDocumentError,
    must_be_storable,
    parse_json,
)

PIECE_BYTES = 32 * 1024
# Between two commas there is less, whatever an event may hold.
LONGEST_PIECE_BYTES = 4 * 1024 * 1024
# Values of a document, 100 each for 10,000 jobs. They take some hundred MB at most.
MOST_VALUES = 1_000_000

# Between two commas stand at most as many names as objects may be open, and a text, each between two quotation marks.
MOST_PARTS = 2 * (DEEPEST + 1) + 1
WHITESPACE = b" \t\r\n"
LIST, OBJECT = b"[{"
CLOSING = {LIST: b"]", OBJECT: b"}"}
NO_BRACKETS = bytes(it for it in range(256) if it not in b"[]{}")


async def read_json(text: bytes) -> Any:
    """The document. Raises MalformedDocumentError, BodyTooLargeError for one that becomes too much."""
    if len(text) <= PIECE_BYTES:
        return parse_json(text)
    # What pads it is no part of any value.
    reader = _Reader(text.strip(WHITESPACE))
    while not reader.is_at_end:
        reader.read_piece()
        await asyncio.sleep(0)
    return reader.document


class _Reader:
    """Reads a document by pieces."""

    def __init__(self, text: bytes) -> None:
        self.document: Any = None
        self.is_at_end = False
        self._text = text
        self._at = 0
        # The brackets that are open, and what has come of each so far.
        self._brackets = bytearray()
        self._open: list[Any] = []
        # Names that nobody can know: of what was begun before a piece, and of where it was cut.
        self._begun, self._cut = token_hex(8), token_hex(8)
        self._values = 0

    def read_piece(self) -> None:
        """Read on. Raises as ``read_json``."""
        before, first = bytes(self._brackets), self._at
        end, outside = self._find_end(first)
        piece = self._text[first:end]
        kept = self._look_at(outside)
        document = self._parse(before, piece)
        path = [] if self.is_at_end else self._take_path(document)
        if not before:
            self.document = document
        for container in self._open:
            if isinstance(container, list):
                inner = document[0]
                container.extend(document[1:])
            else:
                inner = document.pop(self._begun)
                container.update(document)
            document = inner
        self._open = self._open[:kept] + path[kept:]
        # Behind the comma.
        self._at = end + 1

    def _find_end(self, first: int) -> tuple[int, bytes]:
        """Where the piece ends: at the last comma in no string before its size, or at the end of all. And what is in no string."""
        text, size = self._text, PIECE_BYTES
        while True:
            piece = text[first : first + size]
            # Of what is escaped in strings nothing is to be seen, so that each quotation mark begins or ends one.
            parts = piece.replace(rb"\\", b"--").replace(rb"\"", b"--").split(b'"')
            if first + size >= len(text):
                self.is_at_end = True
                return len(text), b"".join(parts[::2])
            end = first + len(piece)
            for index in reversed(range(len(parts))):
                end -= len(parts[index])
                if index % 2 == 0 and (comma := parts[index].rfind(b",")) >= 0:
                    return end + comma, b"".join((*parts[:index:2], parts[index][:comma]))
                # Of the quotation mark.
                end -= 1
            if len(parts) > MOST_PARTS:
                raise MalformedDocumentError(f"This is not JSON: something behind byte {first} is out of place.")
            if size >= LONGEST_PIECE_BYTES:
                raise BodyTooLargeError("A value is too large.", limit_bytes=LONGEST_PIECE_BYTES)
            size *= 2

    def _look_at(self, outside: bytes) -> int:
        """Count what a piece holds, and follow its brackets; how many that were open before it are so throughout."""
        self._values += outside.count(b",") + outside.count(b"[") + outside.count(b"{") + 1
        if self._values > MOST_VALUES:
            # Empty ones count twice.
            raise BodyTooLargeError(f"A document holds at most {MOST_VALUES} values.", limit=MOST_VALUES)
        brackets = self._brackets
        kept = len(brackets)
        for it in outside.translate(None, NO_BRACKETS):
            if it in CLOSING:
                brackets.append(it)
                if len(brackets) > DEEPEST:
                    raise MalformedDocumentError(f"This nests deeper than {DEEPEST} levels.", limit=DEEPEST)
            elif not brackets:
                raise MalformedDocumentError("This is not JSON: it closes more than it opens.")
            else:
                # Whether it is of the same kind, the parser says.
                brackets.pop()
                kept = min(kept, len(brackets))
        if bool(brackets) == self.is_at_end:
            raise MalformedDocumentError("This is not JSON: it ends too early, or goes on behind its end.")
        return kept

    def _parse(self, before: bytes, piece: bytes) -> Any:
        opened = b"".join(b"[" if it == LIST else b'{"%b":' % self._begun.encode() for it in before)
        closed = b""
        if before:
            opened += b"0,"
        if self._brackets:
            mark = b'"%b"' % self._cut.encode()
            closed = b"," + (mark if self._brackets[-1] == LIST else mark + b":" + mark)
            closed += b"".join(CLOSING[it] for it in reversed(self._brackets))
        text = b"".join((opened, piece, closed))
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            at = self._at + max(0, error.pos - len(opened))
            raise MalformedDocumentError(f"This is not JSON: {error.msg}, near byte {at}") from error
        must_be_storable(text, document)
        return document

    def _take_path(self, document: Any) -> list[Any]:
        """The objects and lists that are open at the end of the piece; the innermost loses what marks it."""
        path = _path_to(document, self._cut, len(self._brackets))
        assert path is not None
        path[-1].pop(-1 if isinstance(path[-1], list) else self._cut)
        return path


def _path_to(node: Any, mark: str, depth: int) -> list[Any] | None:
    """From *node* to what holds *mark*, so many deep. It lies in the last of a list, and in some member of an object: a name
    that is given twice keeps the place of its first.
    """
    if not isinstance(node, dict | list):
        return None
    if depth == 1:
        is_marked = mark in node if isinstance(node, dict) else node[-1:] == [mark]
        return [node] if is_marked else None
    for inner in reversed(node.values()) if isinstance(node, dict) else node[-1:]:
        path = _path_to(inner, mark, depth - 1)
        if path is not None:
            return [node, *path]
    return None
