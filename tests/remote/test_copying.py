"""Copying to another host, over each kind of server: files arrive whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobledger.ledger.work.runner import WorkFailedError
from tests.remote.conftest import CLAIM, Sender
from tests.remote.ssh_servers import SshServer

STRANGE = 'it\'s "a" $(touch jl-injected) $HOME `id`;&|<>* [x] \\ ü!'


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {it.name: it.read_bytes() for it in folder.iterdir()}


async def test_files_arrive_whole_under_their_names(sender: Sender, server: SshServer) -> None:
    """In a folder whose name no shell may read; and again, where they lie right already, nothing is written."""
    folder = server.folder / STRANGE
    folder.mkdir()
    folder.chmod(0o777)

    await sender.send(server, path=f"{folder}/")
    arrived = {it.name: it.stat().st_mtime_ns for it in folder.iterdir()}
    await sender.send(server, path=str(folder), claim=CLAIM + 1)

    assert contents(folder) == contents(sender.local)
    assert {it.name: it.stat().st_mtime_ns for it in folder.iterdir()} == arrived
    assert {it.stat().st_mode & 0o777 for it in folder.iterdir()} == {0o600}
    assert sender.told[-1] == 1.0


async def test_what_earlier_claims_left_is_removed(sender: Sender, server: SshServer) -> None:
    """Not what a later one has under way, nor anything else."""
    name = sender.files[0].name
    for claim in (1, CLAIM, CLAIM + 1):
        (server.folder / f".{name}.{claim}.part").write_bytes(b"cut o")
    (server.folder / ".other.1.part").write_bytes(b"x")
    for it in server.folder.iterdir():
        os.chown(it, server.folder.stat().st_uid, -1)

    await sender.send(server)

    kept = {f".{name}.{CLAIM + 1}.part": b"cut o", ".other.1.part": b"x"}
    assert contents(server.folder) == contents(sender.local) | kept


async def test_a_wrong_password_is_refused(sender: Sender, server: SshServer) -> None:
    with pytest.raises(WorkFailedError, match=r"^login refused$"):
        await sender.send(server, password="wrong")

    assert contents(server.folder) == {}
    assert "key" not in server.logins


async def test_a_folder_that_is_not_there_is_not_made(sender: Sender, server: SshServer) -> None:
    with pytest.raises(WorkFailedError, match=r"^copy failed$"):
        await sender.send(server, path=str(server.folder / "none"))

    assert contents(server.folder) == {}


async def test_something_else_that_has_the_name_stays(sender: Sender, server: SshServer) -> None:
    """It is not what is here: nothing is written over."""
    (server.folder / sender.files[0].name).write_bytes(b"mine")
    os.chown(server.folder / sender.files[0].name, server.folder.stat().st_uid, -1)

    with pytest.raises(WorkFailedError, match=r"^copy differs$"):
        await sender.send(server)

    assert contents(server.folder) == {sender.files[0].name: b"mine"}
