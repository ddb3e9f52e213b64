"""Verifying a whole ledger: whatever was altered is found, and its place is named."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from jobledger.ledger.domain.evidence import ChangeSigningKey, RecordFork
from jobledger.ledger.domain.job_removal import EraseJob
from jobledger.ledger.domain.job_workflow_commands import AddAttachment, RemoveAttachment
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.evidence.checkpoint import Checkpoint, origin_of, read_checkpoint, sign_checkpoint
from jobledger.ledger.evidence.note import SigningKey
from jobledger.ledger.evidence.signed import DiffersError, kept_until
from jobledger.ledger.evidence.standing import verify_tree
from jobledger.ledger.evidence.verifying import Verification, Verified
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.store.attachments import AttachmentStore, Upload
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.work.checkpointing import Checkpointing
from jobledger.scripts.signing_key import change_note
from tests.cluster import session
from tests.signing import KEY, ring
from tests.world import ALICE, ORG, fail, register_running, registration, spec

OTHER = SigningKey(b"o" * 32)


@pytest.fixture
def unaudited_url(own_url: str) -> str:
    """A database of the test's own: what must never happen is done to it."""
    return own_url


@pytest.fixture
def database_url(unaudited_url: str) -> str:
    """Not audited: the audit would find it, too."""
    return unaudited_url


@pytest.fixture
async def signer(ledger: Ledger, tmp_path: Path) -> Checkpointing:
    """Three checkpoints of 603 events: over two full tiles."""
    signer = Checkpointing(ledger, Witness(tmp_path), ring(KEY, OTHER, KEY))
    job_id = await register_running(ledger)
    for count in (300, 300):
        await signer.sign(ORG)
        await ledger.execute(registration(*(spec() for _ in range(count))))
    await ledger.execute(fail(job_id, error="no"))
    await signer.sign(ORG)
    return signer


async def verified(signer: Checkpointing, *kept: Checkpoint) -> Verified:
    return await Verification(signer._ledger.database, ORG, signer.witness, kept).verify()


async def test_nothing_differs_in_what_nobody_altered(signer: Checkpointing) -> None:
    newest = await signer.store.newest(ORG)
    assert newest is not None

    found = await verified(signer, newest)

    assert (found.size, found.tiles, found.checkpoints, found.witnessed) == (newest.size, 2, 3, 3)
    assert (found.contents, found.removed) == (newest.size, 0)


ALTERATIONS = {
    "a header": ("UPDATE event SET header = header || ' ' WHERE position = 7", "position 7: the tree that was built"),
    "a header of the newest": (
        "UPDATE event SET header = header || ' ' WHERE position = 600",
        "checkpoint of 604: it was signed of 604 other events",
    ),
    "a content": ("UPDATE content SET body = body || ' ' WHERE position = 300", "position 300: its content is not"),
    "a content that is gone": ("DELETE FROM content WHERE position = 300", "position 300: its content is missing"),
    "a row": ("UPDATE event SET type = 'job.failed' WHERE position = 9", "position 9: its row says otherwise"),
    "a row that is gone": ("DELETE FROM event WHERE position = 5", "position 5: it is missing"),
    "the last rows": ("DELETE FROM event WHERE position > 600", "position 601: it is missing"),
    "rows and head": (
        "DELETE FROM event WHERE position > 600; UPDATE ledger_head SET size = 601",
        "checkpoint of 604: 3 events are missing, from position 601 on",
    ),
    "a tile": (
        "UPDATE tile SET hashes = overlay(hashes placing '\\x00'::bytea from 100) WHERE number = 1",
        "tile 0/1: it is not the one that the events make",
    ),
    "a tile that is gone": ("DELETE FROM tile WHERE number = 1", "tile 0/1"),
    "a checkpoint's root": ("UPDATE checkpoint SET root = sha256('') WHERE size = 604", "checkpoint of 604: its row says"),
    "a checkpoint's note": (
        "UPDATE checkpoint SET note = overlay(note placing 'x'::bytea from 200) WHERE size = 604", "checkpoint of 604: It",
    ),
    "the head": ("UPDATE ledger_head SET last_leaf = sha256('')", "it is not the one that the head names"),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERATIONS)
