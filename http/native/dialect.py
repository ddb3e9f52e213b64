"""The native API as a dialect."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, NamedTuple

from aiohttp import web

from jobledger.http.context import REQUEST_ID
from jobledger.http.dialect import Dialect, Refusal
from jobledger.http.members import Reader, integer, job_id, reads, uuid
from jobledger.http.native.answers import PROBLEM
from jobledger.http.negotiation import Form
from jobledger.http.problem import MEDIA_TYPE, problem_of
from jobledger.ledger.domain.access import ORG_NAME
from jobledger.ledger.domain.copy import LARGEST_COPY_ID
from jobledger.ledger.domain.diagram import DRAFT, LARGEST_DIAGRAM_ID
from jobledger.ledger.evidence.tree import TILE_WIDTH

PREFIX = "/ledger/v1/"
LARGEST_NUMBER = 2**31 - 1

principal_id = integer(1, LARGEST_NUMBER)
archive_id = integer(1, LARGEST_NUMBER)
queue_id = integer(1, LARGEST_NUMBER)
export_id = integer(1, LARGEST_NUMBER)
hold_id = integer(1, LARGEST_NUMBER)
copy_id = integer(1, LARGEST_COPY_ID)
diagram_id = integer(1, LARGEST_DIAGRAM_ID)
FROM_DRAFT = integer(DRAFT, LARGEST_DIAGRAM_ID)


@reads({**FROM_DRAFT.schema, "not": {"const": 0}, "description": f"{DRAFT}: the draft."})
def version_number(value: Any) -> int:
    """The number of a diagram's version, -1 for the draft."""
    number = FROM_DRAFT.read(value)
    if number == 0:
        raise ValueError("is no version")
    return number


LARGEST_POSITION = 2**63 - 1
# Source: C2SP tlog-tiles.
TILE = re.compile(r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)
MOST_TILE_PARTS = 6
POSITION = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class TileNumber(NamedTuple):
    """Which tile of a level; *width*: how many hashes of it, None for all."""

    number: int
    width: int | None


@reads(
    {
        "type": "string",
        "pattern": f"^{TILE.pattern.replace('?:', '')}$",
        "description": "By three digits: `000`, `x001/x234/067`; `.p/5` after it where it is partial, of five.",
    }
)
def tile_number(value: Any) -> TileNumber:
    """A tile as a path names it."""
    match = TILE.fullmatch(value)
    if match is None or value.startswith("x000") or match[1].count("/") >= MOST_TILE_PARTS:
        raise ValueError("is no tile")
    width = int(match[2] or TILE_WIDTH)
    if (match[2] and width >= TILE_WIDTH) or width > TILE_WIDTH:
        raise ValueError("is no tile")
    return TileNumber(int(match[1].replace("x", "").replace("/", "")), width if match[2] else None)


@reads({"type": "integer", "minimum": 0, "maximum": LARGEST_POSITION})
def position(value: Any) -> int:
    """A position."""
    if not POSITION.fullmatch(value) or int(value) > LARGEST_POSITION:
        raise ValueError("is no position")
    return int(value)


@reads({"type": "integer", "minimum": 1, "maximum": LARGEST_POSITION})
def checkpoint_size(value: Any) -> int:
    """So many events as a checkpoint covers."""
    number = position.read(value)
    if number == 0:
        raise ValueError("is no size")
    return number


@reads({"type": "integer", "minimum": 0, "maximum": 63})
def tile_level(value: Any) -> int:
    """A level of tiles."""
    if not POSITION.fullmatch(value) or int(value) > 63:
        raise ValueError("is no level")
    return int(value)


def read_org(value: str) -> str:
    """The name of an org."""
    if not ORG_NAME.fullmatch(value):
        raise ValueError("is no name of an org")
    return value


org_name = Reader(read_org, {"type": "string", "pattern": f"^{ORG_NAME.pattern}$"})


def org_of(request: web.Request) -> str | None:
    """The org that the path names."""
    return request.path.removeprefix(PREFIX).partition("/")[0]


def refuse(error: BaseException, request: web.Request) -> Refusal:
    """A problem document."""
    problem = problem_of(error, request[REQUEST_ID])
    return Refusal(problem["status"], problem)


NATIVE = Dialect(
    name="native",
    title="Native API",
    prefixes=(PREFIX,),
    refuse=refuse,
    challenge='Bearer realm="job ledger", Basic realm="job ledger"',
    org=org_of,
    variables=MappingProxyType(
        {
            "org": org_name,
            "job_id": job_id,
            "principal_id": principal_id,
            "token_id": uuid,
            "hold_id": hold_id,
            "copy_id": copy_id,
            "diagram_id": diagram_id,
            "number": version_number,
            "template_id": diagram_id,
            "attachment_id": uuid,
            "schedule_id": uuid,
            "position": position,
            "size": checkpoint_size,
            "level": tile_level,
            "tile": tile_number,
            "archive_id": archive_id,
            "queue_id": queue_id,
            "export_id": export_id,
        }
    ),
    # Source: RFC 9457, sections 6.1 and 6.2, appendix B.
    error_forms=(
        Form("json", MEDIA_TYPE, also=("application/json",)),
        Form("xml", "application/problem+xml", also=("application/xml", "text/xml")),
    ),
    error_schema=PROBLEM,
    error_root="problem",
    error_namespace="urn:ietf:rfc:7807",
)
