"""``POST commands``: NDJSON in, NDJSON out, both streamed; each line a unit of its own, the outcomes in order.

    {"command":"register","job":{…}}              → {"line":1,"status":201,"id":1,"state":"SCHEDULED","version":1,"position":7}
    {"command":"progress","id":1,"progress":0.5}  → {"line":2,"status":200,"id":1,…,"positions":[8],"recorded_at":…}
    {"command":"start","id":99}                   → {"line":3,"status":404,"type":…,"title":…,"detail":…}

A line may carry its own ``idempotency_key``; a request's Idempotency-Key holds for each line with the line's number.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, FETCH_START_TIMEOUT_S, LEDGER, REQUEST_ID
from jobledger.http.denied import note_refusal
from jobledger.http.document import (
    LARGEST_BODY_BYTES,
    BodyTooLargeError,
    UnsupportedMediaTypeError,
    body_chunks,
)
from jobledger.http.large_json import read_json
from jobledger.http.members import Members
from jobledger.http.members import job_id as read_job_id
from jobledger.http.native.answers import OUTCOME
from jobledger.http.native.job_members import (
    A_JOB,
    A_LIST,
    TRANSITIONS,
    read_job,
    read_jobs,
    shown_registration,
    shown_transition,
)
from jobledger.http.native.parameters import LONGEST_KEY, checked_key, header_key, request_hash
from jobledger.http.negotiation import NDJSON, gives
from jobledger.http.operation import Body, operation, read_parameters
from jobledger.http.places import begin_stream
from jobledger.http.problem import problem_of
from jobledger.http.schema import STRING, Named, Schema, array_of, object_of
from jobledger.http.standing import STOPPING, Standing
from jobledger.ledger.domain.command import Caller, Command, Idempotency, Outcome
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.errors import (
    CorruptLedgerError,
    InvalidCommandError,
    LedgerError,
    NotLetInError,
)

log = logging.getLogger(__name__)

TAKEN = (NDJSON.media_type, *NDJSON.also)
LONGEST_LINE_BYTES = LARGEST_BODY_BYTES
# So many lines at most are handed on, and answered, together.
MOST_TOGETHER = 100
# How far reading runs ahead of answering: enough to fill batches, not more than a queue has room for.
MOST_UNANSWERED = 2_000

command_routes = web.RouteTableDef()

LINES = {
    verb: Members({"id": read_job_id, **it.readers}, needed=("id", *it.readers.needed))
    for verb, it in TRANSITIONS.items()
}


def _line(command_name: str, members: Schema) -> Schema:
    known = {"command": {**STRING, "enum": [command_name]}, "idempotency_key": {**STRING, "maxLength": LONGEST_KEY}}
    return {
        **object_of({**known, **members["properties"]}, further=False),
        "required": ["command", *members["required"]],
    }


A_COMMAND = Named(
    "Command",
    {
        "anyOf": [
            _line("register", object_of({"job": A_JOB})),
            _line("register", object_of({"jobs": A_LIST})),
            *(_line(verb, members.schema) for verb, members in LINES.items()),
        ]
    },
)
OUTCOMES = {**array_of(OUTCOME), "description": "A line each, in the order of the commands."}
COMMANDS = Body(
    media_types={NDJSON.media_type: {**array_of(A_COMMAND), "description": "A line each."}}, is_needed=False
)


class Line:
    """One line's command on its way to an answer."""

    __slots__ = ("command_name", "error", "is_list", "job_id", "number", "outcome")

    def __init__(self, number: int) -> None:
        self.number = number
        self.command_name = ""
        self.job_id: int | None = None
        self.is_list = False
        self.error: BaseException | None = None
        self.outcome: asyncio.Future[Outcome] | None = None

    @property
    def refusal(self) -> BaseException | None:
        """What it failed with. To be asked for when that is known."""
        return self.outcome.exception() if self.error is None and self.outcome is not None else self.error

    def answer(self, request_id: str) -> bytes:
        """The line's outcome as NDJSON. To be asked for when it is there."""
        error = self.refusal
        if error is not None:
            if not isinstance(error, LedgerError | CorruptLedgerError):
                log.error("Line %s of request %s failed", self.number, request_id, exc_info=error)
            return orjson.dumps({"line": self.number, **problem_of(error, request_id)}, default=str) + b"\n"
        assert self.outcome is not None
        outcome = self.outcome.result()
        if self.command_name == "register":
            status, shown = shown_registration(outcome, is_list=self.is_list)
        else:
            status, shown = 200, shown_transition(outcome)
        return orjson.dumps({"line": self.number, "status": status, **shown}) + b"\n"


