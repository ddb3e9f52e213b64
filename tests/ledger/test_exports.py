"""Exports: every header of a range, the contents of what was selected, and enough to check both without the server."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobledger.ledger.domain.job_removal import ALL, EraseJob
from jobledger.ledger.evidence.checkpoint import sign_checkpoint
from jobledger.ledger.evidence.note import SigningKey
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.exporting import zipped
from jobledger.ledger.work.exporting.zipped import unpack
from jobledger.scripts import verify
from tests.ledger.archived import archived, ended
from tests.ledger.archived import file_of as archive_file_of
from tests.ledger.exported import VERIFIER, export_of, exported, exporter, read, request, signed_until_over, verified
from tests.signing import KEY, sign
from tests.world import ALICE, ORG


async def test_an_export_holds_every_event_as_it_is_stored_and_verifies(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Headers and contents are the stored bytes; any zip program reads it."""
    await ended(ledger, 3, is_located=True)

    path = await exported(ledger, tmp_path)

    stored = [it async for it in ledger.recorder.scan(ORG)]
    manifest = json.loads(read(path, "manifest.json"))
    stored = stored[: manifest["to"]]
    assert read(path, "headers.ndjson") == b"".join(it.header + b"\n" for it in stored)
    lines = b"".join(b'{"position":%d,"content":%b}\n' % (it.position, it.content or b"null") for it in stored)
    assert read(path, "contents.ndjson") == lines
    with zipfile.ZipFile(path) as zipped:
        assert zipped.testzip() is None
    assert verified(path) == 0, capsys.readouterr().out
    folder = tmp_path / "unpacked"
    unpack(path, folder)
    assert verified(folder) == 0


