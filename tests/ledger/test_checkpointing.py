"""Checkpoints: what was appended is signed once, kept by the witness, and never contradicted unseen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobledger.ledger.domain.evidence import ChangeSigningKey, RecordFork
from jobledger.ledger.errors import ConflictError, HistoryDiffersError
from jobledger.ledger.evidence import tree
from jobledger.ledger.evidence.checkpoint import origin_of, sign_checkpoint
from jobledger.ledger.evidence.keys import KeyRing
from jobledger.ledger.evidence.note import SigningKey
from jobledger.ledger.evidence.standing import difference
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.store.codec import leaf_of
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.work import checkpointing as module
from jobledger.ledger.work.checkpointing import Checkpointing
from tests.cluster import session
from tests.world import ORG, registration, serving, spec

KEY = SigningKey(b"k" * 32)


@pytest.fixture
def checkpointing(ledger: Ledger, tmp_path: Path) -> Checkpointing:
    """As a server has it; its rounds are gone by the test."""
    return beside(ledger, tmp_path)


def beside(ledger: Ledger, folder: Path) -> Checkpointing:
    """That of another server with the same witness."""
    return Checkpointing(ledger, Witness(folder), KeyRing(lambda: [KEY]))


async def append(ledger: Ledger, count: int) -> None:
    """So many jobs, an event each."""
    await ledger.execute(registration(*(spec() for _ in range(count))))


async def leaves(ledger: Ledger) -> list[bytes]:
    return [leaf_of(it.header) async for it in ledger.recorder.scan(ORG)]


def root_of(leaves: list[bytes]) -> bytes:
    edge = tree.Edge()
    list(edge.add(b"".join(leaves)))
    return edge.root


async def checkpoint_count(database_url: str) -> int:
    async with session(database_url) as owner:
        count: int = await owner.fetchval("SELECT count(*) FROM checkpoint")
        return count


async def test_what_was_appended_is_signed_and_kept_by_the_witness(
    ledger: Ledger, checkpointing: Checkpointing, tmp_path: Path
) -> None:
    await append(ledger, 3)

    await checkpointing._go_round()

    newest = await checkpointing.store.newest(ORG)
    assert newest is not None
    assert newest.origin == origin_of(await checkpointing.store.installation(), ORG, 1)
    newest.signed.must_be_signed_by(KEY.named(newest.origin))
    every = await leaves(ledger)
    assert (len(every), root_of(every)) == (newest.size, newest.root)
    assert newest == Witness(tmp_path).newest(ORG)


async def test_what_is_unchanged_is_not_signed_again(
    ledger: Ledger, checkpointing: Checkpointing, database_url: str, tmp_path: Path
) -> None:
    await append(ledger, 2)

    for _ in range(3):
        await checkpointing._go_round()
    await checkpointing.stop()
    for _ in range(2):
        await beside(ledger, tmp_path)._go_round()

    assert await checkpoint_count(database_url) == 1
    assert len(list(checkpointing.witness.every(ORG))) == 1


@pytest.mark.parametrize("steps", [[255, 1, 1, 700], [1000]])
async def test_whoever_signs_next_grows_the_same_tree(
    ledger: Ledger, checkpointing: Checkpointing, tmp_path: Path, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the edges of tiles, by servers that know nothing of it and by one that goes on."""
    monkeypatch.setattr(module, "LEAVES_A_READ", 300)
    for number, step in enumerate(steps):
        await append(ledger, step)
        signer = checkpointing if number % 2 else beside(ledger, tmp_path)
        await signer._go_round()
        await signer._ledger.database.write(signer._lease.release)
        newest = await signer.store.newest(ORG)
        assert newest is not None
        every = await leaves(ledger)
        assert (len(every), root_of(every)) == (newest.size, newest.root)
    assert newest is not None
    store, size = checkpointing.store, len(every)
    for position in (0, 254, 255, 256, size - 1):
        [proof] = await store.inclusion(ORG, 1, [position], size)
        assert newest.root == tree.root_by_inclusion(every[position], position, size, proof)
    for old in (1, 255, 256, 257, size):
        proof = await store.consistency(ORG, 1, old, size)
        assert tree.is_consistent(old, root_of(every[:old]), size, newest.root, proof)
        assert root_of(every[:old]) == await store.root(ORG, 1, old)


