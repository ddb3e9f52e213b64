"""The native API's evidence: checkpoints, tiles and proofs.

Checkpoint, tiles and entries are as C2SP tlog-checkpoint and tlog-tiles have them, with ``/ledger/v1/{org}`` for their prefix; a
proof of inclusion as text is as C2SP tlog-proof has it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiohttp import web

from jobledger.http.attachments import FILE
from jobledger.http.context import ATTESTATIONS, EVIDENCE, FORM, JOBS, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import integer
from jobledger.http.native.dialect import LARGEST_POSITION, TileNumber
from jobledger.http.native.jobs import path_job_id
from jobledger.http.native.parameters import DEFAULT_LIMIT, limit
from jobledger.http.negotiation import JSON, OCTETS, PLAIN, XML, gives
from jobledger.http.operation import Parameters, operation, permitted, read_parameters, read_variable
from jobledger.http.schema import INTEGER, STRING, Named, array_of, nullable, object_of
from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.job import job_stream
from jobledger.ledger.errors import GoneError, InvalidCommandError, NotFoundError
from jobledger.ledger.evidence.checkpoint import Checkpoint
from jobledger.ledger.evidence.store import NotSignedYetError
from jobledger.ledger.evidence.tree import TILE_WIDTH, TileAt, tile_width
from jobledger.ledger.store.codec import leaf_of

READ_EVENTS = "events.read"
READ_JOBS = "jobs.read"
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
CACHED = {"Cache-Control": "`public, max-age=31536000, immutable` for a full one."}

evidence_routes = web.RouteTableDef()

HASHES = array_of({**STRING, "contentEncoding": "base64", "description": "SHA-256, in base64."})
SIGNED = {**STRING, "description": "A signed note."}
INCLUSION = Named(
    "InclusionProof",
    object_of(
        {
            "position": INTEGER,
            "header": {**STRING, "description": "The very bytes that were hashed."},
            "leaf": STRING,
            "size": INTEGER,
            "proof": HASHES,
            "checkpoint": SIGNED,
        }
    ),
)
OF_AN_EVENT = Named(
    "EventProof",
    object_of({"position": INTEGER, "header": STRING, "leaf": STRING, "proof": nullable(HASHES)}),
)
OF_A_JOB = Named(
    "JobProof",
    object_of(
        {"size": INTEGER, "events": array_of(OF_AN_EVENT), "next_after": nullable(INTEGER), "checkpoint": SIGNED}
    ),
)
CONSISTENCY = Named(
    "ConsistencyProof", object_of({"from": INTEGER, "to": INTEGER, "proof": HASHES, "checkpoint": SIGNED})
)
tree_size = integer(0, LARGEST_POSITION)
SIZES = Parameters({"from": tree_size, "to": tree_size.about("The newest checkpoint's where it is not said.")})
PAGE = Parameters({"after": integer(-1, LARGEST_POSITION).about("Begin beyond this position."), "limit": limit})


@evidence_routes.get("/ledger/v1/{org}/checkpoint")
@gives(PLAIN)
@operation(STRING, capability=READ_EVENTS, may=(NotSignedYetError,))
async def get_checkpoint(request: web.Request) -> web.Response:
    """The newest checkpoint: the size and the root of the org's tree, as a signed note, with its cosignatures."""
    caller = permitted(request)
    read_parameters(request)
    newest = await request.app[EVIDENCE].must_be_signed(caller.org)
    return _text((await request.app[ATTESTATIONS].attested(caller.org, newest)).note)


@evidence_routes.get("/ledger/v1/{org}/key")
@gives(PLAIN)
@operation(STRING, capability=READ_EVENTS, may=(NotSignedYetError,))
async def get_key(request: web.Request) -> web.Response:
    """The verifier key of the newest checkpoint. Whoever verifies has it from elsewhere, too."""
    caller = permitted(request)
    read_parameters(request)
    return _text(f"{await request.app[EVIDENCE].verifier_key(caller.org)}\n".encode())


@evidence_routes.get("/ledger/v1/{org}/tile/entries/{tile:.+}")
@gives(OCTETS)
@operation(FILE, capability=READ_EVENTS, may=(NotSignedYetError,), gives_headers=CACHED)
async def get_entries(request: web.Request) -> web.Response:
    """The headers of 256 events, each behind its length in two bytes; purged or not."""
    caller = permitted(request)
    must_see_all(caller)
    read_parameters(request)
    tile: TileNumber = read_variable(request, "tile")
    newest = await request.app[EVIDENCE].must_be_signed(caller.org)
    found = _found(tile, 0, newest)
    start = found.number * TILE_WIDTH
    headers = await request.app[EVIDENCE].headers(caller.org, start, start + found.width)
    return _octets(b"".join(len(it).to_bytes(2, "big") + it for it in headers), found)


@evidence_routes.get("/ledger/v1/{org}/tile/{level}/{tile:.+}")
@gives(OCTETS)
@operation(FILE, capability=READ_EVENTS, may=(NotSignedYetError,), gives_headers=CACHED)
async def get_tile(request: web.Request) -> web.Response:
    """256 hashes of the org's tree: of level 0 leaves, of the next level the roots of 256 of these, and so on."""
    caller = permitted(request)
    read_parameters(request)
    level: int = read_variable(request, "level")
    tile: TileNumber = read_variable(request, "tile")
    evidence = request.app[EVIDENCE]
    newest = await evidence.must_be_signed(caller.org)
    found = _found(tile, level, newest)
    tiles = await evidence.tiles(caller.org, newest.fork, [found])
    return _octets(tiles[level, found.number], found)


