"""The manifest of an archive: one JSON object, written so that what there is much of can be read line by line.

    {"format":"jobledger-archive/1","org":"acme","archive_id":77,…,"checkpoint":"…",
    "attachments":[
    {"job_id":5,"id":"<uuid>","file":"5-<uuid>","size_bytes":9,"sha256":"<hex>"}
    ],
    "members":[
    [0,51200,17,1042,980,0,733]
    ],
    "jobs":[
    [5,6,[0,3]]
    ]}

A member is a whole gzip member of the file: its offset and length, its first and last position, how many events it has, offset
and length of the member with their private contents, length 0 where they have none. A job is its id, the version up to which the
archive holds it, and the numbers of the members where its events are. ``checkpoint`` is a signed note, which covers every position;
null where the installation signs nothing, or the archive is empty. Once something was erased of jobs, ``erased`` says of which, and
in what scope; so do their attachments.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from jobledger.ledger.work.runner import WorkFailedError

FORMAT = "jobledger-archive/1"
MEMBER_COLUMNS = 7
LINES_A_WRITE = 5_000


@dataclass(slots=True)
class Members:
    """The members of an archive, in one array of numbers."""

    numbers: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.numbers) // MEMBER_COLUMNS

    def add(self, *columns: int) -> None:
        """Add one: offset, length, first and last position, events, offset and length of the private member."""
        self.numbers.extend(columns)

    def __getitem__(self, number: int) -> Sequence[int]:
        return self.numbers[number * MEMBER_COLUMNS : (number + 1) * MEMBER_COLUMNS]

    def place(self, number: int) -> list[int]:
        """Its offset and length."""
        return self.numbers[number * MEMBER_COLUMNS : number * MEMBER_COLUMNS + 2].tolist()

    def __iter__(self) -> Iterator[Sequence[int]]:
        return (self[number] for number in range(len(self)))


def write_manifest(
    path: Path,
    head: Mapping[str, Any],
    attachments: Iterable[Mapping[str, Any]],
    members: Members,
    jobs: Iterable[bytes],
) -> dict[str, Any]:
    """Write it, durably; its ``{"size_bytes", "sha256"}``. *jobs* are their lines. Raises OSError."""
    digest = sha256()
    size = 0
    with path.open("xb") as file:

        def write(piece: bytes) -> None:
            nonlocal size
            digest.update(piece)
            size += len(piece)
            file.write(piece)

        write(orjson.dumps(head)[:-1] + b',\n"attachments":[')
        _write_lines(write, map(orjson.dumps, attachments))
        write(b',\n"members":[')
        _write_lines(write, (b"[%d,%d,%d,%d,%d,%d,%d]" % tuple(it) for it in members))
        write(b',\n"jobs":[')
        _write_lines(write, jobs)
        write(b"}\n")
        file.flush()
        os.fsync(file.fileno())
    return {"size_bytes": size, "sha256": digest.hexdigest()}


def _write_lines(write: Any, lines: Iterable[bytes]) -> None:
    some: list[bytes] = []
    before = b"\n"
    for line in lines:
        some.append(line)
        if len(some) == LINES_A_WRITE:
            write(before + b",\n".join(some))
            some, before = [], b",\n"
    write((before + b",\n".join(some) if some else b"") + b"\n]")


class Manifest:
    """A manifest as it is in a file. ``jobs`` reads the rest of it; WorkFailedError for one that does not read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.attachments: list[dict[str, Any]] = []
        self.members = Members()
        try:
            with path.open("rb") as file:
                self.head: dict[str, Any] = orjson.loads(file.readline().rstrip(b",\n") + b"}")
                self.attachments += _read_lines(file, b'"attachments":[\n')
                for member in _read_lines(file, b'"members":[\n'):
                    self.members.add(*member)
                self._jobs_at = file.tell()
        except (OSError, ValueError, TypeError) as error:
            raise WorkFailedError(f"The manifest {path.name} does not read: {type(error).__name__}.") from error
        if self.head.get("format") != FORMAT:
            raise WorkFailedError(f"The manifest {path.name} is of another format.")

    def jobs(self, skip: int = 0) -> Iterator[tuple[int, int, list[int]]]:
        """Id, version and members of each job, from the one of this number on. Raises WorkFailedError."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._jobs_at)
                for number, job in enumerate(_read_lines(file, b'"jobs":[\n')):
                    if number >= skip:
                        yield job[0], job[1], job[2]
        except (OSError, ValueError, LookupError) as error:
            raise WorkFailedError(f"The manifest {self.path.name} does not read: {type(error).__name__}.") from error


def _read_lines(file: Any, begins: bytes) -> Iterator[Any]:
    if file.readline() != begins:
        raise ValueError(f"{begins!r} is missing")
    while not (line := file.readline()).startswith(b"]"):
        if not line:
            raise ValueError("it ends too early")
        yield orjson.loads(line.rstrip(b",\n"))
