"""The native API's checkpoints by size, and what others say of them: cosignatures (C2SP) and time stamps (RFC 3161)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from aiohttp import web

from jobledger.http.context import ATTESTATIONS, FORM
from jobledger.http.exchange import answer
from jobledger.http.members import Members, integer, reads, text
from jobledger.http.negotiation import JSON, PLAIN, XML, gives
from jobledger.http.operation import Parameters, operation, permitted, read_body_members, read_parameters, read_variable
from jobledger.http.schema import INTEGER, STRING, TIME, Named, array_of, object_of
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.evidence.attaching import AttestedCheckpoint
from jobledger.ledger.evidence.cosignature import LONGEST_LINE
from jobledger.ledger.evidence.store import NotSignedYetError
from jobledger.ledger.evidence.timestamp import LARGEST_TOKEN_BYTES

READ_EVENTS = "events.read"
ATTEST = "checkpoints.attest"
LONGEST_KEY = 1_000
LARGEST_ENCODED = (LARGEST_TOKEN_BYTES + 2) // 3 * 4
ENCODED = {**STRING, "contentEncoding": "base64"}

checkpoint_routes = web.RouteTableDef()


@reads(
    {
        **ENCODED,
        "minLength": 4,
        "maxLength": LARGEST_ENCODED,
        "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        "description": "DER in base64.",
    }
)
def token(value: Any) -> bytes:
    """A time stamp's bytes."""
    if not isinstance(value, str) or not value or len(value) > LARGEST_ENCODED:
        raise ValueError("is not base64")
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    if len(decoded) > LARGEST_TOKEN_BYTES:
        raise ValueError(f"is over {LARGEST_TOKEN_BYTES} bytes")
    return decoded


STAMP = Named(
    "CheckpointTimestamp",
    object_of(
        {
            "stamped_at": TIME,
            "token": {**ENCODED, "description": "A TimeStampToken of RFC 3161 in DER. Its signature was not checked."},
            "stamped": {**STRING, "description": "The very bytes that it is of."},
        }
    ),
)
CHECKPOINT = Named(
    "Checkpoint",
    object_of(
        {
            "size": INTEGER,
            "checkpoint": {**STRING, "description": "A signed note, with its cosignatures."},
            "witnesses": array_of({**STRING, "description": "A verifier key."}),
            "timestamps": array_of(STAMP),
        }
    ),
)
HISTORY = Parameters(
    {
        "fork": integer(1, 2**31 - 1).about(
            "Which of the org's histories, from 1, as its origin ends; the newest that was signed where it is not said."
        )
    }
)
COSIGNATURE = Members(
    {
        "cosignature": text(LONGEST_LINE).about("The line as it is to stand below the checkpoint."),
        "key": text(LONGEST_KEY).about("The witness's verifier key."),
    },
    needed=("cosignature", "key"),
)
TIMESTAMP = Members(
    {"token": token.about("A response of an authority, or the token in it, in base64.")}, needed=("token",)
)


@checkpoint_routes.get("/ledger/v1/{org}/checkpoint/{size}")
@gives(JSON, XML, PLAIN)
@operation(CHECKPOINT, forms={"text": STRING}, parameters=HISTORY, capability=READ_EVENTS, may=(NotSignedYetError,))
async def get_checkpoint_of(request: web.Request) -> web.Response:
    """The first checkpoint that covers so many events, and what others say of it; `text/plain`: its note with its cosignatures."""
    caller = permitted(request)
    fork: int | None = read_parameters(request).get("fork")
    size: int = read_variable(request, "size")
    return _shown(request, await request.app[ATTESTATIONS].covering(caller.org, size, fork))


@checkpoint_routes.post("/ledger/v1/{org}/checkpoint/{size}/cosignatures")
@operation(CHECKPOINT, body=COSIGNATURE, capability=ATTEST, marks_replays=False, may=(NotSignedYetError,))
async def attach_cosignature(request: web.Request) -> web.Response:
    """Attach a witness's cosignature to the first checkpoint that covers so many events; it is checked. Again: nothing changes."""
    caller, size, given = await _attested(request)
    cosign = request.app[ATTESTATIONS].cosign
    return _shown(request, await cosign(caller.org, caller.principal, size, given["cosignature"], given["key"]))


@checkpoint_routes.post("/ledger/v1/{org}/checkpoint/{size}/timestamp")
@operation(CHECKPOINT, body=TIMESTAMP, capability=ATTEST, marks_replays=False, may=(NotSignedYetError,))
async def attach_timestamp(request: web.Request) -> web.Response:
    """Attach a time stamp of the first checkpoint that covers so many events: of its text or its note. Again: nothing changes."""
    caller, size, given = await _attested(request)
    return _shown(request, await request.app[ATTESTATIONS].stamp(caller.org, caller.principal, size, given["token"]))


async def _attested(request: web.Request) -> tuple[Caller, int, dict[str, Any]]:
    """Who attests, how many events, and what the body says."""
    caller = permitted(request)
    read_parameters(request)
    size: int = read_variable(request, "size")
    return caller, size, (await read_body_members(request)).members


def _shown(request: web.Request, found: AttestedCheckpoint) -> web.Response:
    if request.method == "GET" and request[FORM] is PLAIN:
        return web.Response(body=found.note, headers={"Content-Type": PLAIN.content_type})
    stamps = [
        {
            "stamped_at": it.stamped_at,
            "token": base64.b64encode(it.token).decode(),
            "stamped": it.stamped.decode(),
        }
        for it in found.timestamps
    ]
    return answer(
        request,
        {
            "size": found.checkpoint.size,
            "checkpoint": found.note.decode(),
            "witnesses": list(found.witnesses),
            "timestamps": stamps,
        },
    )
