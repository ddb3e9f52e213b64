"""Which form an answer takes: what can be given, weighed by what ``Accept`` prefers. Source: RFC 9110, section 12.5.1."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from aiohttp import web

from jobledger.ledger.errors import InvalidCommandError

AnyHandler = TypeVar("AnyHandler", bound=Callable[..., object])

WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
QUOTED = r'"(?:[^"\\]|\\.)*"'
# As a quotation, or from a quote that nothing ends to the end: so that no text is gone through more than once.
SKIPPED = r'"(?:[^"\\]|\\.?)*(?:"|$)'
# One element of a list, up to a comma that stands in no quotes.
ELEMENT = re.compile(rf'(?:[^,"]|{SKIPPED})+', re.DOTALL)
WRITTEN_PARAMETER = re.compile(rf';((?:[^;"]|{SKIPPED})*)', re.DOTALL)
RANGE = re.compile(rf"\s*({WORD}/{WORD})\s*(;.*)?", re.DOTALL)
PARAMETER = re.compile(rf"\s*({WORD})=({WORD}|{QUOTED})\s*")
QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
# Says nothing of the form: every text here is UTF-8.
CHARSET = "charset"


class NotAcceptableError(InvalidCommandError):
    """The answer cannot be given in a form that is accepted."""

    code = "not_acceptable"


@dataclass(frozen=True, slots=True)
class Form:
    """How a document is written: its *syntax* ("json", "xml", …), the media type that the answer says, with the parameters
    that tell it from other versions, and further types under which it is asked for.
    """

    syntax: str
    media_type: str
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    also: tuple[str, ...] = ()
    # What the answer's ``Content-Type`` says.
    content_type: str = field(init=False)

    def __post_init__(self) -> None:
        said = "; ".join((self.media_type, *(f"{name}={value}" for name, value in self.parameters.items())))
        object.__setattr__(self, "content_type", said)


JSON = Form("json", "application/json")
XML = Form("xml", "application/xml", also=("text/xml",))
NDJSON = Form("ndjson", "application/x-ndjson", also=("application/ndjson", "application/jsonl"))
EVENT_STREAM = Form("sse", "text/event-stream")
CSV = Form("csv", "text/csv", MappingProxyType({"charset": "utf-8"}))
# A file as it is, also for those who would rather have a document.
OCTETS = Form("octets", "application/octet-stream", also=("application/json", "application/xml", "text/xml"))
PLAIN = Form("text", "text/plain", MappingProxyType({"charset": "utf-8"}))


class MediaRange(NamedTuple):
    """An element of ``Accept``: ``type/subtype``, ``type/*`` or ``*/*`` in lower case, its parameters, its weight."""

    name: str
    parameters: Mapping[str, str]
    quality: float

    def closeness(self, form: Form) -> int | None:
        """How closely this names *form*: more is closer; None where it does not."""
        if self.name == "*/*":
            return 0
        if self.name.endswith("/*"):
            kind = self.name[:-1]
            return 1 if any(it.startswith(kind) for it in (form.media_type, *form.also)) else None
        if self.name not in (form.media_type, *form.also):
            return None
        # What a form's own parameters do not tell apart, such as an indent, is passed over. Source: RFC 9110, section 12.5.1.
        asked = {name: it for name, it in self.parameters.items() if name != CHARSET and name in form.parameters}
        if any(form.parameters[name] != it for name, it in asked.items()):
            return None
        return 2 + len(asked)


def accepted(header: str) -> list[MediaRange]:
    """What an ``Accept`` says; elements that are malformed are passed over."""
    ranges = []
    for element in ELEMENT.findall(header):
        match = RANGE.fullmatch(element)
        if match is None:
            continue
        parameters: dict[str, str] = {}
        written = [it for it in WRITTEN_PARAMETER.findall(match[2] or "") if it.strip()]
        for parameter in filter(None, map(PARAMETER.fullmatch, written)):
            name, value = parameter[1].lower(), parameter[2]
            parameters[name] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] == '"' else value
        if len(parameters) < len(written):
            continue
        quality = parameters.pop("q", "1")
        if QUALITY.fullmatch(quality):
            ranges.append(MediaRange(match[1].lower(), parameters, float(quality)))
    return ranges


def preferred(header: str | None, forms: Sequence[Form]) -> Form | None:
    """The one of *forms* that *header* prefers; of equals the one that it names more closely, then the first.

    Without a header, or one that names nothing, the first. None where it takes none of them.
    """
    ranges = accepted(header) if header and header != "*/*" else []
    if not ranges:
        return forms[0]
    best, best_rank = None, (0.0, 0)
    for form in forms:
        named = [(closeness, it.quality) for it in ranges if (closeness := it.closeness(form)) is not None]
        # The closest range alone decides; of two as close, the one that wants it more.
        closeness, quality = max(named) if named else (0, 0.0)
        if quality > 0 and (quality, closeness) > best_rank:
            best, best_rank = form, (quality, closeness)
    return best


def form_of_answer(request: web.Request, forms: Sequence[Form]) -> Form:
    """The form of the answer. Raises NotAcceptableError."""
    if "Accept" not in request.headers:
        return forms[0]
    form = preferred(accept_header(request), forms)
    if form is None:
        offered = [it.content_type for it in forms]
        raise NotAcceptableError(f"This is given as {' or '.join(offered)}.", offered=offered)
    return form


def accept_header(request: web.Request) -> str | None:
    """All that ``Accept`` says, also where it is sent more than once."""
    headers = request.headers.getall("Accept", None)
    return None if headers is None else ",".join(headers)


def gives(*forms: Form) -> Callable[[AnyHandler], AnyHandler]:
    """Say that a handler's answer comes in these forms, not in its dialect's."""

    def mark(handler: AnyHandler) -> AnyHandler:
        handler.forms = forms  # type: ignore[attr-defined]  # functions take members; nothing else can be marked so
        return handler

    return mark


def forms_of(handler: object) -> tuple[Form, ...] | None:
    """What ``gives`` said of the handler; None for nothing."""
    return getattr(handler, "forms", None)
