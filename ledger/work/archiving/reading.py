"""Reading an archive's files: back, to see that they are what the store holds; or one job of them, without the rest."""

from __future__ import annotations

import re
from array import array
from binascii import unhexlify
from collections.abc import Awaitable, Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from isal import igzip, isal_zlib

from jobledger.ledger.domain.job import job_id_of
from jobledger.ledger.work.archiving.files import ATTACHMENTS, EVENTS, MANIFEST, PRIVATE, PROOF, ArchiveFiles
from jobledger.ledger.work.archiving.manifest import Manifest
from jobledger.ledger.work.archiving.proof import Proving
from jobledger.ledger.work.archiving.selection import Selection
from jobledger.ledger.work.runner import WorkFailedError

PIECE_BYTES = 1024 * 1024
# A header is one flat object; what may stand in its strings has no quotes. Nothing of it is looked for twice.
LINE = re.compile(
    rb'\{"header":(\{"org":"[^"]*","position":(\d+),"recorded_at":"[^"]*","stream":"([^"]*)","version":(\d+),'
    rb'"type":"[^"]*","schema":\d+,"by":"[^"]*",'
    rb'"content":"([0-9a-f]{64})"(?:,"private":"([0-9a-f]{64})")?\}),"content":(\{.*\}|null)\}\n'
)
PRIVATE_LINE = re.compile(rb'\{"position":(\d+),"private":(\{.*\}|null)\}\n')
# ``digest_of(positions)``: how many of these events the store has, and the SHA-256 of their headers joined.
DigestOf = Callable[[Sequence[int]], Awaitable[tuple[int, bytes]]]


class MemberRead(NamedTuple):
    """What a member holds: the positions of its events, the digest of their headers joined."""

    positions: list[int]
    digest: bytes


class Verification:
    """Reads an archive back, whole. Each method raises WorkFailedError, saying what differs."""

    def __init__(self, files: ArchiveFiles, selection: Selection, manifest_sha256: str) -> None:
        self._files = files
        self._selection = selection
        self._manifest_sha256 = manifest_sha256
        # Of each selected job how many of its events were seen.
        self._seen = array("i", bytes(4 * len(selection)))
        self._last_position = -1
        self._privates = 0
        self._proving: Proving | None = None

    def open_manifest(self) -> Manifest:
        """The manifest, when it is what was written, and so are the files that it names, byte for byte."""
        path = self._files.path(MANIFEST)
        if digest_of_file(path)[1] != self._manifest_sha256:
            _differs(f"{path.name} is not the manifest that was written")
        manifest = Manifest(path)
        for suffix in (EVENTS, PRIVATE, PROOF):
            name = self._files.path(suffix).name
            if name in manifest.head["files"]:
                self._compare(self._files.path(suffix), manifest.head["files"][name])
        for attachment in manifest.attachments:
            if attachment.get("erased"):
                continue
            self._compare(self._files.path(ATTACHMENTS) / attachment["file"], attachment)
        note = manifest.head.get("checkpoint")
        self._proving = None if note is None else Proving(self._files.path(PROOF), note)
        return manifest

    def read_members(self, manifest: Manifest) -> Iterator[MemberRead]:
        """Each member: every line that it should have, each content what its header says. Headers are for the caller to compare."""
        end = private_end = 0
        with self._open(EVENTS) as file:
            private = self._open(PRIVATE) if self._files.path(PRIVATE).exists() else None
            try:
                for number, member in enumerate(manifest.members):
                    offset, length, _, _, _, private_offset, private_length = member
                    if offset != end or (private_length and private_offset != private_end):
                        _differs(f"member {number} does not begin where the one before it ends")
                    end, private_end = offset + length, private_end + private_length
                    file.seek(offset)
                    privates = b""
                    if private_length and private is not None:
                        private.seek(private_offset)
                        privates = decompressed(private.read(private_length), number)
                    yield self._read_member(number, member, decompressed(file.read(length), number), privates)
            finally:
                if private is not None:
                    private.close()
        counts = manifest.head["counts"]
        if sum(self._seen) != counts["events"] or self._privates != counts["private"]:
            _differs("it holds another number of events than its manifest says")
        if len(manifest.members) and end != self._files.path(EVENTS).stat().st_size:
            _differs("something stands behind its last member")
        if self._proving is not None:
            self._proving.end()

    def _read_member(self, number: int, member: Sequence[int], lines: bytes, privates: bytes) -> MemberRead:
        positions: list[int] = []
        headers: list[bytes] = []
        named: dict[int, bytes] = {}
        selection, seen = self._selection, self._seen
        # A job's events mostly stand near each other.
        places: dict[bytes, int] = {}
        end, last = 0, self._last_position
        for match in LINE.finditer(lines):
            header, told, stream, version, content_hash, private_hash, content = match.groups()
            position = int(told)
            begin, ended = match.span()
            if begin != end or position <= last:
                _differs(f"a line of member {number} is not where it belongs")
            end, last = ended, position
            place = places.get(stream, -1)
            if place < 0:
                place = places[stream] = self._place(stream)
            if place < 0 or int(version) > selection.versions[place]:
                _differs(f"position {position} was not selected")
            seen[place] += 1
            if content != b"null" and sha256(content).digest() != unhexlify(content_hash):
                _differs(f"the content of position {position} is not the one that its header names")
            if private_hash is not None:
                named[position] = private_hash
            headers.append(header)
            positions.append(position)
        self._last_position = last
        if self._proving is not None:
            self._proving.add(positions, headers)
        if end != len(lines) or [*positions[:1], *positions[-1:], len(positions)] != [*member[2:5]]:
            _differs(f"member {number} does not hold what its manifest says")
        end = 0
        for match in PRIVATE_LINE.finditer(privates):
            is_erased = match[2] == b"null" and int(match[1]) in named
            if match.start() != end or not (
                is_erased or sha256(match[2]).hexdigest().encode() == named.get(int(match[1]))
            ):
                _differs(f"the private content of position {int(match[1])} is not the one that its header names")
            end = match.end()
            self._privates += 1
        if end != len(privates):
            _differs(f"the private part of member {number} does not hold what its manifest says")
        return MemberRead(positions, sha256(b"".join(headers)).digest())

    def _place(self, stream: bytes) -> int:
        """Where in the selection the stream's job is; -1 where it is not."""
        place = self._selection.index(job_id_of(stream.decode()) or 0)
        return -1 if place is None else place

    def compare_jobs(self, manifest: Manifest) -> None:
        """The jobs of the manifest are those that were selected, and each of their events was read."""
        if self._seen != self._selection.versions:
            _differs("events of a selected job are missing")
        number = 0
        members = len(manifest.members)
        for number, (job_id, version, places) in enumerate(manifest.jobs(), 1):
            at = number - 1
            if at >= len(self._selection) or (job_id, version) != (
                self._selection.ids[at],
                self._selection.versions[at],
            ):
                _differs(f"job {job_id} of the manifest was not selected so")
            if not places or not all(0 <= it < members for it in places):
                _differs(f"the manifest does not tell where job {job_id} is")
        if number != len(self._selection):
            _differs("jobs are missing in the manifest")

    def _open(self, suffix: str) -> Any:
        try:
            return self._files.path(suffix).open("rb")
        except OSError as error:
            raise WorkFailedError(f"{self._files.path(suffix).name} cannot be read: {error.strerror}.") from error

    def _compare(self, path: Path, told: Any) -> None:
        size, digest = digest_of_file(path)
        if digest == told["sha256"] and size != told["size_bytes"]:
            _differs(f"the manifest tells another size of {path.name} than what was written has")
        if digest != told["sha256"]:
            _differs(f"{path.name} is not what was written")


