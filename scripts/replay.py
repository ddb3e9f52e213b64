"""``jobledger replay``: every event, and the state that the events up to it add up to. No projection is asked."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import orjson
from eventsourcing.domain import OriginatorIDError, OriginatorVersionError

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.job import job_stream
from jobledger.ledger.errors import CorruptLedgerError, NotFoundError
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.recorder import Recorder
from jobledger.ledger.work.archiving.files import EVENTS, ArchiveFiles
from jobledger.projections.archive_query import ArchiveQuery
from jobledger.projections.job_query import JobQuery
from jobledger.scripts.archived_events import ArchivedEvents
from jobledger.scripts.failure import FailedError, UsageError
from jobledger.scripts.opening import open_ledger
from jobledger.scripts.settings import Settings

# What the states that are remembered may take together.
MEMORY_BYTES = 128 * 1024 * 1024
UNKNOWN_BYTES = 400
WRITE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Unknown:
    """A state that cannot be known, and why."""

    reason: str
    is_wrong: bool

    @property
    def weight_bytes(self) -> int:
        """About what this takes in memory."""
        return UNKNOWN_BYTES


State = Aggregate | Unknown


class Events(Protocol):
    """Where the events of a stream are found: a recorder, or an archive's files."""

    def scan(self, org: str, *, stream: str, end: int) -> AsyncIterator[StoredEvent]:
        """Those before a position, in order."""


class States:
    """The states of the streams replayed last, in bounded memory: one that had to make room is folded again from its events."""

    def __init__(self, recorder: Events, org: str, limit_bytes: int = MEMORY_BYTES) -> None:
        self._recorder = recorder
        self._org = org
        self._limit_bytes = limit_bytes
        self._weight_bytes = 0
        self._states: OrderedDict[str, tuple[int, State, int]] = OrderedDict()

    async def after(self, stored: StoredEvent, header: dict[str, Any]) -> State:
        """The state of the event's stream after it."""
        stream, version = header["stream"], header["version"]
        known_version, state, weight = self._states.pop(stream, (0, None, 0))
        self._weight_bytes -= weight
        if known_version != version - 1:
            state = None
            async for earlier in self._recorder.scan(self._org, stream=stream, end=stored.position):
                state = fold(state, earlier)
        state = fold(state, stored)
        self._remember(stream, version, state)
        return state

    def _remember(self, stream: str, version: int, state: State) -> None:
        weight = state.weight_bytes
        self._states[stream] = (version, state, weight)
        self._weight_bytes += weight
        while self._weight_bytes > self._limit_bytes and len(self._states) > 1:
            _stream, (_version, _state, weight) = self._states.popitem(last=False)
            self._weight_bytes -= weight


def fold(state: State | None, stored: StoredEvent) -> State:
    """The state after one more event: once unknown so until an event from which on it can be told anew, once wrong for ever."""
    if isinstance(state, Unknown) and state.is_wrong:
        return state
    if stored.content is None:
        return Unknown(f"the content of position {stored.position} was purged", is_wrong=False)
    try:
        event = stored.event()
        if isinstance(state, Unknown) and not event.begins_anew:
            return state
        after: Aggregate | None = event.mutate(None if isinstance(state, Unknown) else state)
    except (CorruptLedgerError, OriginatorIDError, OriginatorVersionError, ValueError, KeyError) as error:
        why = str(error).rstrip(".") if isinstance(error, CorruptLedgerError) else "it does not follow the one before"
        return Unknown(f"position {stored.position} cannot be applied: {why}", is_wrong=True)
    assert after is not None
    return after


def read_limit(text: str) -> int | datetime:
    """A position, or an instant in RFC 3339. Raises UsageError."""
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or "T" not in text.upper():
        raise UsageError(f"--to is a position, or a time like 2026-11-21T22:34:05Z; not {text!r}.")
    return instant


async def replay(settings: Settings, org: str, *, job_id: int | None, to: int | datetime | None, as_json: bool) -> int:
    """Print each event of an org, or of a job, and the state after it; 1 if one of them could not be applied."""
    async with open_ledger(settings) as ledger:
        recorder = ledger.recorder
        end = await _end(recorder, org, to)
        stream = None
        if job_id is not None:
            stream = job_stream(job_id)
            if not (await recorder.page(org, -1, 1, stream=stream)).events:
                raise NotFoundError(f"There is no job {job_id}.", job_id=job_id)
        states = States(recorder, org)
        lines = bytearray()
        is_wrong = False
        async for stored in recorder.scan(org, end=end, stream=stream):
            header = stored.envelope()
            state = await states.after(stored, header)
            is_wrong |= isinstance(state, Unknown) and state.is_wrong
            lines += (json_line if as_json else text_lines)(stored, header, state)
            if len(lines) >= WRITE_BYTES:
                sys.stdout.buffer.write(lines)
                lines.clear()
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()
        if job_id is not None:
            await _name_archive(settings, ledger.database, org, job_id)
    return 1 if is_wrong else 0


