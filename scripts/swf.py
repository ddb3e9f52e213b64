"""The Standard Workload Format, version 2.2: what machines of the Parallel Workloads Archive ran, a line a job.

    ; UnixStartTime: 749458803                                                                a comment of the header
    1  0  -1  1451  128  -1  -1  -1  -1  -1  -1  1  1  -1  -1  -1  -1  -1                     a job

18 numbers divided by blanks, -1 for what is not known, integers but for times, which may have decimals:
 1 job number            7 used memory, KB a processor     13 group
 2 submitted at, s       8 requested processors            14 executable
 3 wait, s               9 requested time, s               15 queue
 4 run, s               10 requested memory, KB            16 partition
 5 processors           11 status                          17 preceding job's number
 6 mean CPU time, s     12 user                            18 think time after the preceding job, s
Status 0 failed, 1 completed, 5 cancelled; 2, 3 and 4 are parts of a job's execution, whose whole has a line of its own.
Times count from UnixStartTime. Source: https://www.cs.huji.ac.il/labs/parallel/workload/swf.html
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple

from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_registration import JobSpec
from jobledger.scripts.failure import FailedError

JOB_TYPE = "Batch Job"
FIELDS = (
    *("job number", "submit time", "wait time", "run time", "allocated processors", "mean CPU time", "used memory"),
    *("requested processors", "requested time", "requested memory", "status", "user", "group", "executable", "queue"),
    *("partition", "preceding job", "think time"),
)
TIME_FIELDS = frozenset({1, 2, 3, 5, 8, 17})
# Field 17 stands here only where it cannot be told as the job's preceding job.
ATTRIBUTES = {
    "processors": 4,
    "avg_cpu_time_s": 5,
    "used_memory_kb": 6,
    "requested_processors": 7,
    "requested_time_s": 8,
    "requested_memory_kb": 9,
    "user": 11,
    "group": 12,
    "executable": 13,
    "queue": 14,
    "partition": 15,
    "think_time_s": 17,
}
STATES = {1: State.SUCCESS, -1: State.SUCCESS, 0: State.FAILED, 5: State.CANCELLED}
PARTIAL = frozenset({2, 3, 4})

LONGEST_LINE_BYTES = 4096
LARGEST_NUMBER = 10**15 - 1
INTEGER, DECIMAL = r"-?[0-9]{1,15}", r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?"
# What int() reads as the format means it: no signs, underscores or digits but these.
ONLY_INTEGERS = re.compile(r"[-0-9 \t\r\n]+")
START_TIME = re.compile(r";\s*UnixStartTime:\s*(.*?)\s*")
GZIP_MAGIC = b"\x1f\x8b"


class MalformedLineError(FailedError):
    """A line of the log is not as the format says."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"Line {line}: {reason}")
        self.line = line
        self.reason = reason


class LoggedJob(NamedTuple):
    """A job of the log and where it stands.

    *is_again*: a job of this number stood before. *is_preceding_lost*: it names a preceding job that did not.
    """

    line: int
    spec: JobSpec
    is_again: bool = False
    is_preceding_lost: bool = False


class JobNumbers:
    """A set of job numbers, at about a bit each for numbers that lie close together."""

    def __init__(self) -> None:
        self._words: defaultdict[int, int] = defaultdict(int)

    def add(self, number: int) -> None:
        """Add it."""
        self._words[number >> 6] |= 1 << (number & 63)

    def __contains__(self, number: int) -> bool:
        return bool(self._words.get(number >> 6, 0) >> (number & 63) & 1)