async def test_whatever_was_altered_is_found_and_named(signer: Checkpointing, database_url: str, what: str) -> None:
    sql, told = ALTERATIONS[what]
    async with session(database_url) as owner:
        await owner.execute(sql)

    with pytest.raises(DiffersError, match=re.escape(told)):
        await verified(signer)


async def test_what_was_forged_with_all_its_hashes_is_found_by_the_witness(
    signer: Checkpointing, database_url: str
) -> None:
    """A superuser who removes the newest events, head, tiles and checkpoints: the witness, or a checkpoint kept, remains."""
    newest = await signer.store.newest(ORG)
    assert newest is not None
    async with session(database_url) as owner:
        leaf = await owner.fetchval(r"SELECT sha256('\x00'::bytea || header) FROM event WHERE position = 599")
        await owner.execute("DELETE FROM event WHERE position >= 600; DELETE FROM checkpoint WHERE size > 600")
        await owner.execute("UPDATE ledger_head SET size = 600, last_leaf = $1", leaf)

    with pytest.raises(DiffersError, match="witness, checkpoint of 604: 4 events are missing"):
        await verified(signer)
    alone = Verification(signer._ledger.database, ORG, None, [newest])
    with pytest.raises(DiffersError, match="the checkpoint given, of 604"):
        await alone.verify()
    assert (await Verification(signer._ledger.database, ORG).verify()).size == 600


@pytest.mark.parametrize(("position", "told"), [(300, "Position 300"), (600, "The first 604 events")])
async def test_maintenance_holds_the_newest_against_the_tree(
    signer: Checkpointing, database_url: str, position: int, told: str
) -> None:
    """A header that was altered in a full tile is named, one of the newest told by the checkpoint."""
    await verify_tree(signer.store, ORG, 100, 604)
    async with session(database_url) as owner:
        await owner.execute("UPDATE event SET header = header || ' ' WHERE position = $1", position)

    with pytest.raises(CorruptLedgerError, match=told):
        await verify_tree(signer.store, ORG, 100, 604)


async def test_a_checkpoint_of_another_ledger_is_not_this_ones(signer: Checkpointing) -> None:
    for origin in ("elsewhere/acme", origin_of(await signer.store.installation(), ORG, 2)):
        with pytest.raises(DiffersError, match=origin):
            await verified(signer, sign_checkpoint(origin, 1, b"r" * 32, KEY))


async def test_contents_that_an_event_removed_are_not_missed(signer: Checkpointing, ledger: Ledger) -> None:
    await ledger.execute(EraseJob(caller=ALICE, job_id=1, scope="all", reason="asked for"))
    await signer.sign(ORG)

    found = await verified(signer)

    assert found.removed == 3


async def test_a_changed_key_is_followed_and_another_is_not(
    signer: Checkpointing, ledger: Ledger, tmp_path: Path
) -> None:
    origin = origin_of(await signer.store.installation(), ORG, 1)
    change = {"before": None, "public_key": OTHER.public.hex()}
    caller = ledger_itself(ORG)
    note = change_note(origin, KEY, OTHER).decode()
    await ledger.execute(ChangeSigningKey(caller=caller, note=note, **change))  # type: ignore[arg-type]  # as they are

    await signer.sign(ORG)

    newest = await signer.store.newest(ORG)
    assert newest is not None
    newest.signed.must_be_signed_by(OTHER.named(origin))
    assert await signer.store.verifier_key(ORG) == OTHER.named(origin)
    await verified(signer)
    turns = [(0, KEY.named(origin)), (newest.size - 1, OTHER.named(origin))]
    assert await signer.store.verifier_keys(ORG) == turns
    # Who has the old key alone cannot go on.
    await ledger.execute(registration())
    async with session(signer._ledger.database.url) as owner:
        size = (await ledger.recorder.head(ORG)).size
        wrong = sign_checkpoint(origin, size, await signer.store.root(ORG, 1, size), KEY)
        await owner.execute(
            "INSERT INTO checkpoint (org, fork, size, root, note, public_key) VALUES ($1, 1, $2, $3, $4, $5)",
            ORG, size, wrong.root, wrong.note, KEY.public,
        )  # fmt: skip
    with pytest.raises(DiffersError, match=f"checkpoint of {size}: it is signed by another key"):
        await verified(signer)


