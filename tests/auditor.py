"""Re-reads everything a database holds and compares it with what must be true of every ledger.

It trusts none of the store's code: bytes are checked against the format as the design writes it, and projections against a
fold of all events from the first, by aggregates alone, without rows, snapshots or caches.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.access import Org, Principal
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.diagram import Diagram
from jobledger.ledger.domain.event_types import read_event
from jobledger.ledger.domain.hold import Hold
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.queue import Queue
from jobledger.ledger.domain.schedule import Schedule
from jobledger.ledger.domain.template import Template
from tests.auditor_beside import audit_attachments, audit_credentials
from tests.auditor_rows import audit_rows
from tests.cluster import session
from tests.history_auditor import Pasts, audit_history
from tests.rollup_auditor import FINAL_TYPES, audit_rollups

HEADER_KEYS = ["org", "position", "recorded_at", "stream", "version", "type", "schema", "by", "content"]
PRIVATE_KEYS = ["data", "salt"]
CONTENT_KEYS = ["data", "via", "from", "request", "salt"]
RECORDED_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
PROJECTED = (
    *("job", "job_count", "job_residue", "principal", "org_policy", "hold", "schedule", "job_work"),
    *("storage_copy", "job_copy", "job_requirement"),
    *("diagram", "diagram_version", "template"),
    *("archive", "archived_job"),
    *("job_domain", "queue"),
    *("rollup", "rollup_duration", "job_past", "job_history", "job_snapshot", "tracking"),
)
BESIDE = (
    "idempotency",
    "credential",
    "secret",
    "heartbeat",
    "attachment",
    "attachment_chunk",
    "message",
    "consumer",
    "queue_use",
)


@dataclass
class Audited:
    """What one org's ledger comes to."""

    size: int = 0
    aggregates: dict[str, Aggregate] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    # By stream and id: the version that added an attachment; and, by stream, the versions whose private contents went with one.
    added: dict[tuple[str, str], int] = field(default_factory=dict)
    unnamed: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    pasts: Pasts = field(default_factory=Pasts)
    # The last final event of each job: its position.
    finals: dict[str, int] = field(default_factory=dict)
    # Of streams of which contents are gone: the positions, and those whose private contents alone are.
    lost: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    lost_private: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    # Of each stream the versions of events that cover what is gone before them, wholly and privately.
    covers: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    covers_private: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    # The streams of archives that were verified, and what archives hold: by id the version of each job.
    verified: set[str] = field(default_factory=set)
    selected: defaultdict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))


async def audit(url: str, *only: str) -> dict[str, Audited]:
    """Every org, or only those named, read whole. AssertionError where anything is not as it must be."""
    async with session(url) as connection:
        return await audit_by(connection, *only)


async def audit_by(connection: asyncpg.Connection[asyncpg.Record], *only: str) -> dict[str, Audited]:
    """As ``audit``, by a connection that there is."""
    # One snapshot: writers may go on meanwhile.
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        heads = await connection.fetch("SELECT * FROM ledger_head ORDER BY org")
        orgs = {it["org"]: await _audit_org(connection, it) for it in heads if not only or it["org"] in only}
        if only:
            return orgs
        tables = ("event", "content", *BESIDE, *PROJECTED)
        known = " UNION ALL ".join(f"SELECT DISTINCT '{table}' AS name, org FROM {table}" for table in tables)
        strange = {(it["name"], it["org"]) for it in await connection.fetch(known) if it["org"] not in orgs}
        assert not strange, f"rows of orgs that have no head: {strange}"
        return orgs