async def test_without_the_key_nothing_differs_and_the_signer_is_said_to_be_unknown(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key in the export proves nothing about who made it."""
    await ended(ledger)
    path = await exported(ledger, tmp_path)

    assert verify.main([str(path)]) == 1

    assert "consistent; signer not checked" in capsys.readouterr().out


async def test_two_exports_of_the_same_selection_under_the_same_checkpoint_are_byte_identical(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Whoever asks, whenever, in whatever order, and whether or not what they hold was archived and purged meanwhile."""
    jobs = await ended(ledger, 3, is_located=True, type="Backup")
    await ended(ledger, 2, type="ETL")
    size = (await sign(ledger)).size
    asked = {"checkpoint": size, "type": "Backup", "private": True, "render": "csv"}

    first = await exported(ledger, tmp_path, **asked)
    await archived(ledger, tmp_path, purge=True, reason="space")
    second = await exported(ledger, tmp_path, **asked)

    assert first.read_bytes() == second.read_bytes()
    assert verified(second) == 0
    counts = json.loads(read(second, "manifest.json"))["counts"]
    assert (counts["headers"], counts["removed"], counts["private"]) == (size, 0, len(jobs))


@pytest.mark.parametrize(("begin", "end"), [(0, 5), (3, 9), (7, 8), (4, 4), (9, None)])
async def test_any_range_of_positions_is_proved(
    ledger: Ledger, tmp_path: Path, begin: int, end: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """The roots before and behind it join its leaves to the checkpoint."""
    await ended(ledger, 4)

    path = await exported(ledger, tmp_path, from_position=begin, to_position=end)

    assert verified(path) == 0, capsys.readouterr().out


async def test_a_selection_is_complete_or_found_to_be_not(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of each job selected every event is there, of no other any content."""
    jobs = await ended(ledger, 4)

    path = await exported(ledger, tmp_path, job_ids=[jobs[2], jobs[0]])

    assert verified(path) == 0, capsys.readouterr().out
    headers = [json.loads(it) for it in read(path, "headers.ndjson").splitlines()]
    given = {json.loads(it)["position"] for it in read(path, "contents.ndjson").splitlines()}
    streams = {f"job-{jobs[0]}", f"job-{jobs[2]}"}
    assert given == {it["position"] for it in headers if it["stream"] in streams}


async def test_what_was_erased_is_gone_from_exports_though_an_archive_holds_it_and_it_is_proved_why(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the erasure lies behind the range."""
    jobs = await ended(ledger, 2, is_located=True)
    await archived(ledger, tmp_path, purge=True, reason="space")
    await ledger.execute(EraseJob(caller=ALICE, job_id=jobs[0], scope="all", reason="asked for"))
    registered = [it async for it in ledger.recorder.scan(ORG) if it.envelope()["stream"] == f"job-{jobs[0]}"]

    path = await exported(ledger, tmp_path, to_position=registered[1].position + 1, private=True)

    assert json.loads(read(path, "manifest.json"))["counts"]["removed"] == 2
    assert verified(path) == 0, capsys.readouterr().out


async def test_an_export_continues_the_checkpoints_that_were_kept(ledger: Ledger, tmp_path: Path) -> None:
    """Any older one of the same history; none of another tree."""
    kept = []
    for number in range(3):
        await ended(ledger)
        kept.append(tmp_path / f"checkpoint-{number}")
        kept[-1].write_bytes((await sign(ledger)).note)

    path = await exported(ledger, tmp_path)

    assert verified(path, *(it for name in kept for it in ("--seen", str(name)))) == 0
    kept[1].write_bytes(kept[1].read_bytes().replace(b"/acme\n", b"/acme\n1", 1))
    assert verified(path, "--seen", str(kept[1])) == 1


@pytest.mark.slow
async def test_an_export_of_what_came_since_continues_the_checkpoint_that_was_kept(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins where that one ended, or before; one that begins later, or is of an older checkpoint, says what to take."""
    await ended(ledger)
    kept = tmp_path / "kept"
    size = (await sign(ledger)).size
    kept.write_bytes((checkpoint := await sign(ledger)).note)
    assert checkpoint.size == size
    await ended(ledger)
    await sign(ledger)

    for begin in (size - 1, size):
        path = await exported(ledger, tmp_path, from_position=begin)
        assert verified(path, "--seen", str(kept)) == 0, capsys.readouterr().out

    path = await exported(ledger, tmp_path, from_position=size + 1)
    assert verified(path, "--seen", str(kept)) == 1
    told = capsys.readouterr().out
    assert f"take one from position {size}, or before" in told
    assert "nothing differs" in told
    assert "DIFFERS" not in told
    newest = tmp_path / "newest"
    path = await exported(ledger, tmp_path, checkpoint=size)
    newest.write_bytes((await sign(ledger)).note)
    assert verified(path, "--seen", str(newest)) == 1
    told = capsys.readouterr().out
    assert "take a newer export" in told
    assert "DIFFERS" not in told


async def test_what_an_export_does_not_show_is_not_said_to_differ_and_an_empty_range_has_no_header(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All else is checked and told; what was not makes the exit code 1."""
    await ended(ledger)
    kept, before = tmp_path / "kept", tmp_path / "before"
    size = (first := await sign(ledger)).size
    before.write_bytes(first.note)
    await ended(ledger)
    checkpoint = await sign(ledger)
    kept.write_bytes(checkpoint.note)

    path = await exported(ledger, tmp_path, from_position=checkpoint.size, checkpoint=checkpoint.size)

    assert verified(path, "--seen", str(kept)) == 0
    told = capsys.readouterr().out
    assert f"Proved: the range is empty: no header before {checkpoint.size} is in it.\n" in told
    assert verified(path, "--seen", str(kept), "--seen", str(before)) == 1
    told = capsys.readouterr().out
    assert f"Not checked: whether it continues the {size} events of {before}" in told
    assert f"Proved: It continues the history of the checkpoint of {checkpoint.size} events" in told
    assert "nothing differs" in told
    assert "DIFFERS" not in told


async def test_of_several_keys_each_says_what_it_signed(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a change of the key: a checkpoint that was kept may be signed by the one before, or by the one now."""
    await ended(ledger)
    kept, old = tmp_path / "kept", tmp_path / "old"
    checkpoint = await sign(ledger)
    kept.write_bytes(checkpoint.note)
    before = SigningKey(b"b" * 32)
    old.write_bytes(sign_checkpoint(checkpoint.origin, checkpoint.size, checkpoint.root, before).note)
    path = await exported(ledger, tmp_path)
    keys = [before.named(checkpoint.origin), KEY.named(checkpoint.origin)]
    both = f"from position 0: {keys[0]}\nfrom position 3: {keys[1]}\n"
    (tmp_path / "keys").write_text(both)

    for given in (both, str(tmp_path / "keys")):
        assert verify.main([str(path), "--key", given, "--seen", str(kept), "--seen", str(old)]) == 0
    assert verified(path, "--seen", str(old)) == 1
    assert f"{old}: the signature of {keys[1]} is missing, or false" in capsys.readouterr().out


async def test_an_archive_verifies_by_its_manifest_and_by_an_export_that_covers_it(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without either it is said that who made it was not checked."""
    await ended(ledger, 3, is_located=True)
    archive = await archived(ledger, tmp_path)
    path = await exported(ledger, tmp_path)
    file = str(archive_file_of(tmp_path))

    assert verify.main([file]) == 1
    known = [file, "--manifest-sha256", archive.manifest_sha256 or ""]
    capsys.readouterr()
    assert verify.main(known) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{file}: nothing differs in ")
    assert told[1] == (
        f"Proved: the files are those of the manifest of SHA-256 {archive.manifest_sha256}, "
        "each content is the one of its header."
    )
    assert told[2].startswith("Not proved: that anybody signed its headers")
    key = read(path, "key").decode().strip()
    assert verify.main([file, "--export", str(path), "--key", key]) == 0, capsys.readouterr().out
    late = await exported(ledger, tmp_path, from_position=2, checkpoint=(await sign(ledger)).size)
    assert verify.main([*known, "--export", str(late), "--key", key]) == 1
    for suffix in (".private.ndjson.gz", ".ndjson.gz"):
        gone = Path(file.replace(".ndjson.gz", suffix))
        gone.rename(tmp_path / "aside")
        capsys.readouterr()
        assert verify.main(known) == 1
        assert f"DIFFERS. {gone}: it is missing, or the manifest does not name it" in capsys.readouterr().out
        (tmp_path / "aside").rename(gone)


async def test_an_export_that_fails_leaves_no_file(ledger: Ledger, tmp_path: Path) -> None:
    """Complete, or absent; the job says why."""
    await ended(ledger)

    async with exporter(ledger, tmp_path):
        export_id = await request(ledger, checkpoint=2_000_000)
        job = await signed_until_over(ledger, export_id)

    assert job.reason == "There is no checkpoint of 2000000 events."
    assert (await export_of(ledger, export_id)).written is None
    assert not list(tmp_path.rglob("*.zip")) + list(tmp_path.rglob("*.part"))


async def test_what_was_removed_after_the_checkpoint_is_not_said_to_be_gone(ledger: Ledger, tmp_path: Path) -> None:
    """No event under it says so: nobody could tell that from contents left out."""
    first, *_ = await ended(ledger)
    size = (await sign(ledger)).size
    await ledger.execute(EraseJob(caller=ALICE, job_id=first, scope=ALL, reason="asked for"))
    await sign(ledger)

    async with exporter(ledger, tmp_path):
        export_id = await request(ledger, checkpoint=size)
        job = await signed_until_over(ledger, export_id)

    assert (
        job.reason == f"Contents of job-{first} were removed after the checkpoint of {size} events: take a newer one."
    )
    assert not list(tmp_path.rglob("*.zip"))
    assert verified(await exported(ledger, tmp_path)) == 0


def test_the_verifier_is_one_file_for_old_pythons_and_of_the_standard_library_alone() -> None:
    """Whoever has Python 3.9 can run it; nothing newer in it, nothing to install."""
    tree = ast.parse(VERIFIER.read_bytes(), feature_version=(3, 9))

    imported = {alias.name for it in ast.walk(tree) if isinstance(it, ast.Import) for alias in it.names}
    imported |= {it.module or "" for it in ast.walk(tree) if isinstance(it, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names
    assert VERIFIER.read_bytes().count(b"\n") <= 600
    newer = {"strict"} & {it.arg for it in ast.walk(tree) if isinstance(it, ast.keyword)}
    assert not newer


@pytest.mark.parametrize("public", ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"])
def test_the_verifiers_ed25519_is_that_of_the_rfc(public: str) -> None:
    """RFC 8032, 7.1, test 1; and no signature of another text, or one that is written otherwise."""
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b"
    )
    key = bytes.fromhex(public)

    assert verify.has_signed(key, b"", signature)
    assert not verify.has_signed(key, b"x", signature)
    malleable = (int.from_bytes(signature[32:], "little") + verify.ORDER).to_bytes(32, "little")
    assert not verify.has_signed(key, b"", signature[:32] + malleable)


def test_a_zip_has_one_form_whatever_its_size(tmp_path: Path) -> None:
    """Its sizes are written as those of many gigabytes; any zip program reads them, and the verifier knows them to be so."""
    contents = {"a": b"x" * 50, "b": b"", "c": b"z" * 20_000}
    entries = []
    for name, content in contents.items():
        entry = zipped.Entry(name, tmp_path / name, zipped.DEFLATED if name == "c" else zipped.STORED)
        entry.write(content)
        entry.finish()
        entries.append(entry)

    zipped.write_zip(tmp_path / "made.zip", entries)

    with ExitStack() as files:
        opened, packed = verify.opened_zip(str(tmp_path / "made.zip"), files)
        assert {name: opened(name).read() for name in packed} == contents
    assert subprocess.run(["unzip", "-tqq", tmp_path / "made.zip"], check=False).returncode == 0
