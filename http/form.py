"""A form's parts as they come, a piece at a time; it is whole only with its closing boundary.

    --b CRLF Content-Disposition: form-data; name="attachment"; filename="plan.txt" CRLF CRLF bytes CRLF --b-- CRLF

Source: RFC 7578; RFC 2046, section 5.1.1. That no line of a part begins as a boundary is up to who sends it: one that does and
is none is refused.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from jobledger.http.document import LARGEST_BODY_BYTES, BodyTooLargeError, MalformedDocumentError

LONGEST_BOUNDARY = 70
LARGEST_HEAD_BYTES = 16 * 1024
LONGEST_PADDING_BYTES = 1024
LINE_END = b"\r\n"
HEAD_END = b"\r\n\r\n"
PADDING = b" \t"
# Backslashes stay, in names of files they are separators, but where one keeps a quote from ending the text.
PARAMETER = re.compile(r';\s*([^\s;="*]+\*?)\s*=\s*("(?:\\.|[^"\\])*"|[^;"]*)', re.DOTALL)
EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[^']*'([^']*)", re.IGNORECASE)


class Part(NamedTuple):
    """What the head of a part says."""

    name: str | None
    file_name: str | None
    media_type: str | None


def parameters_of(value: str) -> dict[str, str]:
    """The parameters of a header's value, their names in lower case; of those given twice the first."""
    found: dict[str, str] = {}
    for name, text in PARAMETER.findall(value):
        text = text.strip()
        text = text[1:-1].replace('\\"', '"') if text.startswith('"') else text
        found.setdefault(name.lower(), text)
    return found


def file_name_of(parameters: Mapping[str, str]) -> str | None:
    """The name of the part's file: the extended one, where there is one that can be read. Source: RFC 8187, section 3.2."""
    extended = EXTENDED.fullmatch(parameters.get("filename*", ""))
    if extended is not None:
        try:
            return unquote_to_bytes(extended[2]).decode(extended[1])
        except UnicodeDecodeError:
            pass
    return parameters.get("filename")


class Form:
    """Reads one form. Everything raises MalformedDocumentError for what is none, or ends before it is whole, and
    BodyTooLargeError for more than 8 MiB beside the contents that are read.
    """

    def __init__(self, pieces: AsyncIterator[bytes], content_type: str) -> None:
        boundary = parameters_of(content_type).get("boundary", "")
        if not 0 < len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii() or not boundary.isprintable():
            raise MalformedDocumentError(f"A form names its boundary, of at most {LONGEST_BOUNDARY} characters.")
        self._pieces = pieces
        self._delimiter = b"\r\n--" + boundary.encode()
        # The first boundary may be what the form begins with.
        self._buffer = bytearray(LINE_END)
        self._is_in_part = True
        # So many bytes of the buffer are an end of line that is no content, though it may be the boundary's.
        self._before_contents = len(LINE_END)
        self._is_whole = False
        self._passed_bytes = 0

    async def next(self) -> Part | None:
        """The next part, what is left of the one before is passed over; None once the form is whole and nothing more comes."""
        if self._is_whole:
            return None
        if self._is_in_part:
            async for piece in self.contents():
                self._pass(len(piece))
        line = await self._line_after_boundary()
        if line.startswith(b"--"):
            if line[2:].strip(PADDING + LINE_END):
                raise MalformedDocumentError("The form goes on in the line that closes it.")
            self._is_whole = True
            while await self._more():
                self._pass(len(self._buffer))
                self._buffer.clear()
            return None
        if not line.endswith(LINE_END) or line.strip(PADDING + LINE_END):
            raise MalformedDocumentError("A line begins as the form's boundary and goes on otherwise.")
        part = await self._head()
        self._is_in_part = True
        return part

    async def contents(self) -> AsyncIterator[bytes]:
        """The contents of the part, as they come."""
        kept = len(self._delimiter) - 1
        while (end := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > kept + self._before_contents:
                yield self._take(len(self._buffer) - kept)
            if not await self._more():
                raise MalformedDocumentError("The form breaks off before its closing boundary.")
        last = self._take(end)
        del self._buffer[: len(self._delimiter)]
        self._is_in_part = False
        if last:
            yield last

    def _take(self, end: int) -> bytes:
        """Contents up to there in the buffer, which are removed from it."""
        piece = bytes(self._buffer[self._before_contents : end])
        del self._buffer[:end]
        self._before_contents = 0
        return piece

    async def _line_after_boundary(self) -> bytes:
        """The rest of a boundary's line, with its end; without it where the body ends there."""
        while (end := self._buffer.find(b"\n", 0, LONGEST_PADDING_BYTES)) < 0 and len(
            self._buffer
        ) < LONGEST_PADDING_BYTES:
            if not await self._more():
                end = len(self._buffer) - 1
                break
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if not line:
            raise MalformedDocumentError("The form breaks off in a boundary, or that has no end.")
        return line

    async def _head(self) -> Part:
        # A part may have no head at all.
        self._buffer[:0] = LINE_END
        while (end := self._buffer.find(HEAD_END, 0, LARGEST_HEAD_BYTES)) < 0:
            if len(self._buffer) >= LARGEST_HEAD_BYTES:
                raise MalformedDocumentError(f"The head of a part is larger than {LARGEST_HEAD_BYTES} bytes.")
            if not await self._more():
                raise MalformedDocumentError("The form breaks off in the head of a part.")
        head = bytes(self._buffer[:end]).decode("utf-8", "surrogateescape")
        # Without contents the boundary begins with the end of line that is there between head and contents.
        del self._buffer[: end + len(LINE_END)]
        self._before_contents = len(LINE_END)
        self._pass(end)
        headers: dict[str, str] = {}
        for line in re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if not colon or headers.setdefault(name.strip().lower(), value.strip()) != value.strip():
                raise MalformedDocumentError("The head of a part cannot be read.")
        parameters = parameters_of(headers.get("content-disposition", ""))
        return Part(parameters.get("name"), file_name_of(parameters), headers.get("content-type"))

    async def _more(self) -> bool:
        """Whether more came."""
        while (piece := await anext(self._pieces, None)) is not None:
            if piece:
                self._buffer += piece
                return True
        return False

    def _pass(self, size_bytes: int) -> None:
        self._passed_bytes += size_bytes
        if self._passed_bytes > LARGEST_BODY_BYTES:
            raise BodyTooLargeError(
                f"A form has at most {LARGEST_BODY_BYTES} bytes beside its attachment.", limit_bytes=LARGEST_BODY_BYTES
            )