async def _audit_org(connection: asyncpg.Connection[asyncpg.Record], head: asyncpg.Record) -> Audited:
    org = head["org"]
    records = await connection.fetch("SELECT * FROM event WHERE org = $1 ORDER BY position", org)
    contents: dict[int, tuple[bytes, bytes | None]] = {
        record["position"]: (record["body"], record["private"])
        for record in await connection.fetch("SELECT position, body, private FROM content WHERE org = $1", org)
    }
    audited = Audited(size=len(records))
    versions: defaultdict[str, int] = defaultdict(int)
    recorded_at = datetime.min.replace(tzinfo=UTC)
    for position, record in enumerate(records):
        assert record["position"] == position, f"{org} has a hole before {record['position']}"
        versions[record["stream"]] += 1
        assert record["version"] == versions[record["stream"]], f"{record['stream']} has a gap at {record['version']}"
        assert record["recorded_at"] >= recorded_at, f"recorded_at falls at {position}"
        recorded_at = record["recorded_at"]
        header = _audit_header(record)
        body, private = contents.pop(position, (None, None))
        _audit_cover(audited, header, body, private)
        if header["type"] in FINAL_TYPES:
            audited.finals[header["stream"]] = position
        if body is None:
            audited.aggregates.pop(header["stream"], None)
            _note(audited, header, {})
            continue
        content = _audit_content(body, header)
        _fold(audited, header, content["data"] | _audit_private(private, header), recorded_at)
        audited.pasts.take(position, header, audited.aggregates[header["stream"]])
    _audit_gone(audited, records)
    assert not contents, f"{org} has contents of no event: {sorted(contents)}"
    _audit_head(head, records, audited)
    await audit_rows(connection, head, audited.aggregates.values())
    live = json.loads(head["projections"])
    if "rollups" in live:
        await audit_rollups(connection, org, live["rollups"]["gen"], audited.aggregates, audited.finals)
    if "job_history" in live:
        generation = live["job_history"]["gen"]
        await audit_history(connection, org, generation, audited.aggregates, audited.pasts)
    await _audit_answers(connection, org, audited)
    await audit_credentials(connection, org, audited.aggregates.values())
    await audit_attachments(connection, org, audited.aggregates.values())
    return audited


def _audit_header(record: asyncpg.Record) -> dict[str, Any]:
    raw: bytes = record["header"]
    header: dict[str, Any] = json.loads(raw)
    assert list(header) in (HEADER_KEYS, [*HEADER_KEYS, "private"]), header
    assert json.dumps(header, separators=(",", ":")).encode() == raw, "a header is not compact"
    assert len(raw) < 4096
    for name in ("org", "position", "stream", "version", "type"):
        assert header[name] == record[name], f"{name} of position {record['position']} differs from its header's"
    assert RECORDED_AT.fullmatch(header["recorded_at"]), header["recorded_at"]
    assert datetime.fromisoformat(header["recorded_at"]) == record["recorded_at"]
    assert header["schema"] >= 1
    assert header["by"] == "ledger" or re.fullmatch(r"principal-[1-9]\d*", header["by"])
    return header


def _audit_content(raw: bytes, header: dict[str, Any]) -> dict[str, Any]:
    assert len(raw) <= 1024 * 1024
    assert sha256(raw).hexdigest() == header["content"], f"the content of {header['position']} has another hash"
    content: dict[str, Any] = json.loads(raw)
    assert list(content) == CONTENT_KEYS, content
    assert re.fullmatch(r"[0-9a-f]{32}", content["salt"])
    assert None not in content["data"].values()
    assert orjson.dumps(content) == raw, "a content is not compact"
    return content


def _audit_private(raw: bytes | None, header: dict[str, Any]) -> dict[str, Any]:
    """The members of the private content; none where there is none, or none any more."""
    if raw is None:
        return {}
    assert sha256(raw).hexdigest() == header["private"], f"the private content of {header['position']} has another hash"
    private: dict[str, Any] = json.loads(raw)
    assert list(private) == PRIVATE_KEYS, private
    assert re.fullmatch(r"[0-9a-f]{32}", private["salt"])
    assert private["data"]
    assert None not in private["data"].values()
    assert orjson.dumps(private) == raw, "a private content is not compact"
    data: dict[str, Any] = private["data"]
    return data


def _audit_cover(audited: Audited, header: dict[str, Any], body: bytes | None, private: bytes | None) -> None:
    """Note what is gone, and what covers what is."""
    stream, version = header["stream"], header["version"]
    if body is None:
        audited.lost[stream].append(version)
    elif private is None and "private" in header:
        audited.lost_private[stream].append(version)
    if header["type"] == "archive.verified":
        audited.verified.add(stream)
    if body is not None and header["type"] in ("job.deleted", "job.erased", "job.purged"):
        data = json.loads(body)["data"]
        is_whole = header["type"] == "job.purged" or (header["type"] == "job.erased" and data["scope"] == "all")
        assert ("residue" in data) == (is_whole or header["type"] == "job.deleted")
        if header["type"] == "job.purged":
            # Invariant 7: only what is in an archive that was read back and verified.
            assert f"archive-{data['archive_id']}" in audited.verified, f"{stream} was purged for nothing"
            held = data["residue"]["archives"][str(data["archive_id"])]
            assert audited.selected[data["archive_id"]][int(stream[4:])] == held["version"] <= version
        (audited.covers if is_whole else audited.covers_private)[stream].append(version)
    if body is not None and header["type"] == "archive.selected":
        data = json.loads(body)["data"]
        audited.selected[int(stream[8:])].update(zip(data["ids"], data["versions"], strict=True))
    if body is not None and header["type"] in ("job.attachment_added", "job.attachment_removed"):
        named = (stream, json.loads(body)["data"]["attachment_id"])
        if header["type"] == "job.attachment_added":
            audited.added[named] = version
        else:
            audited.unnamed[stream].append(audited.added[named])


