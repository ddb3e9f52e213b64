"""Each server reads the ledger again: a row that somebody altered is found, whichever it is, and nothing more is written then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobledger.ledger.domain.evidence import RecordFork
from jobledger.ledger.domain.job_removal import ALL, PRIVATE, EraseJob
from jobledger.ledger.errors import HistoryDiffersError
from jobledger.ledger.evidence.rereading import Reread
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.work import rereading as module
from jobledger.ledger.work.checkpointing import Checkpointing
from jobledger.ledger.work.rereading import Rereading
from tests.cluster import session
from tests.ledger.archived import archived, ended
from tests.signing import ring
from tests.world import ALICE, ORG, register, registration, serving, spec

# Whose past is rewritten here; other tests' auditors never see it, as each puts back what it altered.
PAST = 300
KEPT = "CREATE TEMPORARY TABLE kept AS SELECT e.*, c.body, c.private FROM event AS e LEFT JOIN content AS c USING (org, position)"
ALTERATIONS = {
    "UPDATE content SET body = body || ' '": "its content is not the one",
    "UPDATE content SET private = 'x'": "its private content is not the one",
    "DELETE FROM content": "its content is missing, and no event says",
    "UPDATE event SET header = replace(encode(header, 'escape'), 'principal-', 'principal-9')::bytea": "tile 0/0",
    "UPDATE event SET type = 'job.cancelled'": "its row says otherwise",
    "UPDATE event SET header = ''": "its header cannot be read",
    "DELETE FROM event": "it is missing",
}


class Server:
    """One that signs, and reads again."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.checkpointing = Checkpointing(ledger, Witness(folder), ring())
        self.rereading = Rereading(ledger, self.checkpointing)


@pytest.fixture
async def server(ledger: Ledger, tmp_path: Path) -> Server:
    await ledger.execute(registration(*(spec() for _ in range(PAST))))
    server = Server(ledger, tmp_path)
    await server.checkpointing._go_round()
    return server


@pytest.mark.parametrize(("alteration", "told"), ALTERATIONS.items())
async def test_a_row_that_was_altered_anywhere_stops_writing_until_it_is_put_back(
    ledger: Ledger, server: Server, database_url: str, alteration: str, told: str
) -> None:
    position = PAST // 2
    async with session(database_url) as owner:
        await owner.execute(f"{KEPT} WHERE org = '{ORG}' AND position = {position}")
        await owner.execute(f"{alteration} WHERE org = '{ORG}' AND position = {position}")
        try:
            await server.rereading.look()

            what = server.checkpointing.altered[ORG]
            assert told in what
            assert "tile" in told or what.startswith(f"position {position}: ")
            assert "1 org is not the one that was shown" in (server.checkpointing.trouble() or "")
            with pytest.raises(HistoryDiffersError):
                await register(ledger)
            # What the witness has seen still stands; that does not let it be written.
            await server.checkpointing._go_round()
            with pytest.raises(HistoryDiffersError):
                await register(ledger)
        finally:
            for table in ("event", "content"):
                await owner.execute(f"DELETE FROM {table} WHERE org = '{ORG}' AND position = {position}")
            members = "org, position, stream, version, type, recorded_at, header"
            await owner.execute(f"INSERT INTO event ({members}) SELECT {members} FROM kept")
            await owner.execute(
                "INSERT INTO content (org, position, body, private) SELECT org, position, body, private FROM kept"
            )
    await server.rereading.look()
    assert server.checkpointing.trouble() is None
    await register(ledger)


async def test_a_tile_that_was_altered_is_found(ledger: Ledger, server: Server, database_url: str) -> None:
    async with session(database_url) as owner:
        flip = "UPDATE tile SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) WHERE org = $1"
        await owner.execute(flip, ORG)
        try:
            assert "tile 0/0" in (await Reread(ledger.database).fault(ORG) or "")
        finally:
            await owner.execute(flip, ORG)
    assert await Reread(ledger.database).fault(ORG) is None


async def test_what_events_removed_is_no_alteration(ledger: Ledger, server: Server, tmp_path: Path) -> None:
    """But where it went without one it is, also of a job of which only what is private was erased."""
    located, whole = await ended(ledger, 2, is_located=True)
    await archived(ledger, tmp_path / "data", purge=True, job_type="Other")
    for job_id, scope in ((located, PRIVATE), (whole, ALL)):
        await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope=scope, reason="asked for"))
    await server.checkpointing._go_round()

    await server.rereading.look()

    assert not server.checkpointing.altered


async def test_the_contents_of_a_job_erased_in_private_are_still_looked_for(
    ledger: Ledger, server: Server, database_url: str
) -> None:
    [job_id] = await ended(ledger, is_located=True)
    await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope=PRIVATE, reason="asked for"))
    await server.checkpointing._go_round()
    async with session(database_url) as owner:
        where = "FROM content WHERE org = $1 AND position = (SELECT min(position) FROM event WHERE org = $1 AND stream = $2)"
        [kept] = await owner.fetch(f"SELECT position, body {where}", ORG, f"job-{job_id}")
        await owner.execute(f"DELETE {where}", ORG, f"job-{job_id}")
        try:
            assert await Reread(ledger.database).fault(ORG) == (
                f"position {kept['position']}: its content is missing, and no event says that it was removed"
            )
        finally:
            await owner.execute("INSERT INTO content (org, position, body) VALUES ($1, $2, $3)", ORG, *kept)


async def test_recovering_goes_on_from_what_was_altered_and_watches_what_follows(
    ledger: Ledger, server: Server, database_url: str
) -> None:
    async with session(database_url) as owner:
        was = await owner.fetchval("SELECT body FROM content WHERE org = $1 AND position = 5", ORG)
        await owner.execute("UPDATE content SET body = body || ' ' WHERE org = $1 AND position = 5", ORG)
        try:
            await server.rereading.look()
            assert ORG in server.checkpointing.altered

            newest = await server.checkpointing.store.newest(ORG)
            assert newest is not None
            async with serving(database_url) as another:
                fork = RecordFork(
                    caller=ledger_itself(ORG), fork=2, note=newest.note.decode(), reason="no copy is left"
                )
                await another.execute(fork)
            for _ in range(2):
                await server.rereading.look()
                await server.checkpointing._go_round()

            assert not server.checkpointing.altered
            await register(ledger)
            await server.checkpointing._go_round()
            follows = (await ledger.recorder.head(ORG)).size - 1
            alter = "UPDATE content SET body = $2 WHERE org = $1 AND position = $3"
            then = await owner.fetchval("SELECT body FROM content WHERE org = $1 AND position = $2", ORG, follows)
            await owner.execute(alter, ORG, b"{}", follows)
            await server.rereading.look()
            await owner.execute(alter, ORG, then, follows)
            assert f"position {follows}: " in server.checkpointing.altered[ORG]
        finally:
            await owner.execute("UPDATE content SET body = $2 WHERE org = $1 AND position = 5", ORG, was)


async def test_a_start_waits_for_the_first_look_but_not_long(
    ledger: Ledger, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small ledger is read whole before anything is written; a large one is read on beside it."""
    looked, may_end = asyncio.Event(), asyncio.Event()
    fault = Reread.fault

    async def slow(*arguments: object) -> str | None:
        looked.set()
        await may_end.wait()
        return await fault(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Reread, "fault", slow)
    monkeypatch.setattr(module, "AT_START_S", 0.05)
    await server.rereading.start()
    try:
        assert looked.is_set()
        assert not server.rereading._had_round.is_set()
        may_end.set()
        async with asyncio.timeout(10):
            await server.rereading._had_round.wait()
    finally:
        await server.rereading.stop()
