"""Reading bodies: by which media types they come, and members that are read whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from aiohttp import web

from jobledger.http.document import UnsupportedMediaTypeError
from jobledger.http.members import Members, Reader
from jobledger.http.negotiation import CHARSET, accepted
from jobledger.ledger.errors import InvalidCommandError

Value = TypeVar("Value")

OWN = "application/vnd."
VERSION = "version"


def must_be_sent_as(request: web.Request, *names: str, version: str | None = None) -> str | None:
    """Which of the vendor's media types the body comes as; None where it comes as plain XML or JSON.

    Raises UnsupportedMediaTypeError for another of the vendor's, or another version.
    """
    header = request.headers.get("Content-Type")
    said = accepted(header) if header is not None else []
    if not said or not said[0].name.startswith(OWN):
        return None
    sent = said[0]
    stem = sent.name.rpartition("+")[0]
    versions = {name: it for name, it in sent.parameters.items() if name not in (CHARSET,)}
    if stem not in names or (version is not None and versions.get(VERSION, version) != version):
        raise UnsupportedMediaTypeError("This media type is not taken here.", content_type=header)
    return stem


def whole(members: Members, turn: Callable[[dict[str, Any]], Value]) -> Reader[Value]:
    """A reader of an object of these members; *turn* makes of them what is meant, and may raise ValueError."""

    def read(value: Any) -> Value:
        try:
            return turn(members.read(value))
        except InvalidCommandError as error:
            told = error.detail.rstrip(".")
            raise ValueError(f"is wrong: {told[0].lower()}{told[1:]}") from None

    return Reader(read, members.schema)


def one_root(given: Mapping[str, Value]) -> tuple[str, Value]:
    """The one member of a document. Raises InvalidCommandError for none, or several."""
    if len(given) != 1:
        raise InvalidCommandError("A document has one root element.")
    [root] = given.items()
    return root
