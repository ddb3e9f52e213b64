"""Attachments on their way in and out, a chunk at a time: whoever sends waits for the database, who reads for the client."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

from aiohttp import web

from jobledger.http.context import ATTACHMENTS, CURSOR_KEY, LARGEST_ATTACHMENT_BYTES, LEDGER
from jobledger.http.document import (
    BodyTooLargeError,
    UnsupportedMediaTypeError,
    body_chunks,
)
from jobledger.http.form import Form
from jobledger.http.native.parameters import header_key, request_hash
from jobledger.http.schema import Schema, object_of
from jobledger.ledger.domain.command import Caller, Idempotency, Outcome
from jobledger.ledger.domain.job_workflow_commands import AddAttachment
from jobledger.ledger.errors import InvalidCommandError, NotFoundError, OutcomeUnknownError
from jobledger.ledger.store.attachments import Upload

PART = "attachment"
LONGEST_NAME = 255
LONGEST_MEDIA_TYPE = 200
# What may stand in an extended parameter as it is. Source: RFC 8187, section 3.2.1.
ATTRIBUTE_SAFE = "!#$&+-.^_`|~"
MEDIA_TYPE = re.compile(r"[!#$&^_.+A-Za-z0-9-]{1,127}/[!#$&^_.+A-Za-z0-9-]{1,127}")


FORM_TYPE = "multipart/form-data"
FILE: Schema = {"type": "string", "format": "binary"}
FORM_BODY: Schema = object_of({PART: FILE}, further=True)
# What is said of a file that is sent.
SAVED = {"Content-Disposition": "The name to save it under.", "ETag": "Its SHA-256."}


class Attached(NamedTuple):
    """What was attached: the name it has here."""

    outcome: Outcome
    attachment_id: str
    name: str


class Incoming(NamedTuple):
    """A file on its way in."""

    name: str
    media_type: str | None
    pieces: AsyncIterator[bytes]


def safe_name(given: str | None) -> str:
    """A file's name without folders, and without what cannot be seen. Raises InvalidCommandError where nothing is left."""
    last = re.split(r"[/\\]", given or "")[-1]
    name = "".join(it for it in last if it.isprintable()).strip(" .")[:LONGEST_NAME].strip(" .")
    if not name:
        raise InvalidCommandError("An attachment needs a file name.", errors=[{"member": "name", "problem": "is none"}])
    return name


def content_disposition(name: str) -> str:
    """To be saved under *name*, never shown. Source: RFC 6266, section 4."""
    plain = re.sub(r'["\\%?]', "_", name.encode("ascii", "replace").decode())
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=ATTRIBUTE_SAFE)}"


async def attach(request: web.Request, caller: Caller, job_id: int, raw_name: str | None = None) -> Attached:
    """Attach the body's file to a job: the part ``attachment`` of a form, or, where it has a name, the whole body.

    Raises BodyTooLargeError, UnsupportedMediaTypeError, MalformedDocumentError, also for a form that is not there whole, and what
    the command raises: then nothing of it is left. The caller must see the job already.
    """
    key = header_key(request)
    store = request.app[ATTACHMENTS]
    upload = Upload(caller.org)
    is_kept = False
    try:
        incoming = await _incoming(request, raw_name)
        limit = request.app[LARGEST_ATTACHMENT_BYTES]
        async for piece in incoming.pieces:
            if upload.size_bytes + len(piece) > limit:
                raise BodyTooLargeError(f"An attachment is at most {limit} bytes.", limit_bytes=limit)
            await store.add(upload, piece)
        await store.finish(upload)
        told = f"{upload.sha256} {incoming.media_type} {incoming.name}".encode()
        hashed = request.app[CURSOR_KEY].sealed(request_hash(request.method, request.path, told))
        try:
            outcome = await request.app[LEDGER].execute(
                AddAttachment(
                    caller=caller,
                    idempotency=None if key is None else Idempotency(key, hashed),
                    job_id=job_id,
                    attachment_id=str(upload.id),
                    name=incoming.name,
                    size_bytes=upload.size_bytes,
                    chunk_count=upload.chunk_count,
                    sha256=upload.sha256,
                    media_type=incoming.media_type,
                )
            )
        except OutcomeUnknownError:
            # It may yet be recorded: if not, the watch finds it.
            is_kept = True
            raise
        is_kept = not outcome.is_repeated
        return Attached(outcome, outcome.result["attachment_id"], incoming.name)
    finally:
        # If we die before this the watch finds it.
        if not is_kept:
            await store.discard(upload)


async def _incoming(request: web.Request, raw_name: str | None) -> Incoming:
    if request.content_type != FORM_TYPE:
        if raw_name is None:
            raise UnsupportedMediaTypeError(
                f"An attachment is sent as {FORM_TYPE}, in a part {PART}.", content_type=request.content_type
            )
        if (request.content_length or 0) > request.app[LARGEST_ATTACHMENT_BYTES]:
            limit = request.app[LARGEST_ATTACHMENT_BYTES]
            raise BodyTooLargeError(f"An attachment is at most {limit} bytes.", limit_bytes=limit)
        said = request.content_type if "Content-Type" in request.headers else None
        return Incoming(safe_name(raw_name), _media_type(said), body_chunks(request))
    form = Form(body_chunks(request), request.headers["Content-Type"])
    while (part := await form.next()) is not None:
        if part.name == PART:
            return Incoming(safe_name(raw_name or part.file_name), _media_type(part.media_type), _only_part(form))
    raise InvalidCommandError(f"The form has no part {PART}.", errors=[{"member": PART, "problem": "is missing"}])


async def _only_part(form: Form) -> AsyncIterator[bytes]:
    """The contents of the form's part; at their end the form has come whole, and had no other of that name."""
    async for piece in form.contents():
        yield piece
    while (part := await form.next()) is not None:
        if part.name == PART:
            raise InvalidCommandError(
                f"The form has more than one part {PART}.", errors=[{"member": PART, "problem": "is there twice"}]
            )


def _media_type(said: str | None) -> str | None:
    word = (said or "").partition(";")[0].strip().lower()
    return word if MEDIA_TYPE.fullmatch(word) else None


async def send_attachment(
    request: web.Request, org: str, attachment_id: UUID, attachment: Mapping[str, Any]
) -> web.StreamResponse:
    """The attachment's bytes, as a file to save. They are checked on their way: an answer that breaks off is not whole."""
    chunks = request.app[ATTACHMENTS].chunks(org, attachment_id, attachment["size_bytes"], attachment["sha256"])
    first = await anext(chunks, b"")
    answer = web.StreamResponse(
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Length": str(attachment["size_bytes"]),
            "Content-Disposition": content_disposition(attachment["name"] or "attachment"),
            "ETag": f'"{attachment["sha256"]}"',
        }
    )
    await answer.prepare(request)
    if request.method != "HEAD":
        await answer.write(first)
        async for chunk in chunks:
            await answer.write(chunk)
    await answer.write_eof()
    return answer


def attachments_of(job: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The attachments of a job as the native API shows it, with their names, by their ids, the oldest first."""
    names = job["attachment_names"] or {}
    return {key: {"id": key, "name": names.get(key), **it} for key, it in (job["attachments"] or {}).items()}


def found_attachment(job: Mapping[str, Any], attachment_id: UUID) -> dict[str, Any]:
    """The attachment with that id. Raises NotFoundError."""
    found = attachments_of(job).get(str(attachment_id))
    if found is None:
        raise NotFoundError(f"There is no attachment {attachment_id}.")
    return found
