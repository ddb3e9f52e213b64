"""``jobledger load swf``, into a real database."""

from __future__ import annotations

import gzip
import re
import signal
from pathlib import Path

import pytest

from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.errors import DatabaseIsAwayError, JobExistsError
from jobledger.ledger.store.ledger import Ledger
from jobledger.scripts.load import Load, Loaded
from jobledger.scripts.swf import MalformedLineError, SwfLog, open_log, source_of
from tests.auditor import Audited, audit
from tests.scripts.place import MADE, SAMPLE, Place, eventually
from tests.world import ORG, serving


async def load(ledger: Ledger, path: Path) -> Loaded:
    with open_log(path) as (stream, _file):
        loading = Load(ledger, ORG, lambda _loaded: None)
        await loading.load(SwfLog(stream, source_of(path)).jobs())
    return loading.loaded


async def jobs_in(url: str) -> dict[str, Job]:
    """The jobs of a log by their numbers, folded from the events; what is stored is audited by the way."""
    found: Audited = (await audit(url))[ORG]
    return {job.external_id or "": job for job in found.aggregates.values() if isinstance(job, Job)}


async def test_a_made_log(ledger: Ledger, database_url: str) -> None:
    """Each status, the times of its own, preceding jobs; the same job again is the same job."""
    loaded = await load(ledger, MADE)

    jobs = await jobs_in(database_url)
    assert loaded == Loaded(registered=8, there_already=1, lost_preceding=2, events=24)
    assert {number: job.state for number, job in jobs.items() if job.state is not State.SUCCESS} == {
        "2": State.FAILED,
        "3": State.CANCELLED,
        "4": State.CANCELLED,
    }
    assert jobs["2"].preceding_job_id == jobs["1"].job_id
    assert jobs["7"].preceding_job_id is None
    assert (jobs["2"].type, jobs["2"].name, jobs["2"].source) == ("Batch Job", "swf-2", "made")
    assert jobs["2"].ended_at is not None
    assert jobs["2"].started_at is not None
    assert (jobs["2"].ended_at - jobs["2"].started_at).total_seconds() == 20


async def test_loading_again_loads_nothing_twice(ledger: Ledger, database_url: str) -> None:
    """The ledger answers with the jobs that are there."""
    first = await load(ledger, SAMPLE)
    size = (await ledger.recorder.head(ORG)).size

    again = await load(ledger, SAMPLE)

    assert first == Loaded(registered=200, events=600)
    assert again == Loaded(there_already=200)
    assert (await ledger.recorder.head(ORG)).size == size


async def test_a_load_that_was_broken_off_is_completed(ledger: Ledger, database_url: str) -> None:
    """Whatever it had come to."""
    with open_log(SAMPLE) as (stream, _file):
        jobs = list(SwfLog(stream, source_of(SAMPLE)).jobs())
    await Load(ledger, ORG, lambda _loaded: None).load(iter(jobs[:77]))

    loaded = await load(ledger, SAMPLE)

    assert (loaded.registered, loaded.there_already) == (123, 77)
    assert len(await jobs_in(database_url)) == 200


async def test_a_malformed_line_leaves_what_stands_before_it(ledger: Ledger, database_url: str, tmp_path: Path) -> None:
    """All of that, and nothing of its own or below."""
    lines = SAMPLE.read_text().splitlines(keepends=True)
    path = tmp_path / SAMPLE.name
    path.write_text("".join([*lines[:150], "1 2 3\n", *lines[150:]]))

    with pytest.raises(MalformedLineError, match="Line 151: it has 3 fields"):
        await load(ledger, path)

    assert len(await jobs_in(database_url)) == 118


