"""Re-reads everything a database holds and compares it with what must be true of every ledger.

It trusts none of the store's code: bytes are checked against the format as the design writes it, and projections against a
fold of all events from the first, by aggregates alone, without rows, snapshots or caches.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from jobledger.ledger.domain.access import Org, Principal
from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.event_types import read_event
from jobledger.ledger.domain.hold import Hold
from jobledger.ledger.domain.job import Job
from jobledger.projections.access import rendered_row
from jobledger.projections.holds import hold_row
from jobledger.projections.jobs import registered_row, residue_row
from jobledger.projections.policy import policy_row
from tests.cluster import session
from tests.rollup_auditor import FINAL_TYPES, audit_rollups

HEADER_KEYS = ["org", "position", "recorded_at", "stream", "version", "type", "schema", "by", "content"]
PRIVATE_KEYS = ["data", "salt"]
CONTENT_KEYS = ["data", "via", "from", "request", "salt"]
RECORDED_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
JOB_COLUMNS = (
    "id, version, state, type, domain, datastream_id, source, external_id, body_hash, preceding_job_id, scheduled_at,"
    " started_at, ended_at, due_at, begins_at, final_at, imported, is_closed, is_held, retained_until, decisions, private, q,"
    " registration, course"
)
PRINCIPAL_COLUMNS = (
    "id, version, name, roles, capabilities, home_domain, domains, is_disabled, is_administrator, password,"
    " tokens, added_at"
)
RESIDUE_COLUMNS = "id, version, domain, gone, gone_at, residue"
HOLD_COLUMNS = "id, version, name, reason, placed_at, released_at, release_reason, job_ids, filter"
CRITERIA = (
    *("type", "domain", "datastream_id", "source", "external_id", "state"),
    *(f"{name}_{end}" for name in ("registered", "scheduled", "started", "ended") for end in ("from", "to")),
)
JSON_COLUMNS = (20, 21, 23, 24)  # of a job's: decisions, private, registration and course


PROJECTED = (
    "job",
    "job_count",
    "job_residue",
    "principal",
    "org_policy",
    "hold",
    "rollup",
    "rollup_duration",
    "tracking",
)


@dataclass
class Audited:
    """What one org's ledger comes to."""

    size: int = 0
    aggregates: dict[str, Aggregate] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    # The last final event of each job: its position.
    finals: dict[str, int] = field(default_factory=dict)
    # Of streams of which contents are gone: the positions, and those whose private contents alone are.
    lost: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    lost_private: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    # Of each stream the versions of events that cover what is gone before them, wholly and privately.
    covers: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    covers_private: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


async def audit(url: str, *only: str) -> dict[str, Audited]:
    """Every org, or only those named, read whole. AssertionError where anything is not as it must be."""
    # One snapshot: writers may go on meanwhile.
    async with session(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        heads = await connection.fetch("SELECT * FROM ledger_head ORDER BY org")
        orgs = {it["org"]: await _audit_org(connection, it) for it in heads if not only or it["org"] in only}
        if only:
            return orgs
        for table in ("event", "content", "idempotency", "credential", "heartbeat", *PROJECTED):
            known = {it["org"] for it in await connection.fetch(f"SELECT DISTINCT org FROM {table}")}
            assert known <= orgs.keys(), f"{table} has rows of orgs that have no head"
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
    _audit_gone(audited, records)
    assert not contents, f"{org} has contents of no event: {sorted(contents)}"
    _audit_head(head, records, audited)
    await _audit_rows(connection, head, audited)
    await _audit_answers(connection, org, audited)
    await _audit_credentials(connection, org, audited)
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
    if body is not None and header["type"] in ("job.deleted", "job.erased"):
        data = json.loads(body)["data"]
        is_whole = header["type"] == "job.erased" and data["scope"] == "all"
        assert ("residue" in data) == (is_whole or header["type"] == "job.deleted")
        (audited.covers if is_whole else audited.covers_private)[stream].append(version)


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
        "hold": max((it.hold_id for it in audited.aggregates.values() if isinstance(it, Hold)), default=None),
    }
    assert json.loads(head["numbers"]) == {name: number for name, number in numbers.items() if number is not None}