async def _name_archive(settings: Settings, database: Database, org: str, job_id: int) -> None:
    """Say on standard error where a job that was purged is still to be read."""
    purged = await JobQuery(database).purged(org, job_id, None)
    if purged is None:
        return
    archive_id = purged["archive"]["id"]
    if purged["archive"]["deleted"]:
        print(f"Job {job_id} was purged; archive {archive_id} held it, and was deleted.", file=sys.stderr)
        return
    archive = await ArchiveQuery(database).archive(org, archive_id, None)
    path = ArchiveFiles.of(settings.data.absolute(), org, archive["requested_at"], archive_id).path(EVENTS)
    told = f"archive {archive_id} holds it: jobledger replay --from {path} --job {job_id}"
    print(f"Job {job_id} was purged; {told}", file=sys.stderr)


async def replay_archive(path: Path, *, job_id: int | None, to: int | datetime | None, as_json: bool) -> int:
    """Print each event of an archive, or of a job in it, and the state after it, by its files alone; 1 as ``replay``."""
    archive = ArchivedEvents(path)
    states = States(archive, archive.org)
    is_wrong = False
    for stored in archive.events(job_id):
        header = stored.envelope()
        if to is not None and (
            datetime.fromisoformat(header["recorded_at"]) > to if isinstance(to, datetime) else stored.position > to
        ):
            break
        state = await states.after(stored, header)
        is_wrong |= isinstance(state, Unknown) and state.is_wrong
        sys.stdout.buffer.write((json_line if as_json else text_lines)(stored, header, state))
    sys.stdout.buffer.flush()
    return 1 if is_wrong else 0


async def _end(recorder: Recorder, org: str, to: int | datetime | None) -> int:
    """The position before which to end. Raises FailedError, NotFoundError."""
    size = (await recorder.head(org)).size
    if isinstance(to, datetime):
        return await recorder.position_at(org, to) + 1
    if to is not None and to >= size:
        raise FailedError(f"The last position of {org} is {size - 1}, there is no {to} yet.")
    return size if to is None else to + 1


def json_line(stored: StoredEvent, header: dict[str, Any], state: State) -> bytes:
    """The event and the state after it as one line of JSON."""
    content = _content(stored, header)
    line = {
        **{name: header[name] for name in ("position", "recorded_at", "stream", "version", "type", "by")},
        "via": content.get("via"),
        "data": content.get("data"),
        "state": None if isinstance(state, Unknown) else members_of(state),
    }
    if isinstance(state, Unknown):
        line["unknown"] = state.reason
    return orjson.dumps(line, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def text_lines(stored: StoredEvent, header: dict[str, Any], state: State) -> bytes:
    """The event as a line, and the state after it as another."""
    content = _content(stored, header)
    if isinstance(state, Unknown):
        shown = f"not known: {state.reason}".encode()
    else:
        shown = orjson.dumps(members_of(state), option=orjson.OPT_UTC_Z)
    return (
        f"{header['position']} {header['recorded_at']} {header['stream']} version {header['version']} {header['type']}"
        f" by {header['by']} via {content.get('via', '?')} "
    ).encode() + b"%b\n  -> %b\n" % (orjson.dumps(content["data"]) if "data" in content else b"(not there)", shown)


def members_of(state: Aggregate) -> dict[str, Any]:
    """What is known of an aggregate, without its working parts."""
    return {name: value for name, value in vars(state).items() if value is not None and not name.startswith("_")}


def _content(stored: StoredEvent, header: dict[str, Any]) -> dict[str, Any]:
    """The content's members; none where it is not there, or not the one that the header names."""
    if stored.content is None or sha256(stored.content).hexdigest() != header["content"]:
        return {}
    members: dict[str, Any] = orjson.loads(stored.content)
    if stored.private is not None and sha256(stored.private).hexdigest() == header.get("private"):
        members["data"] |= orjson.loads(stored.private)["data"]
    return members
