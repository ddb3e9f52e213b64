"""An event's bytes: header, content, leaf. What is hashed is stored as it was hashed and never re-encoded.

    header   {"org":"acme","position":123,"recorded_at":"2026-11-21T22:34:05.123456Z","stream":"job-42","version":3,
              "type":"job.started","schema":1,"by":"principal-7","content":"<sha256 hex>"}
    content  {"data":{…},"via":"native","from":"192.0.2.9","request":"<uuid>","salt":"<32 hex>"}
    private  {"data":{…},"salt":"<32 hex>"}
    leaf     SHA-256(0x00 ‖ header)                                        Source: RFC 6962, section 2.1

They are compact JSON with their keys in this order. ``private`` (a hash like ``content``) stands in a header only where
there is any. The salt keeps a purged content from being guessed from its hash.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.event_types import read_event
from jobledger.ledger.errors import ContentTooLargeError, CorruptLedgerError, InvalidCommandError

LARGEST_HEADER_BYTES = 4096 - 1
LARGEST_CONTENT_BYTES = 1024 * 1024
EMPTY_LEAF = b""


def encode_content(event: Aggregate.Event, caller: Caller) -> bytes:
    """The event's content. Raises ContentTooLargeError, InvalidCommandError."""
    return _encode(
        {
            "data": event.data,
            "via": caller.via,
            "from": caller.address,
            "request": caller.request,
            "salt": os.urandom(16).hex(),
        }
    )


def encode_private(event: Aggregate.Event) -> bytes | None:
    """The event's private content, None where it has none. Raises ContentTooLargeError, InvalidCommandError."""
    data = event.private_data
    return None if data is None else _encode({"data": data, "salt": os.urandom(16).hex()})


def _encode(members: dict[str, Any]) -> bytes:
    try:
        encoded = orjson.dumps(members, option=orjson.OPT_UTC_Z)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise InvalidCommandError(f"This cannot be written as JSON: {error}") from error
    if len(encoded) > LARGEST_CONTENT_BYTES:
        raise ContentTooLargeError(
            "An event's content is at most 1 MiB.", size_bytes=len(encoded), limit_bytes=LARGEST_CONTENT_BYTES
        )
    return encoded


def encode_header(
    org: str,
    position: int,
    recorded_at: str,
    event: Aggregate.Event,
    by: str,
    content: bytes,
    private: bytes | None = None,
) -> bytes:
    """The event's header; *recorded_at* as ``wire_time`` gives it. Every member is of a grammar that needs no escapes."""
    also = "" if private is None else f',"private":"{sha256(private).hexdigest()}"'
    return (
        f'{{"org":"{org}","position":{position},"recorded_at":"{recorded_at}","stream":"{event.originator_id}",'
        f'"version":{event.originator_version},"type":"{event.type_name}","schema":{event.class_version},'
        f'"by":"{by}","content":"{sha256(content).hexdigest()}"{also}}}'
    ).encode("ascii")


def leaf_of(header: bytes) -> bytes:
    """The RFC 6962 leaf hash of a header, 32 bytes."""
    return sha256(b"\x00" + header).digest()


@lru_cache(maxsize=64)  # all events of a batch have the same
def wire_time(instant: datetime) -> str:
    """RFC 3339 in UTC with six fraction digits and Z."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as the store holds it; ``content`` is None where it was purged, ``private`` where there is none or none any more."""

    position: int
    header: bytes
    content: bytes | None
    private: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """How long its parts are together."""
        return len(self.header) + len(self.content or b"") + len(self.private or b"")

    def envelope(self) -> dict[str, Any]:
        """The header's members."""
        members: dict[str, Any] = orjson.loads(self.header)
        return members

    def event(self) -> Aggregate.Event:
        """The event as today's class. CorruptLedgerError for one that this code does not know, or whose content differs."""
        header = self.envelope()
        if self.content is None:
            raise CorruptLedgerError(f"The content of position {self.position} is not in the store.")
        if sha256(self.content).hexdigest() != header["content"]:
            raise CorruptLedgerError(f"The content of position {self.position} is not the one its header names.")
        data = orjson.loads(self.content)["data"]
        if self.private is not None:
            if sha256(self.private).hexdigest() != header.get("private"):
                raise CorruptLedgerError(
                    f"The private content of position {self.position} is not the one its header names."
                )
            data |= orjson.loads(self.private)["data"]
        return read_event(
            header["type"],
            header["schema"],
            header["stream"],
            header["version"],
            datetime.fromisoformat(header["recorded_at"]),
            data,
        )
