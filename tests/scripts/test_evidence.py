"""Signing while it serves, ``jobledger verify``, ``recover`` and ``key``, with a real server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep

import pytest

from jobledger.ledger.evidence.checkpoint import Checkpoint, sign_checkpoint
from jobledger.ledger.evidence.keys import read_signing_keys
from jobledger.ledger.evidence.note import NoteError, VerifierKey, read_note, read_verifier_key
from jobledger.ledger.evidence.signed import must_be_change
from jobledger.ledger.evidence.witness import Witness
from jobledger.scripts.evidence_place import EvidencePlace
from jobledger.scripts.failure import FailedError
from tests.scripts.place import Place, Server

JOB = {"type": "copy", "name": "nightly"}


def until(holds: Callable[[], bool]) -> None:
    """Wait until it does."""
    deadline = monotonic() + 30
    while not holds():
        assert monotonic() < deadline
        sleep(0.1)


def newest(place: Place) -> Checkpoint:
    found = Witness(place.data / "witness").newest("default")
    assert found is not None
    return found


@pytest.mark.slow
def test_a_server_signs_and_a_ledger_that_went_back_is_recovered(place: Place) -> None:
    def post(server: Server) -> tuple[int, str]:
        status, document = server.ask("POST", "/default/jobs", JOB)
        return status, str(document.get("code"))

    with place.serving() as server:
        assert post(server)[0] == 201
        until(lambda: newest(place).size == 4)
        place.succeed("key", "rotate")
        until(lambda: newest(place).size == 5)
    assert "default: nothing differs in 5 events" in place.succeed("verify")
    kept = newest(place)
    (place.data / "kept").write_bytes(kept.note)
    [old, key] = read_signing_keys((place.data / "signing-key").read_text())
    assert str(key.named(kept.origin)) in place.succeed("key", "show")
    turns = [f"from position {at}: {it.named(kept.origin)}" for at, it in ((0, old), (4, key))]
    assert place.succeed("key", "show", "--all", "--org", "default").splitlines() == turns
    assert "nothing to recover from" in place.fail("recover", "--org", "default", "--reason", "none")

    # What the witness would have seen of a database of which an older backup was put back.
    Witness(place.data / "witness").append("default", sign_checkpoint(kept.origin, 9, b"r" * 32, key))
    assert "4 events are missing, from position 5 on" in place.run("verify").stdout
    with place.serving() as server:
        assert post(server) == (503, "history_differs")
        assert server.ask("GET", "/default/jobs/1")[0] == 200
        said = place.succeed("recover", "--org", "default", "--reason", "an older backup")
        assert "of what was signed before it goes on from the first 5 events" in said
        until(lambda: post(server)[0] == 201)
        until(lambda: newest(place).origin == f"{kept.origin}/2")
    said = place.succeed("verify", "--org", "default", "--checkpoint", str(place.data / "kept"))
    assert "default: nothing differs" in said
    assert (
        "its history 2 began at position 5, as was said: an older backup. Of what was signed before it goes on from"
        in said
    )


@pytest.mark.slow
def test_keys_change_while_two_workers_write(place: Place) -> None:
    """Each checkpoint is signed by the key whose turn it is, whoever signs it; the event of each change by both."""
    stopped = threading.Event()

    def write(server: Server) -> None:
        while not stopped.is_set():
            assert server.ask("POST", "/default/jobs", JOB)[0] == 201

    with place.serving("--workers", "2") as server:
        until(lambda: Witness(place.data / "witness").newest("default") is not None)
        first = newest(place)
        (place.data.parent / "first").write_bytes(first.note)
        writers = [threading.Thread(target=write, args=(server,)) for _ in range(2)]
        for it in writers:
            it.start()
        try:
            for _ in range(2):
                told = place.succeed("key", "rotate").strip()
                until(lambda told=told: signs(read_verifier_key(told), newest(place)))  # type: ignore[misc]
        finally:
            stopped.set()
            for it in writers:
                it.join()
        changes = server.ask("GET", "/default/events?type=org.key_changed")[1]["events"]
        keys = read_signing_keys((place.data / "signing-key").read_text())
        until(lambda: newest(place).size == head_of(server))

    assert (len(keys), len(changes)) == (3, 2)
    for (before, after), change in zip(pairwise(keys), changes, strict=True):
        note = read_note(change["content"]["data"]["note"].encode())
        for key in (before, after):
            note.must_be_signed_by(key.named(first.origin))
        must_be_change(change["content"]["data"]["note"].encode(), after.public)
    turns = [it["header"]["position"] for it in changes]
    every = list(Witness(place.data / "witness").every("default"))
    for checkpoint in every:
        turn = sum(checkpoint.size > it for it in turns)
        assert [signs(key.named(first.origin), checkpoint) for key in keys] == [it == turn for it in range(3)]
    assert {sum(it.size > turn for turn in turns) for it in every} == {0, 1, 2}
    said = place.succeed("verify", "--org", "default", "--checkpoint", place.data.parent / "first")
    assert "nothing differs" in said
    with place.serving("--workers", "2") as server:
        size = server.ask("POST", "/default/jobs", JOB)[1]["position"] + 1
        until(lambda: newest(place).size == size)
        assert signs(keys[-1].named(first.origin), newest(place))


def signs(key: VerifierKey, checkpoint: Checkpoint) -> bool:
    """Whether it signed the checkpoint."""
    try:
        checkpoint.signed.must_be_signed_by(key)
    except NoteError:
        return False
    return True


def head_of(server: Server) -> int:
    """How many events there are."""
    events = server.ask("GET", "/default/events?after=0&limit=1000")[1]["events"]
    return int(events[-1]["header"]["position"]) + 1


def test_a_key_is_added_whole_and_found_by_those_that_run(tmp_path: Path) -> None:
    path = tmp_path / "signing-key"
    path.write_text("a" * 64 + "\n")
    place = EvidencePlace(tmp_path, path)
    running = place.keys()

    added = place.add_key()

    assert path.stat().st_mode & 0o777 == 0o600
    assert running.with_public(added.public) == added
    assert EvidencePlace.read(place.members()) == place
    assert [it.name for it in tmp_path.iterdir()] == ["signing-key"]
    with pytest.raises(FailedError, match="JOBLEDGER_SIGNING_KEY"):
        EvidencePlace(tmp_path, path, "a" * 64).add_key()
    path.write_text("nothing")
    with pytest.raises(FailedError, match="hex digits"):
        place.keys()
