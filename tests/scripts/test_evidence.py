"""Signing while it serves, ``jobledger verify``, ``recover`` and ``key``, with a real server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from jobledger.ledger.evidence.checkpoint import Checkpoint, sign_checkpoint
from jobledger.ledger.evidence.keys import read_signing_keys
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
    [_old, key] = read_signing_keys((place.data / "signing-key").read_text())
    assert str(key.named(kept.origin)) in place.succeed("key", "show")
    assert "nothing to recover from" in place.fail("recover", "--org", "default", "--reason", "none")

    # What the witness would have seen of a database of which an older backup was put back.
    Witness(place.data / "witness").append("default", sign_checkpoint(kept.origin, 9, b"r" * 32, key))
    assert "4 events are missing, from position 5 on" in place.run("verify").stdout
    with place.serving() as server:
        assert post(server) == (503, "history_differs")
        assert server.ask("GET", "/default/jobs/1")[0] == 200
        place.succeed("recover", "--org", "default", "--reason", "an older backup")
        until(lambda: post(server)[0] == 201)
        until(lambda: newest(place).origin == f"{kept.origin}/2")
    assert "default: nothing differs" in place.succeed("verify")


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
