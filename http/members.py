"""Reading the members of a request: each by its type and range, every fault told at once, unknown ones refused.

XML has texts alone: what one means is told by who reads it. So a number, true or false may come as text, an element may be
all of a list, and an empty one an object or a list without members; from XML only, JSON has types of its own.

Each reader says in JSON Schema what it takes, for the API's description: see ``http/operation.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from uuid import UUID

from jobledger.http.document import LARGEST_INTEGER, SMALLEST_INTEGER
from jobledger.http.schema import BOOLEAN, OBJECT, STRING, TIME, Schema, array_of, nullable, object_of
from jobledger.http.schema import UUID as A_UUID
from jobledger.http.xml_document import XmlList, XmlObject, XmlText, plain
from jobledger.ledger.domain.job import LARGEST_JOB_ID
from jobledger.ledger.errors import InvalidCommandError

Value = TypeVar("Value")
Given = TypeVar("Given")

# RFC 3339, section 5.6, with the zone that a plain ISO time may lack.
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
# A century before the last that there can be: what is computed from a time lies later, by a timeout of up to ten years or to the
# end of a day, and the very last stands for "without end" (``WITHOUT_END``).
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9900, 1, 1, tzinfo=UTC)
LONGEST_TIMEOUT_S = 10 * 366 * 24 * 3600
MOST_FIGURES, LONGEST_FIGURE_NAME = 32, 64
# RFC 8259, section 6.
NUMBER = re.compile(r"-?(0|[1-9]\d{0,19})(\.\d{1,400})?([eE][+-]?\d{1,4})?", re.ASCII)
INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)
WHOLE_NUMBER = re.compile(r"-?(0|[1-9]\d{0,19})", re.ASCII)
CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Of a member that is not known; those that are known are shorter.
LONGEST_NAME_SHOWN = 100
# Of one object; beyond them nothing more is looked at.
MOST_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Reader(Generic[Value]):
    """Reads one value: ``read`` gives it as it is meant, and raises ValueError for what *schema* does not describe.

    Integers as numeric strings, and all that is said otherwise in XML, are taken beyond what the schema says.
    """

    read: Callable[[Any], Value]
    schema: Schema

    def __call__(self, value: Any) -> Value:
        """Read *value*. Raises ValueError."""
        return self.read(value)

    def about(self, description: str) -> Reader[Value]:
        """The same reader, with what is to be said of the value."""
        return replace(self, schema={**self.schema, "description": description})


def reads(schema: Schema) -> Callable[[Callable[[Any], Value]], Reader[Value]]:
    """Make a function a reader of what *schema* describes."""
    return lambda read: Reader(read, schema)


class Members(dict[str, Reader[Any]]):
    """The readers of an object's members by their names; the object has at least those *needed*.

    *further* is what its schema says beyond that, which whoever reads it sees to; *is_due*: whether there must be one at all.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader[Any]],
        *,
        needed: tuple[str, ...] = (),
        further: Mapping[str, Any] = MappingProxyType({}),
        is_due: bool = False,
    ) -> None:
        super().__init__(readers)
        self.needed = needed
        self.further = further
        self.is_due = is_due or bool(needed)

    def read(self, body: Any) -> dict[str, Any]:
        """See ``read_members``."""
        return read_members(body, self, needed=self.needed)

    @property
    def schema(self) -> Schema:
        """What ``read`` takes; null is what is not there."""
        members = {name: it.schema if name in self.needed else nullable(it.schema) for name, it in self.items()}
        return {**object_of(members, without=self.keys() - set(self.needed), further=False), **self.further}