async def test_an_attachment_that_was_altered_is_named(signer: Checkpointing, database_url: str) -> None:
    attached: dict[str, Any] = {}
    store = AttachmentStore(signer._ledger.database)
    upload = Upload(ORG)
    await store.add(upload, b"a plan")
    await store.finish(upload)
    attached[str(upload.id)] = upload.sha256
    async with session(database_url) as owner:
        await owner.execute(
            "INSERT INTO attachment (org, id, job_id, size_bytes, chunk_count) VALUES ($1, $2, 1, 6, 1)", ORG, upload.id
        )
        verification = Verification(signer._ledger.database, ORG)
        verification._attached = attached
        assert (await verification.verify()).attachments == 1
        await owner.execute("UPDATE attachment_chunk SET body = 'a plot'")

    verification = Verification(signer._ledger.database, ORG)
    verification._attached = attached
    with pytest.raises(DiffersError, match=f"attachment {upload.id}"):
        await verification.verify()


async def attach(ledger: Ledger, job_id: int) -> str:
    """The id of something that is attached to the job."""
    store, upload = AttachmentStore(ledger.database), Upload(ORG)
    await store.add(upload, b"a plan")
    await store.finish(upload)
    members: dict[str, Any] = {"size_bytes": 6, "chunk_count": 1, "sha256": upload.sha256, "name": "plan.txt"}
    await ledger.execute(AddAttachment(caller=ALICE, job_id=job_id, attachment_id=str(upload.id), **members))
    return str(upload.id)


async def test_an_attachment_that_is_gone_is_missed_unless_an_event_removed_it(
    signer: Checkpointing, ledger: Ledger, database_url: str
) -> None:
    """By itself, or with all that was attached to its job."""
    ids = [await attach(ledger, 1) for _ in range(3)]
    assert (await verified(signer)).attachments == 3

    await ledger.execute(RemoveAttachment(caller=ALICE, job_id=1, attachment_id=ids[0], reason="not needed"))
    assert (await verified(signer)).attachments == 2
    async with session(database_url) as owner:
        await owner.execute("DELETE FROM attachment WHERE id = $1", UUID(ids[1]))
    with pytest.raises(DiffersError, match=f"attachment {ids[1]}: it is missing"):
        await verified(signer)
    await ledger.execute(EraseJob(caller=ALICE, job_id=1, scope="all", reason="asked for"))
    assert (await verified(signer)).attachments == 0


async def test_checkpoints_of_a_history_that_was_left_are_what_was_signed(
    signer: Checkpointing, ledger: Ledger, database_url: str
) -> None:
    """They need not fit what there is now, and are not altered."""
    newest = await signer.store.newest(ORG)
    assert newest is not None
    note = newest.note.decode()
    await ledger.execute(RecordFork(caller=ledger_itself(ORG), fork=2, reason="tried", note=note))
    await signer.sign(ORG)
    again = await signer.store.newest(ORG)
    assert again is not None
    turns = [(0, KEY.named(newest.origin)), (again.size - 1, KEY.named(f"{newest.origin}/2"))]
    assert await signer.store.verifier_keys(ORG) == turns
    assert (await verified(signer)).checkpoints == 4
    async with session(database_url) as owner:
        await owner.execute("UPDATE checkpoint SET root = sha256('') WHERE fork = 1 AND size = 604")

    with pytest.raises(DiffersError, match="checkpoint of 604 of the history 1: its row says otherwise"):
        await verified(signer)


async def test_a_fork_gives_up_what_was_altered_and_nothing_before(
    signer: Checkpointing, ledger: Ledger, database_url: str
) -> None:
    """Up to where what was signed held when it was recorded, it has to hold for ever; the rest no checkpoint stands by."""
    first, second, newest = list(signer.witness.every(ORG))
    await forge(database_url, 400)
    kept = await kept_until(ledger.database, ORG, signer.witness.every(ORG))
    assert kept == second.size
    fork = RecordFork(caller=ledger_itself(ORG), fork=2, reason="tried", note=newest.note.decode(), kept=kept)
    await ledger.execute(fork)
    await signer.sign(ORG)

    found = await verified(signer, first, second)

    assert found.noted == [
        f"its history 2 began at position {newest.size}, as was said: tried. Of what was signed before it goes on from the"
        f" first {kept} events; what was signed of more is given up"
    ]
    with pytest.raises(
        DiffersError, match=f"the checkpoint given, of {newest.size}: the ledger is not its continuation"
    ):
        await verified(signer, newest)
    await forge(database_url, 100)
    with pytest.raises(DiffersError, match="position 100: the tree"):
        await verified(signer)