async def _audit_rows(connection: asyncpg.Connection[asyncpg.Record], head: asyncpg.Record, audited: Audited) -> None:
    """The live rows of each projection are those of a fold from the first event: invariant 5."""
    live = json.loads(head["projections"])
    every_job = [it for it in audited.aggregates.values() if isinstance(it, Job)]
    jobs = [registered_row(it) for it in every_job if it.gone is None]
    await _compare(connection, "job", JOB_COLUMNS, head["org"], live["jobs"]["gen"], jobs, JSON_COLUMNS)
    await _audit_counts(connection, head["org"], live["jobs"]["gen"], audited)
    residues = [residue_row(it) for it in every_job if it.gone is not None]
    await _compare(connection, "job_residue", RESIDUE_COLUMNS, head["org"], live["jobs"]["gen"], residues)
    if head["size"]:
        policy = [(1, *policy_row(org)) for org in audited.aggregates.values() if isinstance(org, Org)]
        columns = "1, version, begun_at, policy"
        await _compare(connection, "org_policy", columns, head["org"], live["policy"]["gen"], policy)
    holds = [it for it in audited.aggregates.values() if isinstance(it, Hold)]
    rows = [(*hold_row(it)[:7], None if it.job_ids is None else list(it.job_ids), hold_row(it)[8]) for it in holds]
    await _compare(connection, "hold", HOLD_COLUMNS, head["org"], live["holds"]["gen"], rows)
    criteria = [(it.hold_id, *(it.filter and getattr(it.filter, name) for name in CRITERIA)) for it in holds]
    columns = f"id, {', '.join(CRITERIA)}"
    await _compare(connection, "hold", columns, head["org"], live["holds"]["gen"], criteria)
    principals = [
        (
            *(it.principal_id, it.version, it.name, it.roles, it.capabilities, it.home_domain, it.domains),
            *(it.is_disabled, it.is_administrator, it.password, rendered_row(it)[7], it.created_on),
        )
        for it in audited.aggregates.values()
        if isinstance(it, Principal)
    ]
    generation = live["access"]["gen"]
    await _compare(connection, "principal", PRINCIPAL_COLUMNS, head["org"], generation, principals, keyed_columns=(10,))
    if "rollups" in live:
        await audit_rollups(connection, head["org"], live["rollups"]["gen"], audited.aggregates, audited.finals)


async def _audit_counts(
    connection: asyncpg.Connection[asyncpg.Record], org: str, generation: int, audited: Audited
) -> None:
    """Of each day, domain and block of 4096 ids it is known how many jobs begin on it."""
    jobs = [it for it in audited.aggregates.values() if isinstance(it, Job) and it.gone is None]
    counted = Counter(
        ((it.started_at or it.scheduled_at or it.registered_at).astimezone(UTC).date(), it.domain, it.job_id // 4096)
        for it in jobs
    )
    records = await connection.fetch(
        "SELECT day, domain, block, jobs FROM job_count WHERE org = $1 AND gen = $2 AND jobs <> 0", org, generation
    )
    assert {(it["day"], it["domain"], it["block"]): it["jobs"] for it in records} == counted, f"{org} is counted wrong"


async def _compare(
    connection: asyncpg.Connection[asyncpg.Record],
    table: str,
    columns: str,
    org: str,
    generation: int,
    folded: Iterable[Sequence[Any]],
    json_columns: Sequence[int] = (),
    keyed_columns: Sequence[int] = (),
) -> None:
    records = await connection.fetch(f"SELECT {columns} FROM {table} WHERE org = $1 AND gen = $2", org, generation)
    stored = _canonical(map(tuple, records), json_columns, keyed_columns)
    expected = _canonical(folded, json_columns, keyed_columns)
    if _hash(stored) != _hash(expected):
        differences = [(a, b) for a, b in zip(stored, expected, strict=False) if a != b][:3]
        raise AssertionError(f"{table} of {org}: {len(stored)} rows, {len(expected)} folded; first: {differences}")


def _canonical(rows: Iterable[Sequence[Any]], json_columns: Sequence[int], keyed_columns: Sequence[int]) -> list[str]:
    """The rows in order of their ids; instants in UTC, JSON with its members in the order they stand in, or, where Postgres
    keeps none, in that of their names.
    """

    def told(number: int, value: Any) -> Any:
        if value and number in keyed_columns:
            return json.dumps(json.loads(value), sort_keys=True)
        return json.loads(value) if value and number in json_columns else value

    return [
        json.dumps([told(number, it) for number, it in enumerate(row)], default=_plain)
        for row in sorted(rows, key=lambda row: row[0])
    ]


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, UUID):
        return str(value)
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat()


def _hash(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()


async def _audit_answers(connection: asyncpg.Connection[asyncpg.Record], org: str, audited: Audited) -> None:
    """Remembered answers name events that are there."""
    for record in await connection.fetch("SELECT * FROM idempotency WHERE org = $1", org):
        answer = json.loads(record["answer"])
        assert (answer["first_position"] is None) == (answer["event_count"] == 0)
        if answer["first_position"] is not None:
            assert answer["first_position"] + answer["event_count"] <= audited.size


async def _audit_credentials(connection: asyncpg.Connection[asyncpg.Record], org: str, audited: Audited) -> None:
    """Each credential is one that counts by the events of its principal, and the other way round: none is left over."""
    counting = {
        (credential, it.principal_id)
        for it in audited.aggregates.values()
        if isinstance(it, Principal)
        for credential in (*it.tokens, it.password)
        if credential is not None
    }
    records = await connection.fetch("SELECT id, principal_id FROM credential WHERE org = $1", org)
    assert {(str(record["id"]), record["principal_id"]) for record in records} == counting