@command_routes.post("/ledger/v1/{org}/commands")
@gives(NDJSON)
@operation(OUTCOMES, body=COMMANDS, marks_replays=False)
async def execute_commands(request: web.Request) -> web.StreamResponse:
    """Execute a stream of commands in order, each a unit of its own."""
    if "Content-Type" in request.headers and request.content_type not in TAKEN:
        raise UnsupportedMediaTypeError(f"A body here is {NDJSON.media_type}.", content_type=request.content_type)
    read_parameters(request)
    reader = CommandReader(request)
    begin_stream(request)
    response = web.StreamResponse(headers={"Content-Type": NDJSON.content_type})
    await response.prepare(request)
    lines: asyncio.Queue[list[Line]] = asyncio.Queue(MOST_UNANSWERED // MOST_TOGETHER)
    reading = asyncio.create_task(_read_lines(request, reader, lines))
    try:
        await _write_answers(request, response, lines)
        await reading
    finally:
        # A client that went away has had its queued commands decided all the same.
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await response.write_eof()
    return response


async def _read_lines(request: web.Request, reader: CommandReader, lines: asyncio.Queue[list[Line]]) -> None:
    """Queue each line's command in the ledger, in order, as it comes; an empty list says that there are no more."""
    number = 0
    try:
        async for texts in split_lines(request):
            together: list[Line] = []
            for text in texts:
                number += 1
                line = Line(number)
                if isinstance(text, BaseException):
                    line.error = text
                elif text.strip():
                    try:
                        await reader.ask_standing()
                        line.outcome = await request.app[LEDGER].enqueue(await reader.command(text, line))
                    except NotLetInError:
                        # Whoever sends these lines is nobody any more: told in place of this one, and no other is looked at.
                        if together:
                            await lines.put(together)
                        number -= 1
                        raise
                    except Exception as error:
                        # Whatever it is, it is this line's alone.
                        line.error = error
                else:
                    continue
                together.append(line)
                if len(together) == MOST_TOGETHER:
                    await lines.put(together)
                    together = []
            if together:
                await lines.put(together)
    except LedgerError as error:
        # The body broke off, or is read no further: told in place of the line that it would have been.
        line = Line(number + 1)
        line.error = error
        await lines.put([line])
    finally:
        await lines.put([])


async def _write_answers(request: web.Request, response: web.StreamResponse, lines: asyncio.Queue[list[Line]]) -> None:
    while together := await lines.get():
        answers: list[bytes] = []
        for line in together:
            if line.outcome is not None and not line.outcome.done():
                if answers:
                    await response.write(b"".join(answers))
                    answers = []
                await asyncio.wait([line.outcome])
            answers.append(line.answer(request[REQUEST_ID]))
            if line.refusal is not None:
                note_refusal(request, line.refusal, command=line.command_name, job_id=line.job_id)
        await response.write(b"".join(answers))


async def _chunks_until_stop(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises as ``body_chunks``, and UnavailableError where the server stops while more is waited for."""
    stopping, chunks = request.app[STOPPING], body_chunks(request)
    waiting: asyncio.Timeout | None = None

    def end() -> None:
        if waiting is not None:
            waiting.reschedule(asyncio.get_running_loop().time())

    with stopping.told_to(end):
        while True:
            stopping.must_not_have_begun()
            try:
                async with asyncio.timeout(None) as waiting:
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError:
                continue
            finally:
                waiting = None
            yield chunk


async def split_lines(request: web.Request) -> AsyncIterator[list[bytes | BodyTooLargeError]]:
    """The lines of the body as they come, some at a time; in place of one that is too long, the error."""
    rest = b""
    is_skipping = False
    async for chunk in _chunks_until_stop(request):
        *whole, rest = (rest + chunk).split(b"\n")
        if is_skipping and whole:
            is_skipping = False
            del whole[0]
        lines = [text if len(text) <= LONGEST_LINE_BYTES else _too_long() for text in whole]
        if len(rest) > LONGEST_LINE_BYTES:
            if not is_skipping:
                lines.append(_too_long())
            rest, is_skipping = b"", True
        yield lines
    if rest and not is_skipping:
        yield [rest]


def _too_long() -> BodyTooLargeError:
    return BodyTooLargeError(f"A line is at most {LONGEST_LINE_BYTES} bytes.", limit_bytes=LONGEST_LINE_BYTES)


class CommandReader:
    """Makes commands of the lines of one request. Raises InvalidCommandError for a malformed Idempotency-Key."""

    def __init__(self, request: web.Request) -> None:
        self._caller: Caller = request[CALLER]
        self._standing = Standing(request)
        self._path = request.path
        self._key = header_key(request)
        self._fetch_start_timeout_s = request.app[FETCH_START_TIMEOUT_S]

    async def ask_standing(self) -> None:
        """Go on as what the caller may do by now. Raises NotLetInError where it is let in no more."""
        self._caller = await self._standing.caller()

    async def command(self, text: bytes, line: Line) -> Command:
        """The command in a line. Raises InvalidCommandError."""
        body = await read_json(text)
        if not isinstance(body, dict):
            raise InvalidCommandError("A line is an object with a member command.")
        name = line.command_name = body.pop("command", None)
        idempotency = self._idempotency(body, text, line.number)
        if name == "register":
            return await self._register(body, line, idempotency)
        transition = TRANSITIONS.get(name) if isinstance(name, str) else None
        if transition is None:
            raise InvalidCommandError(
                "A line's command is one of register, " + ", ".join(TRANSITIONS) + ".", parameter="command"
            )
        members = LINES[name].read(body)
        line.job_id = members["job_id"] = members.pop("id")
        return transition.command(caller=self._caller, idempotency=idempotency, **members)

    async def _register(self, body: dict[str, Any], line: Line, idempotency: Idempotency | None) -> Command:
        if body.keys() == {"job"}:
            jobs = [read_job(body["job"])]
        elif body.keys() == {"jobs"}:
            jobs, line.is_list = await read_jobs(body["jobs"]), True
        else:
            raise InvalidCommandError("To register takes either job or jobs.")
        return RegisterJobs(
            caller=self._caller,
            idempotency=idempotency,
            jobs=jobs,
            fetch_start_timeout_s=self._fetch_start_timeout_s,
        )

    def _idempotency(self, body: dict[str, Any], text: bytes, number: int) -> Idempotency | None:
        key = body.pop("idempotency_key", None)
        if key is None:
            if self._key is None:
                return None
            key = f"{self._key}/{number}"
        else:
            checked_key(key)
        return Idempotency(key, request_hash("POST", self._path, text))