async def test_a_number_that_stands_twice_for_different_jobs_is_malformed(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    """The first one stays, and nothing below the second is loaded."""
    lines = SAMPLE.read_text().splitlines(keepends=True)
    path = tmp_path / SAMPLE.name
    path.write_text("".join([*lines[:150], lines[100].replace(" -1 -1\n", " -1  5\n"), *lines[150:]]))

    with pytest.raises(MalformedLineError, match="Line 151: the ledger refuses job"):
        await load(ledger, path)

    assert len(await jobs_in(database_url)) == 118


async def test_a_job_that_differs_from_the_one_in_the_ledger_is_told(ledger: Ledger, tmp_path: Path) -> None:
    """With its line; the jobs above it in the same request are there."""
    await load(ledger, SAMPLE)
    lines = SAMPLE.read_text().splitlines(keepends=True)
    path = tmp_path / SAMPLE.name
    path.write_text("".join([*lines[:70], lines[70].replace(" -1 -1\n", " -1  5\n"), *lines[71:]]))

    with pytest.raises(MalformedLineError, match="Line 71: the ledger refuses job") as raised:
        await load(ledger, path)

    assert isinstance(raised.value.__cause__, JobExistsError)


async def test_a_database_that_goes_away_ends_a_load(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no line's fault, and nothing is tried one by one."""
    asked = 0

    async def be_away(_command: object) -> None:
        nonlocal asked
        asked += 1
        raise DatabaseIsAwayError("The database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "execute", be_away)
        with pytest.raises(DatabaseIsAwayError):
            await load(ledger, SAMPLE)

    assert asked == 4
    assert (await load(ledger, SAMPLE)).registered == 200


async def test_who_loaded_and_how_is_in_the_events(shared: Place, database_url: str, tmp_path: Path) -> None:
    """One load is one request, by the command line."""
    shared.succeed("org", "add", ORG)
    packed = tmp_path / "made.swf.gz"
    packed.write_bytes(gzip.compress(MADE.read_bytes()))

    said = shared.succeed("load", "swf", packed, "--org", ORG)

    assert re.fullmatch(
        r"Loaded 8 jobs of made into acme: 24 events in \d+\.\d\d s, \d+ events/s; 1 jobs were there already; "
        r"3 partial executions were skipped; 2 preceding jobs do not stand above theirs and were left out\.\n",
        said,
    )
    async with serving(database_url) as ledger:
        events = [it async for it in ledger.recorder.scan(ORG, start=1)]
    contents = [it.content for it in events if it.content is not None]
    assert {it.envelope()["by"] for it in events} == {"ledger"}
    assert all(b'"via":"command line"' in it for it in contents)
    assert len({re.search(rb'"request":"([^"]+)"', it)[1] for it in contents}) == 1  # type: ignore[index]  # it is there


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"1 2 3\n", "Line 1: no comment above the first job tells the UnixStartTime. 0 jobs of the log are loaded"),
        (gzip.compress(SAMPLE.read_bytes())[:2500], "the compressed data end too early"),
    ],
)
def test_a_malformed_log_is_a_failure(shared: Place, tmp_path: Path, content: bytes, reason: str) -> None:
    """With the line's number, the reason, and how many jobs are loaded."""
    shared.succeed("org", "add", ORG)
    path = tmp_path / "log.swf"
    path.write_bytes(content)

    assert reason in shared.fail("load", "swf", path, "--org", ORG)


def test_a_file_or_an_org_that_is_not_there_is_a_failure(shared: Place, tmp_path: Path) -> None:
    """Each in a sentence."""
    assert "No such file or directory" in shared.fail("load", "swf", tmp_path / "none", "--org", ORG)
    assert "There is no org acme" in shared.fail("load", "swf", SAMPLE, "--org", ORG)
    assert "Is a directory" in shared.fail("load", "swf", tmp_path, "--org", ORG)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_a_load_killed_in_the_middle_is_completed(
    shared: Place, database_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    """At whatever line; and the jobs that follow others still do."""
    shared.succeed("org", "add", ORG)
    path = tmp_path / "long.swf"
    with path.open("w") as file:
        file.write("; UnixStartTime: 0\n")
        for job in range(1, 6001):
            file.write(f"{job} {job} 1 1 1 -1 -1 -1 -1 -1 1 1 1 1 1 1 {job - 1 or -1} -1\n")
    process = shared.spawn("load", "swf", path, "--org", ORG)
    async with serving(database_url) as ledger:
        while (await ledger.recorder.head(ORG)).size < 2000:
            assert process.poll() is None
    process.send_signal(number)
    code = process.wait(30)

    said = shared.succeed("load", "swf", path, "--org", ORG)

    found = re.match(r"Loaded (\d+) jobs of .*; (\d+) jobs were there already", said)
    jobs = await jobs_in(database_url)
    assert code in (1, -signal.SIGKILL)
    assert found is not None
    assert int(found[1]) + int(found[2]) == 6000
    assert int(found[2]) >= 600
    assert sorted(map(int, jobs)) == list(range(1, 6001))
    assert all(job.preceding_job_id == jobs[str(int(it) - 1)].job_id for it, job in jobs.items() if it != "1")


@pytest.mark.slow
def test_a_load_beside_a_server_is_seen_by_it(place: Place) -> None:
    """What the command answers is what the server's lists show."""
    with place.serving() as server:
        place.succeed("load", "swf", SAMPLE, "--org", "default")
        listed = server.ask("GET", "/default/jobs?limit=1000&state=SUCCESS")[1]["jobs"]

    assert len(listed) == 200
    assert eventually(lambda: {job["source"] for job in listed}) == {"NASA-iPSC-1993-3.1-head"}
