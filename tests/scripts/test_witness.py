"""``jobledger witness``: a checkpoint is countersigned only if it continues the one before, whoever serves it."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from jobledger.ledger.evidence import tree
from jobledger.ledger.evidence.checkpoint import read_checkpoint, sign_checkpoint
from jobledger.ledger.evidence.cosignature import cosigned_at, read_witness_key
from jobledger.ledger.evidence.note import SigningKey
from jobledger.ledger.evidence.tree import TileAt
from jobledger.scripts.log_source import tile_path
from tests.scripts.place import Place, ReadyProgram, Server, eventually

ORIGIN = "installation/acme"
LOG_KEY = SigningKey(b"l" * 32)
JOB = {"type": "copy", "name": "nightly"}


def leaves(count: int, *, forged: int | None = None) -> list[bytes]:
    return [sha256(b"\0" + (b"forged" if it == forged else str(it).encode())).digest() for it in range(count)]


class Log:
    """A copy of a log's checkpoint and tiles in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def show(self, every: list[bytes], *, key: SigningKey = LOG_KEY, origin: str = ORIGIN) -> None:
        """Grow the log, or make it another."""
        edge = tree.Edge()
        for tile in edge.add(b"".join(every)):
            self._write(TileAt(tile.level, tile.number), tile.hashes)
        for (level, number), hashes in edge.partial.items():
            if hashes:
                self._write(TileAt(level, number, len(hashes) // 32), hashes)
        (self.folder / "checkpoint").write_bytes(sign_checkpoint(origin, edge.size, edge.root, key).note)

    def _write(self, tile: TileAt, hashes: bytes) -> None:
        path = self.folder / tile_path(tile)
        if path.parent.is_file():
            path.parent.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashes)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    (tmp_path / "log").mkdir()
    return Log(tmp_path / "log")


def arguments(folder: Path, source: str | Path, log_key: str, *further: str | Path) -> list[str | Path]:
    return [
        *("witness", source, "--name", "witness.example/w1", "--key", folder / "key", "--log-key", log_key),
        *("--seen", folder / "seen", *further),
    ]


@pytest.fixture
def place(tmp_path: Path, ready_program: ReadyProgram) -> Place:
    """It needs no data folder."""
    return Place(tmp_path / "data", ready=ready_program)


def asked(place: Place, log: Log) -> Any:
    return place.run(*arguments(log.folder.parent, log.folder, str(LOG_KEY.named(ORIGIN))))


def test_what_continues_what_was_seen_is_countersigned(place: Place, log: Log, tmp_path: Path) -> None:
    for size in (3, 3, 256, 66_000):
        log.show(leaves(size))

        ended = asked(place, log)

        assert ended.returncode == 0, ended.stderr
        checkpoint = read_checkpoint(ended.stdout.encode())
        assert checkpoint.size == size
        key = read_witness_key(ended.stderr.removeprefix("The witness is ").strip())
        line = ended.stdout.splitlines(keepends=True)[-1]
        assert cosigned_at(checkpoint.signed.text, line, key) > 0
        assert read_checkpoint((tmp_path / "seen").read_bytes()).size == size
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


def test_several_keys_in_one_word_are_told_from_none(place: Place, log: Log) -> None:
    """As ``jobledger key show`` prints them for several orgs."""
    log.show(leaves(3))
    keys = f"{LOG_KEY.named(ORIGIN)}\n{LOG_KEY.named('installation/globex')}"

    ended = place.run(*arguments(log.folder.parent, log.folder, keys))

    assert ended.returncode == 2
    assert "these are several keys: name one, as jobledger key show --org ORG prints it" in ended.stderr


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a shorter one": ({"every": leaves(299)}, "went back"),
    "another of the same size": ({"every": leaves(300, forged=7)}, "shows other 300 events"),
    "a longer one that altered the past": ({"every": leaves(900, forged=299)}, "no continuation"),
    "another origin": ({"every": leaves(900), "origin": f"{ORIGIN}/2"}, "is not signed by the log's key"),
    "another key": ({"every": leaves(900), "key": SigningKey(b"m" * 32)}, "is not signed by the log's key"),
}


@pytest.mark.parametrize("shown", REFUSED)
def test_what_does_not_is_not(place: Place, log: Log, tmp_path: Path, shown: str) -> None:
    """And what was seen stays so."""
    log.show(leaves(300))
    assert asked(place, log).returncode == 0
    before = (tmp_path / "seen").read_bytes()
    members, said = REFUSED[shown]
    log.show(**members)

    ended = asked(place, log)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert said in ended.stderr
    assert (tmp_path / "seen").read_bytes() == before


def test_a_fork_is_another_log(place: Place, log: Log, tmp_path: Path) -> None:
    """Even where its key is known."""
    log.show(leaves(300))
    assert asked(place, log).returncode == 0
    log.show(leaves(301), origin=f"{ORIGIN}/2")

    said = place.fail(*arguments(tmp_path, log.folder, str(LOG_KEY.named(f"{ORIGIN}/2"))))

    assert "its history forked" in said


@pytest.mark.slow
def test_a_server_is_countersigned_and_shows_it(parent: Path) -> None:
    """Over HTTP, by an auditor's token; a token of a client attaches nothing."""
    place = Place(parent / "data")

    def text_of(server: Server, path: str) -> str:
        connection = server.connect()
        connection.request(
            "GET", f"/ledger/v1/default/{path}", headers=server.authorization() | {"Accept": "text/plain"}
        )
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return body if answer.status == 200 else ""

    with place.serving() as server:
        for role in ("auditor", "client"):
            place.succeed("principal", "add", role, "--org", "default", "--role", role, "--no-password")
            issued = place.succeed("token", "create", "--org", "default", "--principal", role)
            found = re.search(r"jl_\S+", issued)
            assert found is not None
            (parent / role).write_text(found[0])
        source = f"http://127.0.0.1:{server.port}/ledger/v1/default"
        log_key = eventually(lambda: text_of(server, "key")).strip()
        for _ in range(2):
            size = server.ask("POST", "/default/jobs", JOB)[1]["position"] + 1
            eventually(lambda size=size: f"\n{size}\n" in text_of(server, "checkpoint"))  # type: ignore[misc]

            cosigned = place.succeed(
                *arguments(parent, source, log_key, "--token-file", parent / "auditor", "--attach")
            )

            assert text_of(server, "checkpoint") == text_of(server, f"checkpoint/{size}") == cosigned
        assert "answers 403" in place.fail(
            *arguments(parent, source, log_key, "--token-file", parent / "client", "--attach")
        )
        # Below a checkpoint that another countersigned, the log's own signature still is found.
        assert place.run(*arguments(parent, source, log_key, "--token-file", parent / "auditor")).returncode == 0
        shown = server.ask("GET", f"/default/checkpoint/{size}")[1]
        assert json.dumps(shown["witnesses"]).count("witness.example/w1") == 1
