"""Writing an export: every header of the range, the contents of what was selected, and what proves them.

    checkpoint          a signed note, with cosignatures  key               the verifier key of who signed it
    attachment-<position>-<sha256> …  what the event at that position attached, where that was asked for and is not removed
    timestamp-1.der …   the RFC 3161 tokens of the checkpoint, in the order in which they were attached
    headers.ndjson      a header a line, as stored        contents.ndjson   {"position":…,"content":…}, null where it is gone
    private.ndjson      {"position":…,"private":…}, where that was asked for
    proof.json          {"before":[…],"after":[…]}: the roots of the whole subtrees before and behind the range, from the left
    removals.ndjson     {"header":"…","before":[…],"after":[…]}: events behind the range that say why contents in it are gone
    verify.py           what checks all of it             manifest.json     what there is, with the hash of each
    manifest.sig        a signed note: the format, the origin and the SHA-256 of the manifest, a line each

Nothing in it depends on who asked, when, or which server wrote it, but for what was attached to the checkpoint by then. Postgres
joins the lines; they are hashed and compressed by a thread, while it joins the next.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import orjson

from jobledger.ledger.domain.job import job_id_of, job_stream
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.evidence.attaching import Attestations
from jobledger.ledger.evidence.checkpoint import Checkpoint
from jobledger.ledger.evidence.note import SigningKey, sign_note
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.evidence.tree import Node, Range, root_of, tiles_for
from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.exporting.attached import AttachedFiles, attaching
from jobledger.ledger.work.exporting.files import ExportFile
from jobledger.ledger.work.exporting.removed import DETACHED, Parts, RemovedContents
from jobledger.ledger.work.exporting.rendering import Rendering
from jobledger.ledger.work.exporting.zipped import DEFLATED, STORED, Entry, write_zip
from jobledger.ledger.work.lease import PACKAGE
from jobledger.ledger.work.runner import Task, WorkFailedError

FORMAT = "jobledger-export/1"
HEADERS, CONTENTS, PRIVATE, REMOVALS = "headers.ndjson", "contents.ndjson", "private.ndjson", "removals.ndjson"
EVENTS_A_READ = 4_000
BYTES_A_READ = 4 * 1024 * 1024
READS_A_REPORT = 25
STREAMS_A_READ = 1_000

# ``kinds(org, job ids)``: type and domain by id.
Kinds: TypeAlias = Callable[[str, Collection[int]], Awaitable[Mapping[int, tuple[str, str]]]]


@dataclass(frozen=True, slots=True)
class Extent:
    """What is exported: positions from *begin* to before *end*, by a checkpoint and the key that signed it."""

    checkpoint: Checkpoint
    key: SigningKey
    begin: int
    end: int


class ExportWriter:
    """Writes an export's file under the name of a claim."""

    def __init__(
        self, task: Task, extent: Extent, file: ExportFile, *, data: Path, kinds: Kinds, verifier: bytes
    ) -> None:
        self._task = task
        self._extent = extent
        self._file = file
        self._kinds = kinds
        self._verifier = verifier
        self._store = EvidenceStore(task.ledger.database)
        self._removed = RemovedContents(task.ledger, task.org, data)
        self._entries: dict[str, Entry] = {}
        order = task.order
        self._selection = {name: order[it] for name, it in NAMES.items() if it in order}
        self._streams = {job_stream(it) for it in order["job_ids"]} if "job_ids" in order else None
        self._has_private = bool(order["private"])
        self._attached = None
        if order.get("attachments"):
            self._attached = AttachedFiles(task.ledger.database, task.org, self._removed, self._open)
        self._rendering = None if order.get("render") is None else Rendering(order["render"])
        self._counts = {"headers": 0, "contents": 0, "removed": 0, "private": 0}
        # Of each stream that lacks contents the last position without.
        self._missing: dict[str, int] = {}

    async def write(self) -> tuple[dict[str, Any], dict[str, int]]:
        """Write it, durably; its ``{"size_bytes", "sha256"}``, and how many there are of what.

        Raises OSError, DatabaseIsAwayError, CorruptLedgerError, WorkFailedError.
        """
        try:
            self._open(HEADERS)
            self._open(CONTENTS)
            if self._has_private:
                self._open(PRIVATE)
            if self._rendering is not None:
                self._open(self._rendering.name).write(self._rendering.begin)
            await self._write_events()
            if self._rendering is not None:
                self._entries[self._rendering.name].write(self._rendering.end)
            await self._write_removals()
            self._add("proof.json", orjson.dumps(await self._roots(self._extent.begin, self._extent.end)) + b"\n")
            checkpoint = self._extent.checkpoint
            attested = await Attestations(self._task.ledger.database).attested(self._task.org, checkpoint)
            self._add("checkpoint", attested.note)
            for number, stamp in enumerate(attested.timestamps, 1):
                self._add(f"timestamp-{number}.der", stamp.token)
            self._add("key", f"{self._extent.key.named(checkpoint.origin)}\n".encode())
            self._add("verify.py", self._verifier)
            written = await asyncio.to_thread(self._finish)
        finally:
            for entry in self._entries.values():
                entry.close()
        return written, self._counts

    def _open(self, name: str, method: int = DEFLATED) -> Entry:
        entry = self._entries[name] = Entry(name, self._file.part(self._task.claim, name), method)
        return entry

    def _add(self, name: str, content: bytes) -> Entry:
        entry = self._open(name, STORED)
        entry.write(content)
        return entry

    async def _fetch(self, name: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        return await self._task.ledger.database.fetch(statement(PACKAGE, name), self._task.org, *arguments)

    async def _write_events(self) -> None:
        begin, end = self._extent.begin, self._extent.end
        following: asyncio.Task[None] | None = None
        try:
            for number, start in enumerate(range(begin, end, EVENTS_A_READ)):
                before = min(start + EVENTS_A_READ, end)
                [row] = await self._fetch("headers_to_export", start, before, bool(self._selection))
                if row["number"] != before - start:
                    raise CorruptLedgerError(f"Of the positions {start} to {before - 1} some are missing.")
                pieces = [(HEADERS, row["headers"])]
                pieces += await self._contents(await self._selected(row["streams"], start, before))
                self._counts["headers"] += before - start
                if following is not None:
                    await following
                # Hashed and compressed while Postgres joins the next.
                following = asyncio.create_task(asyncio.to_thread(self._write_pieces, pieces))
                if number % READS_A_REPORT == 0:
                    await self._task.advance(
                        progress=self._task.part((start - begin) / (end - begin)),
                        message=f"Exported: {start - begin} of {end - begin} events",
                    )
        finally:
            if following is not None:
                # Never leave a thread behind that writes.
                await asyncio.shield(following)

    def _write_pieces(self, pieces: Sequence[tuple[str, bytes]]) -> None:
        for name, piece in pieces:
            self._entries[name].write(piece)

    async def _selected(self, streams: Sequence[str] | None, start: int, before: int) -> Sequence[int]:
        """The positions among these whose contents are exported."""
        if streams is None:
            return range(start, before)
        chosen = {it for it in streams if self._streams is None or it in self._streams}
        kind, domain = self._selection.get("type"), self._selection.get("domain")
        if kind is not None or domain is not None:
            ids = {job_id: it for it in chosen if (job_id := job_id_of(it)) is not None}
            kinds = await self._kinds(self._task.org, ids) if ids else {}
            chosen = {
                ids[job_id]
                for job_id, it in kinds.items()
                if it == (kind or it[0], it[1] if domain is None else domain)
            }
        return [position for position, it in enumerate(streams, start) if it in chosen]

    async def _contents(self, positions: Sequence[int]) -> list[tuple[str, bytes]]:
        pieces: list[tuple[str, bytes]] = []
        is_whole = not self._has_private and self._rendering is None and self._attached is None
        while positions:
            taken = 0
            if is_whole:
                [row] = await self._fetch("contents_to_export", plain_array(positions), BYTES_A_READ)
                # Where none has left the store, the lines are as Postgres joins them.
                if not row["missing"]:
                    taken = row["number"]
                    pieces.append((CONTENTS, row["lines"]))
                    self._counts["contents"] += taken
            if not taken:
                rows = await self._fetch("parts_to_export", plain_array(positions), BYTES_A_READ)
                taken = len(rows)
                if taken and rows[0]["position"] != positions[0]:
                    taken = 0
                pieces += await self._one_by_one(rows)
            if not taken:
                raise CorruptLedgerError(f"Position {positions[0]} is missing.")
            positions = positions[taken:]
        return pieces

    async def _one_by_one(self, rows: Sequence[asyncpg.Record]) -> list[tuple[str, bytes]]:
        lacking = [it for it in rows if it["body"] is None or (it["private"] is None and NAMES_PRIVATE in it["header"])]
        bringing = [] if self._attached is None else attaching(rows)
        await self._removed.learn({it["stream"] for it in (*lacking, *bringing)})
        pieces = await asyncio.to_thread(self._lines, rows)
        for position, stream, _header, body, _private in bringing:
            assert self._attached is not None
            content = body or self._removed.parts(stream, position).content
            # Where its content is gone, so is what it attached: that is told already.
            if content is not None and not await self._attached.write(stream, position, content):
                self._missing[stream] = position
        return pieces

    def _lines(self, rows: Sequence[asyncpg.Record]) -> list[tuple[str, bytes]]:
        contents, privates, rendered = [], [], []
        for position, stream, header, body, private in rows:
            content, has_private = body, NAMES_PRIVATE in header
            if content is None or (private is None and has_private):
                found = self._removed.parts(stream, position)
                content, private = self._true(position, header, content or found.content, private or found.private)
            if content is None:
                self._counts["removed"] += 1
            if content is None or (self._has_private and has_private and private is None):
                self._missing[stream] = position
            contents.append(b'{"position":%d,"content":%b}\n' % (position, content or b"null"))
            if self._has_private and has_private:
                privates.append(b'{"position":%d,"private":%b}\n' % (position, private or b"null"))
            if self._rendering is not None:
                rendered.append(self._rendering.event(header, content, private if self._has_private else None))
        self._counts["contents"] += len(contents)
        self._counts["private"] += len(privates)
        pieces = [(CONTENTS, b"".join(contents))]
        if self._has_private:
            pieces.append((PRIVATE, b"".join(privates)))
        if self._rendering is not None:
            pieces.append((self._rendering.name, b"".join(rendered)))
        return pieces

    def _true(self, position: int, header: bytes, content: bytes | None, private: bytes | None) -> Parts:
        """What archives have given, where it is what the header names. Raises WorkFailedError."""
        named = orjson.loads(header)
        for part, name in ((content, "content"), (private, "private")):
            if part is not None and sha256(part).hexdigest() != named.get(name):
                raise WorkFailedError(f"The {name} of position {position} is not the one that its header names.")
        return Parts(content, private)

    async def _write_removals(self) -> None:
        """Events behind the range by which contents in it are gone, with their proofs; those within are among the headers.

        Raises WorkFailedError where they are gone by one behind the checkpoint, which this then cannot prove.
        """
        size = self._extent.checkpoint.size
        last: dict[int, bytes] = {}
        streams = sorted(self._missing)
        for at in range(0, len(streams), STREAMS_A_READ):
            some = streams[at : at + STREAMS_A_READ]
            # The removal of an attachment says nothing of other contents: the newest of both kinds is given.
            newest = {(it["stream"], it["type"] == DETACHED): it for it in await self._fetch("removals", some, size)}
            told = {stream for (stream, _), it in newest.items() if it["position"] > self._missing[stream]}
            if later := sorted(set(some) - told):
                raise WorkFailedError(
                    f"Contents of {later[0]} were removed after the checkpoint of {size} events: take a newer one."
                )
            last |= {it["position"]: it["header"] for it in newest.values() if it["position"] >= self._extent.end}
        entry = self._open(REMOVALS)
        for position in sorted(last):
            line = {"header": last[position].decode(), **await self._roots(position, position + 1)}
            entry.write(orjson.dumps(line) + b"\n")

    async def _roots(self, begin: int, end: int) -> dict[str, list[str]]:
        """Of the whole subtrees before and behind a range."""
        size, fork = self._extent.checkpoint.size, self._extent.checkpoint.fork
        ranges = [*cover(0, begin)], [*cover(end, size)]
        tiles = await self._store.tiles(self._task.org, fork, tiles_for([*ranges[0], *ranges[1]], size))
        before, after = ([root_of(it, tiles) for it in some] for some in ranges)
        return {"before": _encoded(before), "after": _encoded(after)}

    def _finish(self) -> dict[str, Any]:
        entries = [self._entries[name] for name in sorted(self._entries)]
        checkpoint = self._extent.checkpoint
        manifest = {
            "format": FORMAT,
            "origin": checkpoint.origin,
            "org": self._task.org,
            "checkpoint": checkpoint.size,
            "from": self._extent.begin,
            "to": self._extent.end,
            "selection": self._selection,
            "private": self._has_private,
            **({} if self._attached is None else {"attachments": True}),
            "counts": self._counts,
            "files": {it.name: it.finish() for it in entries},
        }
        raw = orjson.dumps(manifest) + b"\n"
        text = f"{FORMAT}\n{checkpoint.origin}\n{sha256(raw).hexdigest()}\n".encode()
        last = [
            self._add("manifest.json", raw),
            self._add("manifest.sig", sign_note(text, checkpoint.origin, [self._extent.key])),
        ]
        for entry in last:
            entry.finish()
        return write_zip(self._file.part(self._task.claim), [*entries, *last])


# Of the selection in the manifest what the order calls it.
NAMES = {"jobs": "job_ids", "type": "type", "domain": "domain"}
NAMES_PRIVATE = b'","private":"'


def cover(start: int, end: int) -> Iterator[Range]:
    """The whole subtrees that leaves from *start* to before *end* are made of, from the left."""
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        node = Node(height, start >> height)
        yield Range(node.number << height, (node.number + 1) << height)
        start += 1 << height


def _encoded(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(it).decode() for it in hashes]