async def test_a_checkpoint_that_the_witness_could_not_keep_is_not_served(
    ledger: Ledger, checkpointing: Checkpointing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is anything lost: it is signed when it can be kept."""
    monkeypatch.setattr(Witness, "append", refuse)
    await checkpointing._go_round()
    assert await checkpointing.store.newest(ORG) is None
    assert "disk" in checkpointing.failing[ORG]

    monkeypatch.undo()
    await checkpointing._go_round()

    assert await checkpointing.store.newest(ORG) == Witness(tmp_path).newest(ORG) is not None
    assert not checkpointing.failing


def refuse(*_arguments: object) -> None:
    raise OSError("no disk")


async def test_one_that_only_the_witness_has_is_no_other_history(
    ledger: Ledger, checkpointing: Checkpointing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server died before the COMMIT."""
    append_to_witness = Witness.append

    def die(self: Witness, *arguments: object) -> None:
        append_to_witness(self, *arguments)  # type: ignore[arg-type]
        raise RuntimeError("dead")

    monkeypatch.setattr(Witness, "append", die)
    await checkpointing._go_round()
    monkeypatch.undo()
    assert await checkpointing.store.newest(ORG) is None
    assert Witness(tmp_path).newest(ORG) is not None

    await append(ledger, 1)
    await checkpointing._go_round()

    assert not checkpointing.differing
    assert len(list(Witness(tmp_path).every(ORG))) == 2
    assert await checkpointing.store.newest(ORG) == Witness(tmp_path).newest(ORG)


async def test_a_ledger_that_is_shorter_than_was_shown_is_not_written(
    ledger: Ledger, checkpointing: Checkpointing, database_url: str
) -> None:
    """A restored backup, a failover that lags: reads go on, writing does not, also not in servers that start."""
    store = checkpointing.store
    origin, size = origin_of(await store.installation(), ORG, 1), (await ledger.recorder.head(ORG)).size
    checkpointing.witness.append(ORG, sign_checkpoint(origin, size + 5, b"r" * 32, KEY))

    await checkpointing.look()

    assert f"{size + 5} events were shown, and the store holds {size}" in checkpointing.differing[ORG]
    with pytest.raises(HistoryDiffersError):
        await append(ledger, 1)
    assert size == (await ledger.recorder.head(ORG)).size
    await checkpointing._go_round()
    assert await store.newest(ORG) is None


async def test_recovering_begins_another_origin_and_lets_it_be_written(
    ledger: Ledger, checkpointing: Checkpointing, database_url: str
) -> None:
    await append(ledger, 300)
    await checkpointing._go_round()
    shown = await checkpointing.store.newest(ORG)
    assert shown is not None
    # Another history of the same size, of which the store knows nothing.
    wrong = sign_checkpoint(shown.origin, shown.size, b"w" * 32, KEY)
    checkpointing.witness.append(ORG, wrong)
    await checkpointing._go_round()
    assert "are not those that were shown" in checkpointing.differing[ORG]

    async with serving(database_url) as another:
        await another.execute(
            RecordFork(caller=ledger_itself(ORG), fork=2, note=wrong.note.decode(), reason="restored from a backup")
        )
    for _ in range(2):
        await checkpointing._go_round()

    await append(ledger, 1)
    await checkpointing._go_round()
    newest = await checkpointing.store.newest(ORG)
    assert newest is not None
    assert newest.origin == f"{shown.origin}/2"
    every = await leaves(ledger)
    assert (len(every), root_of(every)) == (newest.size, newest.root)
    assert newest == checkpointing.witness.newest(ORG)
    assert not checkpointing.differing


async def test_a_row_that_was_altered_among_the_newest_is_noticed(
    ledger: Ledger, checkpointing: Checkpointing, own_connections: None, database_url: str, tmp_path: Path
) -> None:
    await append(ledger, 5)
    await checkpointing._go_round()
    newest = await checkpointing.store.newest(ORG)
    assert newest is not None
    async with session(database_url) as owner:
        was = await owner.fetchval("SELECT header FROM event WHERE org = $1 AND position = 2", ORG)
        await owner.execute("UPDATE event SET header = header || ' ' WHERE org = $1 AND position = 2", ORG)
        try:
            server = beside(ledger, tmp_path)
            await server.look()

            assert "are not those that were shown" in server.differing[ORG]
            assert await difference(EvidenceStore(ledger.database), ledger.recorder, ORG, newest) is not None
        finally:
            await owner.execute("UPDATE event SET header = $2 WHERE org = $1 AND position = 2", ORG, was)
    await server.look()
    assert not server.differing


async def test_several_servers_sign_one_at_a_time(database_url: str, ledger: Ledger, tmp_path: Path) -> None:
    """Even where each believes to have the lease: there is one chain of checkpoints, each the beginning of the next."""
    servers = [beside(ledger, tmp_path) for _ in range(4)]
    for _ in range(6):
        await append(ledger, 90)
        await asyncio.gather(*(it.sign(ORG) for it in servers), return_exceptions=True)
        for it in servers:
            it._growing.clear()
    await servers[0]._go_round()

    every = await leaves(ledger)
    kept = list(Witness(tmp_path).every(ORG))
    assert sorted({it.size for it in kept}) == [it.size for it in kept]
    for one in kept:
        assert root_of(every[: one.size]) == one.root
    assert kept[-1].size == len(every)


async def test_a_witness_file_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    witness = Witness(tmp_path)
    first, second = (sign_checkpoint("i/acme", size, b"r" * 32, KEY) for size in (1, 2))
    witness.append(ORG, first)
    [path] = (tmp_path / ORG).iterdir()
    whole = path.read_bytes()

    for length in range(len(second.note)):
        path.write_bytes(whole + b"\n" + second.note[:length])
        assert Witness(tmp_path).newest(ORG) == first
    path.write_bytes(whole + b"\n" + second.note[:-10])
    Witness(tmp_path).append(ORG, second)

    assert Witness(tmp_path).newest(ORG) == second
    assert path.stat().st_mode & 0o777 == 0o600


async def test_what_an_org_said_of_its_history_and_key_is_known_to_who_loads_it_anew(
    ledger: Ledger, database_url: str
) -> None:
    """Not only to the process that said it."""
    caller = ledger_itself(ORG)
    before = None
    for number in (2, 3):
        async with serving(database_url) as other:
            public = f"{number:064x}"
            await other.execute(ChangeSigningKey(caller=caller, before=before, public_key=public, note="signed"))
            await other.execute(RecordFork(caller=caller, fork=number, note="lost", reason="a test"))
            before = public
    async with serving(database_url) as other:
        with pytest.raises(ConflictError):
            await other.execute(RecordFork(caller=caller, fork=3, note="lost", reason="a test"))