async def test_a_fork_that_says_it_kept_what_was_altered_is_found_out(
    signer: Checkpointing, ledger: Ledger, database_url: str
) -> None:
    newest = await signer.store.newest(ORG)
    assert newest is not None
    await forge(database_url, 400)
    note, kept = newest.note.decode(), newest.size
    await ledger.execute(RecordFork(caller=ledger_itself(ORG), fork=2, reason="tried", note=note, kept=kept))
    await signer.sign(ORG)

    with pytest.raises(
        DiffersError, match=f"checkpoint of {kept} of the history 1: it was signed of {kept} other events"
    ):
        await verified(signer)


async def test_a_second_fork_keeps_what_the_first_did(signer: Checkpointing, ledger: Ledger, database_url: str) -> None:
    """What the first gave up is not asked for again, and what holds of both holds."""
    _, second, newest = list(signer.witness.every(ORG))
    await forge(database_url, 400)
    for number in (2, 3):
        kept = await kept_until(ledger.database, ORG, signer.witness.every(ORG))
        note = newest.note.decode()
        await ledger.execute(RecordFork(caller=ledger_itself(ORG), fork=number, reason="t", note=note, kept=kept))
        await signer.sign(ORG)
        assert kept == (second.size if number == 2 else newest.size + 1)
        await verified(signer, second)
        with pytest.raises(DiffersError, match="not its continuation"):
            await verified(signer, newest)


async def test_what_only_one_of_store_and_witness_has_is_told(signer: Checkpointing, database_url: str) -> None:
    """A crash may leave a checkpoint with the witness alone, and the witness may be another folder: neither is a fault."""
    sizes = [it.size for it in signer.witness.every(ORG)]
    async with session(database_url) as owner:
        await owner.execute("DELETE FROM checkpoint WHERE size = $1", sizes[1])

    assert (await verified(signer)).noted == [f"the store lacks the checkpoint of {sizes[1]} that the witness has"]

    [file] = (signer.witness.folder / ORG).iterdir()
    file.write_bytes(file.read_bytes().replace(b"\n%d\n" % sizes[0], b"\nx\n", 1))
    assert (await verified(signer)).noted[1:] == [
        f"the witness lacks the checkpoint of {sizes[0]} that the store has: is it another folder?"
    ]


async def test_who_alters_the_witness_is_told_of_that(signer: Checkpointing) -> None:
    newest = await signer.store.newest(ORG)
    assert newest is not None
    root = base64.b64encode(newest.root)
    [file] = (signer.witness.folder / ORG).iterdir()
    file.write_bytes(file.read_bytes().replace(root, base64.b64encode(b"r" * 32)))

    with pytest.raises(DiffersError, match=f"witness, checkpoint of {newest.size}: its signature is false"):
        await verified(signer)

    file.unlink()
    forged = read_checkpoint(newest.note.replace(root, base64.b64encode(b"r" * 32)))
    with pytest.raises(DiffersError, match=r"the checkpoint given, .*: its signature is false"):
        await verified(signer, forged)


async def forge(url: str, position: int) -> None:
    """Alter an event with all its hashes in its rows."""
    async with session(url) as owner:
        header, body = await owner.fetchrow(
            "SELECT header, body FROM event JOIN content USING (org, position) WHERE org = $1 AND position = $2",
            ORG,
            position,
        )
        forged = body.replace(b"nightly", b"NIGHTLY").replace(b'"data"', b'"datA"')
        named = (sha256(it).hexdigest().encode() for it in (body, forged))
        await owner.execute("UPDATE content SET body = $1 WHERE position = $2", forged, position)
        await owner.execute("UPDATE event SET header = $1 WHERE position = $2", header.replace(*named), position)