@evidence_routes.get("/ledger/v1/{org}/proof/{position}")
@gives(JSON, XML, PLAIN)
@operation(INCLUSION, forms={"text": STRING}, capability=READ_EVENTS, may=(NotSignedYetError,))
async def get_proof(request: web.Request) -> web.Response:
    """The proof that an event is in the newest checkpoint's tree; `text/plain`: as a tlog-proof."""
    caller = permitted(request)
    must_see_all(caller)
    read_parameters(request)
    position: int = read_variable(request, "position")
    evidence = request.app[EVIDENCE]
    newest = await evidence.newest(caller.org)
    if newest is None or position >= newest.size:
        if position >= (await request.app[LEDGER].recorder.head(caller.org)).size:
            raise NotFoundError(f"There is no position {position}.", position=position)
        raise NotSignedYetError(f"No checkpoint covers position {position} yet.", position=position)
    [proof] = await evidence.inclusion(caller.org, newest.fork, [position], newest.size)
    if request[FORM] is PLAIN:
        lines = ["c2sp.org/tlog-proof@v1", f"index {position}", *_encoded(proof), "", ""]
        return _text("\n".join(lines).encode() + newest.note)
    [header] = await evidence.headers(caller.org, position, position + 1)
    shown = {**_event(position, header), "size": newest.size, "proof": _encoded(proof)}
    return answer(request, {**shown, "checkpoint": newest.note.decode()})


@evidence_routes.get("/ledger/v1/{org}/jobs/{job_id}/proof")
@operation(OF_A_JOB, parameters=PAGE, capability=READ_JOBS, may=(NotSignedYetError,))
async def get_job_proof(request: web.Request) -> web.Response:
    """The proofs that a job's events are in the newest checkpoint's tree, also once it is gone; null of those that no checkpoint
    covers yet.
    """
    caller = permitted(request)
    parameters = read_parameters(request)
    job_id = path_job_id(request)
    with suppress(GoneError):
        # Of one that was purged, deleted or erased the headers stay; who sees what is left of it may see these.
        await request.app[JOBS].job(caller.org, job_id, caller.domains)
    evidence = request.app[EVIDENCE]
    newest = await evidence.must_be_signed(caller.org)
    size = parameters.get("limit", DEFAULT_LIMIT)
    after = parameters.get("after", -1)
    headers = await evidence.headers_of(caller.org, job_stream(job_id), after, size)
    if not headers and after >= (await request.app[LEDGER].recorder.head(caller.org)).size:
        raise InvalidCommandError("After lies beyond the ledger's end.", parameter="after")
    covered = [it for it in headers if it < newest.size]
    proofs = await evidence.inclusion(caller.org, newest.fork, covered, newest.size)
    by_position = dict(zip(covered, map(_encoded, proofs), strict=True))
    events = [{**_event(it, header), "proof": by_position.get(it)} for it, header in headers.items()]
    shown = {
        "size": newest.size,
        "events": events,
        "next_after": max(headers) if len(headers) == size else None,
        "checkpoint": newest.note.decode(),
    }
    return answer(request, shown)


@evidence_routes.get("/ledger/v1/{org}/consistency")
@operation(CONSISTENCY, parameters=SIZES, capability=READ_EVENTS, may=(NotSignedYetError,))
async def get_consistency(request: web.Request) -> web.Response:
    """The proof that one tree of the org, of `from` events, is the beginning of another, of `to`."""
    caller = permitted(request)
    sizes: Mapping[str, int] = read_parameters(request)
    newest = await request.app[EVIDENCE].must_be_signed(caller.org)
    old, new = sizes.get("from", 0), sizes.get("to", newest.size)
    if not old <= new <= newest.size:
        raise InvalidCommandError(
            f"A proof is from one size to one as large or larger, at most {newest.size}.", largest=newest.size
        )
    proof = await request.app[EVIDENCE].consistency(caller.org, newest.fork, old, new)
    return answer(request, {"from": old, "to": new, "proof": _encoded(proof), "checkpoint": newest.note.decode()})


def _found(tile: TileNumber, level: int, newest: Checkpoint) -> TileAt:
    """The tile, as wide as it was asked for. Raises NotFoundError for one that the checkpoint's tree does not have."""
    there = tile_width(level, tile.number, newest.size)
    width = TILE_WIDTH if tile.width is None else tile.width
    if width > there:
        raise NotFoundError("There is no such tile.")
    return TileAt(level, tile.number, width)


def _event(position: int, header: bytes) -> dict[str, Any]:
    return {"position": position, "header": header.decode(), "leaf": _encoded([leaf_of(header)])[0]}


def _encoded(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(it).decode() for it in hashes]


def _text(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": PLAIN.content_type})


def _octets(body: bytes, tile: TileAt) -> web.Response:
    cached = IMMUTABLE if tile.width == TILE_WIDTH else {}
    return web.Response(body=body, headers={"Content-Type": OCTETS.content_type, **cached})