def _audit_gone(audited: Audited, records: Sequence[asyncpg.Record]) -> None:
    """What is gone an event covers, and what an event covers is gone: invariant 4."""
    private = {
        (it["stream"], it["version"]) for it in records if b'"private":' in it["header"] and it["stream"] != "org"
    }
    for stream in {it["stream"] for it in records}:
        whole = max(audited.covers[stream], default=0)
        assert audited.lost[stream] == list(range(1, whole)), (
            f"contents of {stream} are gone that nothing covers, or not"
        )
        covered = [it for it in range(whole, max(audited.covers_private[stream], default=0)) if (stream, it) in private]
        covered = sorted({*covered, *(it for it in audited.unnamed[stream] if it >= whole)})
        assert audited.lost_private[stream] == covered, f"private contents of {stream} are gone, or not"


def _note(audited: Audited, header: dict[str, Any], data: dict[str, Any]) -> None:
    audited.types.append(header["type"])
    audited.streams.append(header["stream"])
    audited.data.append(data)


def _fold(audited: Audited, header: dict[str, Any], data: dict[str, Any], recorded_at: datetime) -> None:
    stream = header["stream"]
    event = read_event(header["type"], header["schema"], stream, header["version"], recorded_at, data)
    after: Any = event.mutate(audited.aggregates.get(stream))
    assert after.id == stream
    assert after.version == header["version"]
    audited.aggregates[stream] = after
    _note(audited, header, data)


def _audit_head(head: asyncpg.Record, records: Sequence[asyncpg.Record], audited: Audited) -> None:
    assert head["size"] == len(records), f"{head['org']}'s head says {head['size']}, there are {len(records)} events"
    if records:
        assert sha256(b"\x00" + records[-1]["header"]).digest() == head["last_leaf"], "the head has another last leaf"
        assert head["recorded_at"] == records[-1]["recorded_at"]
        assert audited.types[0] == "org.created"
        org = audited.aggregates["org"]
        assert isinstance(org, Org)
        assert org.name == head["org"]
    else:
        assert head["last_leaf"] == b""
    numbers = {
        "job": max((it.job_id for it in audited.aggregates.values() if isinstance(it, Job)), default=None),
        "principal": max(
            (it.principal_id for it in audited.aggregates.values() if isinstance(it, Principal)), default=None
        ),
        "diagram": max(
            (number for it in audited.aggregates.values() if (number := _diagram_number(it)) is not None), default=None
        ),
        "schedule": max((it.number for it in audited.aggregates.values() if isinstance(it, Schedule)), default=None),
        "queue": max((it.queue_id for it in audited.aggregates.values() if isinstance(it, Queue)), default=None),
        "hold": max((it.hold_id for it in audited.aggregates.values() if isinstance(it, Hold)), default=None),
    }
    # Where the last event stands that says who may do what: by it callers are believed who were let in before it.
    access = [place for place, stream in enumerate(audited.streams, 1) if stream.startswith("principal-")]
    numbers["access_at"] = access[-1] if access else None
    assert json.loads(head["numbers"]) == {name: number for name, number in numbers.items() if number is not None}


def _diagram_number(aggregate: Aggregate) -> int | None:
    """The number that a diagram or a template has: both are of one counter."""
    if isinstance(aggregate, Diagram):
        return aggregate.diagram_id
    return aggregate.template_id if isinstance(aggregate, Template) else None


async def _audit_answers(connection: asyncpg.Connection[asyncpg.Record], org: str, audited: Audited) -> None:
    """Remembered answers name events that are there."""
    for record in await connection.fetch("SELECT * FROM idempotency WHERE org = $1", org):
        answer = json.loads(record["answer"])
        assert (answer["first_position"] is None) == (answer["event_count"] == 0)
        if answer["first_position"] is not None:
            assert answer["first_position"] + answer["event_count"] <= audited.size
