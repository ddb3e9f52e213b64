"""Reading the Standard Workload Format."""

from __future__ import annotations

import gzip
import io
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.job import State
from jobledger.scripts.load import JOBS_A_REQUEST, requests_of
from jobledger.scripts.swf import (
    ATTRIBUTES,
    LONGEST_LINE_BYTES,
    STATES,
    JobNumbers,
    LoggedJob,
    MalformedLineError,
    SwfLog,
    open_log,
    source_of,
)
from tests.scripts.place import MADE, SAMPLE

HEADER = b"; UnixStartTime: 1000000000\n"
START = datetime.fromtimestamp(1_000_000_000, UTC)
LINE = "1 0 5 100 4 98.5 2048 4 200 4096 1 1 1 7 1 1 -1 -1"


def read(content: bytes) -> tuple[list[LoggedJob], SwfLog]:
    log = SwfLog(io.BytesIO(content), "made")
    return list(log.jobs()), log


def jobs_of(path: Path) -> tuple[dict[str, LoggedJob], SwfLog]:
    with open_log(path) as (stream, _file):
        log = SwfLog(stream, source_of(path))
        return {str(job.spec.external_id): job for job in log.jobs() if not job.is_again}, log


def with_field(number: int, value: Any) -> bytes:
    """The line with another value in this field, counted from 1 as the format does."""
    fields = LINE.split()
    fields[number - 1] = str(value)
    return HEADER + " ".join(fields).encode() + b"\n"


def test_a_real_log() -> None:
    """The first 200 jobs of one that a machine wrote in 1993."""
    jobs, log = jobs_of(SAMPLE)

    first = jobs["1"]
    assert len(jobs) == 200
    assert log.partial_executions == 0
    assert first.line == 33
    assert first.spec.source == "NASA-iPSC-1993-3.1-head"
    assert first.spec.name == "swf-1"
    assert first.spec.scheduled_at == first.spec.started_at == datetime(1993, 10, 1, 7, 0, 3, tzinfo=UTC)
    assert first.spec.ended_at == datetime(1993, 10, 1, 7, 24, 14, tzinfo=UTC)
    assert first.spec.state is State.SUCCESS
    assert first.spec.attributes == {"processors": 128, "user": 1, "group": 1}


def test_every_status_and_what_is_not_known() -> None:
    """Parts of an execution are counted; unknown times count as none; unknown attributes are not there."""
    jobs, log = jobs_of(MADE)

    assert log.partial_executions == 3
    assert {number: job.spec.state for number, job in jobs.items()} == {
        "1": State.SUCCESS,
        "2": State.FAILED,
        "3": State.CANCELLED,
        "4": State.CANCELLED,
        "5": State.SUCCESS,
        "6": State.SUCCESS,
        "7": State.SUCCESS,
        "8": State.SUCCESS,
    }
    unknown = jobs["5"].spec
    assert unknown.scheduled_at == unknown.started_at == unknown.ended_at == START + timedelta(seconds=50)
    assert unknown.attributes is None
    assert jobs["6"].spec.ended_at == START + timedelta(seconds=62)
    assert jobs["1"].spec.attributes == {
        "processors": 4,
        "avg_cpu_time_s": 98.5,
        "used_memory_kb": 2048,
        "requested_processors": 4,
        "requested_time_s": 200,
        "requested_memory_kb": 4096,
        "user": 1,
        "group": 1,
        "executable": 7,
        "queue": 1,
        "partition": 1,
    }


def test_a_preceding_job_is_one_that_stands_above() -> None:
    """Another's number is kept with the job's attributes, and told."""
    jobs, _log = jobs_of(MADE)

    named = {number: job.spec.preceding_external_id for number, job in jobs.items() if job.spec.preceding_external_id}
    lost = {
        number: (job.spec.attributes or {})["preceding_job_number"]
        for number, job in jobs.items()
        if job.is_preceding_lost
    }
    assert named == {"2": "1", "4": "2", "8": "7"}
    assert lost == {"6": 99, "7": 8}


