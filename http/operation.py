"""What a handler takes and gives, said beside it, and read by: so the API's description cannot say anything else.

    @routes.post("/ledger/v1/{org}/things/{thing_id}")
    @operation(THING, body=Members({"name": text(64)}), capability="things.manage", may=(ThingIsGoneError,))
    async def change_thing(request: web.Request) -> web.Response:
        \"""Change a thing.\"""
        read_parameters(request)
        given = await read_body_members(request)

What goes without saying is derived: see ``http/openapi.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from aiohttp import web

from jobledger.http.context import CALLER, DIALECT
from jobledger.http.document import LARGEST_BODY_BYTES, body_at_hand, has_small_body, is_waiting
from jobledger.http.exchange import read_document
from jobledger.http.members import Members, Reader, read_members
from jobledger.http.schema import Schema, array_of
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.errors import InvalidCommandError, LedgerError, NotFoundError

AnyHandler = TypeVar("AnyHandler", bound=Callable[..., object])


def several(reader: Reader[Any], most: int | None = None) -> Reader[list[Any]]:
    """The values of a parameter that may be given more than once, each read by *reader*."""
    return Reader(lambda values: [reader.read(it) for it in values], array_of(reader.schema, least=1, most=most))


class Parameters(dict[str, Reader[Any]]):
    """The readers of a query's parameters, each given at most once but those of *lists*, whose readers get all values."""

    def __init__(self, readers: Mapping[str, Reader[Any]], *, lists: frozenset[str] = frozenset()) -> None:
        super().__init__(readers)
        self.lists = lists


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is more than an object's members: its *schema* in JSON and XML, and what it is in other media types,
    or in these instead.
    """

    schema: Schema | None = None
    media_types: Mapping[str, Schema] = field(default_factory=dict)
    is_needed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a handler takes and gives.

    answer:     the schema of its documents
    forms:      what the answer is in forms where it is another, by their ``syntax``
    statuses:   with which it answers, and what each means
    parameters: those of its query
    headers:    readers of headers that mean something here alone
    body:       what it is sent; None: nothing is looked at
    capability: what the caller needs
    schemes:    the words before credentials that it takes, where they are fewer than its dialect's
    may:        errors that it may be refused with beyond those that go without saying
    gives_headers: headers of the answer, and what each says
    marks_replays: whether the first answer again, to a repeated POST, says so in ``Idempotent-Replayed``
    summary:    a line; None: the handler's docstring
    """

    answer: Schema
    forms: Mapping[str, Schema] = field(default_factory=dict)
    statuses: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({200: "As asked."}))
    parameters: Parameters = field(default_factory=lambda: Parameters({}))
    headers: Mapping[str, Reader[Any]] = field(default_factory=dict)
    body: Members | Body | None = None
    capability: str | None = None
    schemes: tuple[str, ...] | None = None
    may: tuple[type[LedgerError], ...] = ()
    gives_headers: Mapping[str, str] = field(default_factory=dict)
    marks_replays: bool = True
    summary: str | None = None


class ByWord(NamedTuple):
    """The operations of a handler whose path has a *variable* of some words: one for each."""

    variable: str
    operations: Mapping[str, Operation]


def operation(answer: Schema, **further: Any) -> Callable[[AnyHandler], AnyHandler]:
    """Say what a handler takes and gives: see ``Operation``."""
    return _marked(Operation(answer=answer, **further))


def operations(variable: str, each: Mapping[str, Operation]) -> Callable[[AnyHandler], AnyHandler]:
    """Likewise, of a handler of several verbs, which are words of the path."""
    return _marked(ByWord(variable, each))


def declared(handler: object) -> Operation | ByWord | None:
    """What was said of a handler; None for nothing."""
    return getattr(handler, "operation", None)


def operation_of(request: web.Request) -> Operation:
    """What the request's handler takes and gives."""
    said = _said_of(request.match_info)
    if said is None:
        raise TypeError(f"{request.match_info.handler} has no @operation")
    return said


def has_small_body_of_members(request: web.Request) -> bool:
    """Whether the request's handler reads a small body, which is on its way, whole before it does anything, so that it can begin
    anew.
    """
    if request.method != "POST":
        return False
    said = _said_of(request.match_info)
    return (
        said is not None
        and isinstance(said.body, Members)
        and (body_at_hand(request) is not None or (has_small_body(request) and not is_waiting(request)))
    )


def permitted(request: web.Request) -> Caller:
    """The caller, who has the capability that is needed here. Raises NotAllowedError."""
    caller = request[CALLER]
    capability = operation_of(request).capability
    if capability is not None:
        caller.must(capability)
    return caller


def read_parameters(request: web.Request, but: Collection[str] = ()) -> dict[str, Any]:
    """The query's parameters, without those *but* which count for nothing, whatever they say. Raises InvalidCommandError, also for
    one that is not taken here.
    """
    if not request.rel_url.raw_query_string:
        return {}
    readers = operation_of(request).parameters
    given: dict[str, Any] = {}
    for name in request.query:
        if name in request[DIALECT].passed_over or name in but:
            continue
        values = request.query.getall(name)
        if name in readers.lists:
            given[name] = values
        elif len(values) > 1:
            raise InvalidCommandError(f"{name} is given more than once.", parameter=name)
        else:
            given[name] = values[0]
    return read_members(given, readers)


def read_headers(request: web.Request) -> dict[str, Any]:
    """The headers that mean something here, None for those that are absent. Raises InvalidCommandError."""
    given = {}
    for name, reader in operation_of(request).headers.items():
        values = request.headers.getall(name, [])
        try:
            [given[name]] = map(reader.read, values or [""])
        except ValueError as error:
            why = "is given more than once" if len(values) > 1 else error
            raise InvalidCommandError(f"{name} {why}.", header=name) from None
    return given


def read_variable(request: web.Request, name: str) -> Any:
    """A variable of the path. NotFoundError for what can be none."""
    given = request.match_info[name]
    try:
        return request[DIALECT].variables[name].read(given)
    except ValueError:
        raise NotFoundError(f"There is no {name.removesuffix('_id').replace('_', ' ')} {given[:40]}.") from None


class GivenBody(NamedTuple):
    """The members of a body, and the body as it was sent."""

    members: dict[str, Any]
    body: bytes


async def read_body_members(request: web.Request, limit_bytes: int = LARGEST_BODY_BYTES) -> GivenBody:
    """What the operation's body is of. Raises as ``read_document``, and InvalidCommandError."""
    readers = operation_of(request).body
    if not isinstance(readers, Members):
        raise TypeError(f"{request.match_info.handler} says of no members")
    document, body, _ = await read_document(request, limit_bytes)
    return GivenBody(readers.read(document), body)


def _said_of(match: web.UrlMappingMatchInfo) -> Operation | None:
    said = declared(match.handler)
    return said.operations[match[said.variable]] if isinstance(said, ByWord) else said


def _marked(said: Operation | ByWord) -> Callable[[AnyHandler], AnyHandler]:
    def mark(handler: AnyHandler) -> AnyHandler:
        handler.operation = said  # type: ignore[attr-defined]  # functions take members; nothing else can be marked so
        return handler

    return mark