def digest_of_file(path: Path) -> tuple[int, str]:
    """Size and SHA-256 (hex) of a file. Raises WorkFailedError."""
    digest, size = sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        raise WorkFailedError(f"{path.name} cannot be read: {error.strerror}.") from error
    return size, digest.hexdigest()


def read_job(path: Path, job_id: int, places: Sequence[Sequence[int]]) -> list[bytes]:
    """The lines of one job's events in a file, of which only the members at *places* are read. Raises OSError, WorkFailedError."""
    stream = b'"stream":"job-%d","' % job_id
    found: list[bytes] = []
    with path.open("rb") as file:
        for offset, length in places:
            file.seek(offset)
            lines = decompressed(file.read(length), offset)
            end = 0
            while (at := lines.find(stream, end)) >= 0:
                begin, end = lines.rfind(b"\n", 0, at) + 1, lines.find(b"\n", at) + 1
                line = lines[begin:end]
                # A content may quote a header.
                match = LINE.fullmatch(line)
                if match is not None and match[3] == b"job-%d" % job_id:
                    found.append(line)
    return found


def shown_line(line: bytes) -> dict[str, Any]:
    """A line of an archive as an event is shown."""
    shown: dict[str, Any] = orjson.loads(line)
    return shown


def decompressed(data: bytes, number: int) -> bytes:
    """What a member holds. Raises WorkFailedError."""
    try:
        lines: bytes = igzip.decompress(data)  # type: ignore[no-untyped-call]  # it has no stubs of its own
    except (EOFError, OSError, isal_zlib.error) as error:  # type: ignore[misc]  # a class, whatever its stub says
        raise WorkFailedError(f"Member {number} of the archive does not decompress.") from error
    return lines


def _differs(what: str) -> None:
    raise WorkFailedError(f"The archive was read back and differs: {what}.")