def read_members(body: Any, readers: Mapping[str, Reader[Any]], *, needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of *body*, each as its reader gives it; those that are null are left out.

    Raises InvalidCommandError whose ``errors`` names each faulty member, the first hundred of them.
    """
    if isinstance(body, XmlText) and not body.strip():
        body = {}
    if not isinstance(body, dict):
        raise InvalidCommandError("An object is due here.")
    errors: list[dict[str, str]] = []
    members: dict[str, Any] = {}
    for name, value in body.items():
        reader = readers.get(name)
        if len(errors) >= MOST_FAULTS:
            break
        if reader is None:
            errors.append({"member": name[:LONGEST_NAME_SHOWN], "problem": "is not known here"})
        elif value is not None:
            try:
                members[name] = reader.read(value)
            except ValueError as error:
                errors.append({"member": name, "problem": str(error)})
    errors += [{"member": name, "problem": "is missing"} for name in needed if body.get(name) is None]
    if errors:
        told = "; ".join(f"{it['member']} {it['problem']}" for it in errors[:5])
        raise InvalidCommandError(f"{told[0].upper()}{told[1:]}.", errors=errors[:MOST_FAULTS])
    return members


def text(longest: int, *, shortest: int = 1, most_bytes: int | None = None) -> Reader[str]:
    """A string of so many characters, and in UTF-8 so many bytes."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("is not a string")
        if not shortest <= len(value) <= longest:
            raise ValueError(f"is not {shortest} to {longest} characters long")
        if "\0" in value:
            raise ValueError("holds a NUL character")
        if most_bytes is not None and len(value.encode()) > most_bytes:
            raise ValueError(f"is longer than {most_bytes} bytes")
        return str(value)

    return Reader(read, {**STRING, "minLength": shortest, "maxLength": longest})


def integer(least: int, most: int) -> Reader[int]:
    """An integer, also as a numeric string."""

    def read(value: Any) -> int:
        if isinstance(value, str) and INTEGER.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("is not an integer")
        if not least <= value <= most:
            raise ValueError(f"is not between {least} and {most}")
        return value

    return Reader(read, {"type": "integer", "minimum": least, "maximum": most})


job_id = integer(1, LARGEST_JOB_ID)
timeout = integer(1, LONGEST_TIMEOUT_S)


@reads(A_UUID)
def uuid(value: Any) -> UUID:
    """A UUID as it is written usually: in lower case, with hyphens."""
    if not isinstance(value, str) or not CANONICAL_UUID.fullmatch(value):
        raise ValueError("is not a UUID")
    return UUID(value)


@reads({"type": "number"})
def number(value: Any) -> int | float:
    """A number; from XML one as JSON writes it."""
    if isinstance(value, XmlText) and NUMBER.fullmatch(value):
        value = int(value) if WHOLE_NUMBER.fullmatch(value) else float(value)
        if isinstance(value, int) and not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
            raise ValueError("is an integer beyond 64 bits")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("is not a number")
    return value


@reads(BOOLEAN)
def boolean(value: Any) -> bool:
    """True or false; from XML in any case."""
    if isinstance(value, XmlText):
        value = {"true": True, "false": False}.get(value.lower())
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


@reads({"type": "number", "minimum": 0, "maximum": 1})
def fraction(value: Any) -> float:
    """A number from 0 to 1."""
    value = number(value)
    if not 0 <= value <= 1:
        raise ValueError("is not between 0 and 1")
    return float(value)


@reads({**TIME, "description": f"With its zone, between the years {EARLIEST.year} and {LATEST.year}."})
def instant(value: Any) -> datetime:
    """A time with its zone, RFC 3339, as UTC."""
    if not isinstance(value, str) or not INSTANT.fullmatch(value):
        raise ValueError("is not a time with a zone, such as 2026-11-21T22:34:05Z")
    try:
        read = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.upper())).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not a time that exists") from None
    if not EARLIEST <= read < LATEST:
        raise ValueError(f"is not between the years {EARLIEST.year} and {LATEST.year}")
    return read


@reads(OBJECT)
def an_object(value: Any) -> dict[str, Any]:
    """An object; what is in it stays as it is, in XML text."""
    if isinstance(value, XmlText) and not value.strip():
        return {}
    if not isinstance(value, dict):
        raise ValueError("is not an object")
    members: dict[str, Any] = plain(value)
    return members


@reads(
    {
        **OBJECT,
        "additionalProperties": {"type": "number"},
        "propertyNames": {"minLength": 1, "maxLength": LONGEST_FIGURE_NAME},
        "maxProperties": MOST_FIGURES,
    }
)
def figures(value: Any) -> dict[str, int | float]:
    """An object of at most 32 named numbers."""
    given = value if isinstance(value, dict) else an_object(value)
    try:
        numbers = {name: number(it) for name, it in given.items()}
    except ValueError:
        numbers = None
    if (
        numbers is None
        or len(numbers) > MOST_FIGURES
        or not all(0 < len(name) <= LONGEST_FIGURE_NAME for name in numbers)
    ):
        raise ValueError(f"is not an object of at most {MOST_FIGURES} named numbers")
    return numbers


datastream_name = text(500)
A_DATASTREAM = object_of(
    {
        "id": {
            "anyOf": [
                {"type": "integer", "minimum": SMALLEST_INTEGER, "maximum": LARGEST_INTEGER},
                {"type": "string", "minLength": 1, "maxLength": 200},
            ]
        },
        "name": nullable(datastream_name.schema),
    },
    without=["name"],
    further=False,
)


@reads(A_DATASTREAM)
def datastream(value: Any) -> dict[str, Any]:
    """An object with an ``id``, an integer or a string, and perhaps a ``name``. From XML an id is an integer if it can be."""
    members = an_object(value)
    given = members.get("id")
    if isinstance(value, XmlObject) and isinstance(given, str) and WHOLE_NUMBER.fullmatch(given):
        number_given = int(given)
        if SMALLEST_INTEGER <= number_given <= LARGEST_INTEGER:
            given = members["id"] = number_given
    is_id = (isinstance(given, int) and not isinstance(given, bool)) or (
        isinstance(given, str) and 0 < len(given) <= 200
    )
    if not is_id or members.keys() - {"id", "name"}:
        raise ValueError("is not an object of an id and a name")
    if members.get("name") is not None:
        datastream_name(members["name"])
    return members


def list_of(reader: Reader[Given], most: int) -> Reader[list[Given]]:
    """A list of at most so many, each read by *reader*."""

    def read(value: Any) -> list[Given]:
        if isinstance(value, XmlText | XmlObject):
            value = [] if value == "" else [value]
        elif isinstance(value, XmlList) and len(value) == 1 and isinstance(value[0], XmlList):
            # <ids><item>1</item><item>2</item></ids>, as many write a list.
            value = value[0]
        if not isinstance(value, list):
            raise ValueError("is not a list")
        if len(value) > most:
            raise ValueError(f"has more than {most} elements")
        return [reader.read(it) for it in value]

    return Reader(read, array_of(reader.schema, most=most))


def one_of(*names: str) -> Reader[str]:
    """One of some words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"is none of {', '.join(names)}")
        return str(value)

    return Reader(read, {**STRING, "enum": list(names)})