def test_gzip_is_known_by_content_not_by_name(tmp_path: Path) -> None:
    """Both ways round."""
    packed, plain = tmp_path / "a.swf", tmp_path / "b.swf.GZ"
    packed.write_bytes(gzip.compress(MADE.read_bytes()))
    plain.write_bytes(MADE.read_bytes())

    assert jobs_of(packed)[0].keys() == jobs_of(plain)[0].keys() == jobs_of(MADE)[0].keys()
    assert (source_of(packed), source_of(plain)) == ("a", "b")


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (LINE.encode(), 1, "no comment above the first job tells the UnixStartTime"),
        (b"; UnixStartTime: noon\n" + LINE.encode(), 1, "UnixStartTime is not a number of seconds: 'noon'"),
        (HEADER + LINE.encode() + b" 1\n", 2, "it has 19 fields, not 18"),
        (HEADER + b"\n  \n1 2 3\n", 4, "it has 3 fields, not 18"),
        (with_field(1, "x"), 2, "its job number is not an integer"),
        (with_field(1, "1.0"), 2, "its job number is not an integer"),
        (with_field(1, "1_0"), 2, "its job number is not an integer"),
        (with_field(1, "٣"), 2, "its job number is not an integer"),
        (with_field(1, "9" * 30), 2, "its job number is not an integer of at most 15 digits"),
        (with_field(1, 0), 2, "its job number is 0"),
        (with_field(1, -1), 2, "its job number is -1"),
        (with_field(2, -1), 2, "its submit time is not known"),
        (with_field(2, "nan"), 2, "its submit time is not a number"),
        (with_field(3, -2), 2, "its wait time is negative: -2"),
        (with_field(4, "9" * 15), 2, "its times lie beyond the year 9999"),
        (with_field(11, 6), 2, "its status is 6"),
        (with_field(17, -5), 2, "its preceding job is negative"),
        (HEADER + b"; \xff\n", 2, "it is not UTF-8"),
        (HEADER + LINE.encode().replace(b"98.5", b"98\0005"), 2, "it has a NUL byte"),
        (HEADER + b";" * (LONGEST_LINE_BYTES + 1), 2, f"it is longer than {LONGEST_LINE_BYTES} bytes"),
    ],
)
def test_a_malformed_line_is_told_with_its_number(content: bytes, line: int, reason: str) -> None:
    with pytest.raises(MalformedLineError) as raised:
        read(content)

    assert raised.value.line == line
    assert reason in raised.value.reason


@pytest.mark.parametrize(
    "damage", [lambda it: it[: len(it) // 2], lambda it: it[:60] + b"!!!!!!!!" + it[68:], lambda it: it + b"!"]
)
def test_compressed_data_that_are_damaged_are_told(tmp_path: Path, damage: Any) -> None:
    """Truncated, altered, or with something behind."""
    path = tmp_path / "log.swf.gz"
    path.write_bytes(damage(gzip.compress(SAMPLE.read_bytes())))

    with pytest.raises(MalformedLineError, match="the compressed data"):
        jobs_of(path)


field = st.integers(min_value=-1, max_value=10**6)


@given(st.lists(st.tuples(*[field] * 18), max_size=40))
def test_any_lines_of_small_integers_are_jobs_or_told(rows: list[tuple[int, ...]]) -> None:
    """What is read is what the format says of the line, field by field; the first that is malformed ends it."""
    content = HEADER + b"".join(b"\t".join(str(it).encode() for it in row) + b"\r\n" for row in rows)
    log = SwfLog(io.BytesIO(content), "made")
    read: list[LoggedJob] = []
    malformed = None
    try:
        for job in log.jobs():
            read.append(job)
    except MalformedLineError as error:
        malformed = error.line

    good = [row for row in rows if row[0] >= 1 and row[1] >= 0 and row[10] in (-1, 0, 1, 5)]
    if malformed is not None:
        row = rows[malformed - 2]
        assert row[0] < 1 or row[10] not in range(-1, 6) or row[1] < 0
        good = [row for row in rows[: malformed - 2] if row[10] in (-1, 0, 1, 5)]
    assert len(read) == len(good)
    seen: set[int] = set()
    for job, row in zip(read, good, strict=True):
        assert job.spec.external_id == str(row[0])
        assert job.spec.state is STATES[row[10]]
        assert job.spec.scheduled_at == START + timedelta(seconds=row[1])
        assert job.spec.started_at == START + timedelta(seconds=row[1] + max(0, row[2]))
        assert job.spec.ended_at == START + timedelta(seconds=row[1] + max(0, row[2]) + max(0, row[3]))
        assert job.is_again == (row[0] in seen)
        assert job.is_preceding_lost == (row[16] >= 1 and row[16] not in seen)
        known = {name: row[index] for name, index in ATTRIBUTES.items() if row[index] >= 0}
        if job.is_preceding_lost:
            known["preceding_job_number"] = row[16]
        assert (job.spec.attributes or {}) == known
        seen.add(row[0])


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_told(content: bytes) -> None:
    """Nothing but a sentence comes of what is no log."""
    with suppress(MalformedLineError):
        read(HEADER + content)


@given(st.sets(st.integers(min_value=1, max_value=10**15)), st.integers(min_value=1, max_value=10**15))
def test_job_numbers_are_a_set(numbers: set[int], other: int) -> None:
    known = JobNumbers()
    for number in numbers:
        known.add(number)

    assert all(number in known for number in numbers)
    assert (other in known) == (other in numbers)


@given(st.lists(st.booleans(), max_size=3 * JOBS_A_REQUEST), st.booleans())
def test_requests_keep_the_order_and_what_stands_before_a_malformed_line(again: list[bool], is_malformed: bool) -> None:
    """A job whose number stood before is a request of its own."""
    jobs = [LoggedJob(line, None, is_again) for line, is_again in enumerate(again)]  # type: ignore[arg-type]

    def lines() -> Any:
        yield from jobs
        if is_malformed:
            raise MalformedLineError(99, "it is malformed.")

    requests: list[list[LoggedJob]] = []
    failed = False
    try:
        for request in requests_of(lines()):
            requests.append(request)
    except MalformedLineError:
        failed = True

    assert failed == is_malformed
    assert [job for request in requests for job in request] == jobs
    assert all(1 <= len(request) <= JOBS_A_REQUEST for request in requests)
    assert all(len(request) == 1 for request in requests if any(job.is_again for job in request))
