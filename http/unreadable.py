"""What cannot be read as a request is refused in the words of the dialect that its path, as far as it came, is of.

Nothing is known of its headers: the answer comes in the dialect's first form. It quotes nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import orjson
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from jobledger.http.context import REQUEST_ID
from jobledger.http.dialect import Dialects
from jobledger.http.exchange import written
from jobledger.http.negotiation import PLAIN
from jobledger.http.problem import MEDIA_TYPE

# In bytes. By the limit that it broke alone can one tell a line that was too long from a header: so they differ.
LONGEST_LINE, LONGEST_HEADER = 8190, 8192
# As aiohttp says it, for which it has no class.
TOO_MANY_HEADERS = "Too many headers received"
TOO_MUCH_HEAD = ("Request Header Fields Too Large", "request_header_fields_too_large")
# So much of a head tells whose its path is.
KEPT_BYTES = 512
REQUEST_LINE = re.compile(rb"[!-~]{1,40} (?:[A-Za-z]{1,10}://[^/?# \r\n]*)?(/[^?# \r\n]*)")


class Fault(NamedTuple):
    """Why a request cannot be read: as a status, as a problem's title and code, in a sentence."""

    status: int
    title: str
    code: str
    detail: str


def fault_of(status: int, error: BaseException | None) -> Fault:
    """What aiohttp's parser found."""
    if status != 400:
        return Fault(status, "Server Error", "server_error", "The request could not be answered.")
    if isinstance(error, LineTooLong) and error.args[1] == LONGEST_LINE:
        return Fault(414, "URI Too Long", "uri_too_long", f"A request's URL is at most {LONGEST_LINE} bytes.")
    if isinstance(error, LineTooLong):
        return Fault(431, *TOO_MUCH_HEAD, f"A header is at most {LONGEST_HEADER} bytes.")
    if isinstance(error, BadHttpMessage) and error.message == TOO_MANY_HEADERS:
        return Fault(431, *TOO_MUCH_HEAD, "A request has too many headers.")
    return Fault(400, "Bad Request", "malformed", "This cannot be read as an HTTP request.")


def path_of(head: bytes) -> str | None:
    """The path of which a head, or what came of it, speaks; None for none."""
    match = REQUEST_LINE.match(head)
    return None if match is None else match[1].decode("ascii", "replace")


def refused(fault: Fault, request_id: str, dialects: Dialects, path: str | None) -> tuple[str, bytes]:
    """The media type and the body of the answer to what was not read; *path*: as far as it is known."""
    dialect = None if path is None else dialects.owner(path)
    if dialect is None or dialect is dialects.first:
        return MEDIA_TYPE, problem_body(*fault, request_id)
    error = web.HTTPException(reason=fault.detail.removesuffix("."))
    error.set_status(fault.status, error.reason)
    # Dialects ask for nothing of a request but its id.
    document = dialect.refuse(error, {REQUEST_ID: request_id}).document  # type: ignore[arg-type]  # there is none
    if isinstance(document, str):
        return PLAIN.content_type, document.encode()
    form = dialect.error_forms[0]
    return form.content_type, written(document, form, dialect.error_root, dialect.error_namespace)


def problem_body(status: int, title: str, code: str, detail: str, request_id: str) -> bytes:
    """The problem document of a request that no dialect's handler could be found for, as it was never read."""
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    return orjson.dumps({**problem, "instance": f"urn:uuid:{request_id}"})