class SwfLog:
    """A log, read once from its first line to its last, holding little of it at a time."""

    def __init__(self, stream: IO[bytes], source: str) -> None:
        self._stream = stream
        self._source = source
        self._start: datetime | None = None
        self._registered = JobNumbers()
        self.partial_executions = 0

    def jobs(self) -> Iterator[LoggedJob]:
        """The jobs in the order of their lines; partial executions are only counted. Raises MalformedLineError."""
        for number, line in enumerate(self._lines(), 1):
            text = line.lstrip()
            if text.startswith(";"):
                self._read_comment(number, text)
            elif text:
                job = self._read_job(number, line)
                if job is not None:
                    yield job

    def _lines(self) -> Iterator[str]:
        number = 0
        while True:
            number += 1
            try:
                line = self._stream.readline(LONGEST_LINE_BYTES + 1)
            except EOFError:
                raise MalformedLineError(number, "the compressed data end too early.") from None
            except (gzip.BadGzipFile, zlib.error) as error:
                raise MalformedLineError(number, f"the compressed data are damaged ({error}).") from None
            if not line:
                return
            if len(line) > LONGEST_LINE_BYTES:
                raise MalformedLineError(number, f"it is longer than {LONGEST_LINE_BYTES} bytes.")
            if b"\0" in line:
                raise MalformedLineError(number, "it has a NUL byte.")
            try:
                yield line.decode()
            except UnicodeDecodeError:
                raise MalformedLineError(number, "it is not UTF-8.") from None

    def _read_comment(self, line: int, text: str) -> None:
        match = START_TIME.fullmatch(text)
        if match is None or self._start is not None:
            return
        if not re.fullmatch("[0-9]{1,11}", match[1]):
            raise MalformedLineError(line, f"its UnixStartTime is not a number of seconds: {match[1][:40]!r}.")
        self._start = datetime.fromtimestamp(int(match[1]), UTC)

    def _read_job(self, line: int, text: str) -> LoggedJob | None:
        if self._start is None:
            raise MalformedLineError(line, "no comment above the first job tells the UnixStartTime.")
        values = _read_numbers(line, text)
        number, status = int(values[0]), values[10]
        if number < 1:
            raise MalformedLineError(line, f"its job number is {number}, and they count from 1.")
        if status in PARTIAL:
            self.partial_executions += 1
            return None
        if status not in STATES:
            raise MalformedLineError(line, f"its status is {status}, and there are -1 to 5.")
        if values[1] < 0:
            raise MalformedLineError(line, "its submit time is not known.")
        return self._job(line, number, values, STATES[int(status)])

    def _job(self, line: int, number: int, values: Sequence[int | float], state: State) -> LoggedJob:
        assert self._start is not None
        try:
            scheduled_at = self._start + timedelta(seconds=values[1])
            started_at = scheduled_at + timedelta(seconds=values[2]) if values[2] > 0 else scheduled_at
            ended_at = started_at + timedelta(seconds=values[3]) if values[3] > 0 else started_at
        except OverflowError:
            raise MalformedLineError(line, "its times lie beyond the year 9999.") from None
        attributes: dict[str, Any] = {name: values[index] for name, index in ATTRIBUTES.items() if values[index] != -1}
        preceding, is_preceding_lost = int(values[16]), False
        if preceding >= 1 and preceding not in self._registered:
            attributes["preceding_job_number"] = preceding
            is_preceding_lost = True
        is_again = number in self._registered
        self._registered.add(number)
        spec = JobSpec(
            type=JOB_TYPE,
            name=f"swf-{number}",
            source=self._source,
            external_id=str(number),
            preceding_external_id=str(preceding) if preceding >= 1 and not is_preceding_lost else None,
            scheduled_at=scheduled_at,
            started_at=started_at,
            ended_at=ended_at,
            state=state,
            attributes=attributes or None,
        )
        return LoggedJob(line, spec, is_again, is_preceding_lost)


def _read_numbers(line: int, text: str) -> Sequence[int | float]:
    """The 18 numbers of a line, none below -1. Raises MalformedLineError."""
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise MalformedLineError(line, f"it has {len(fields)} fields, not {len(FIELDS)}.")
    if ONLY_INTEGERS.fullmatch(text):
        # Nearly every line of nearly every log: the reading of a load is to take no time beside the writing.
        with suppress(ValueError):
            values = [*map(int, fields)]
            if min(values) >= -1 and max(values) <= LARGEST_NUMBER:
                return values
    for index, (name, field) in enumerate(zip(FIELDS, fields, strict=True)):
        if not re.fullmatch(DECIMAL if index in TIME_FIELDS else INTEGER, field):
            kind = "a number" if index in TIME_FIELDS else "an integer"
            raise MalformedLineError(line, f"its {name} is not {kind} of at most 15 digits: {field[:40]!r}.")
        if float(field) < 0 and float(field) != -1:
            raise MalformedLineError(line, f"its {name} is negative: {field}.")
    return [float(it) if "." in it else int(it) for it in fields]


def source_of(path: Path) -> str:
    """What jobs of the log in this file have as their source: its name without .gz and .swf."""
    return re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE).removesuffix(".swf")


@contextmanager
def open_log(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file's bytes, unpacked if they are gzip's, whatever its name; and the file itself, which tells how far it is read."""
    with path.open("rb") as file:
        if file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked, file  # type: ignore[misc]  # it is one in all but name
        else:
            yield file, file
