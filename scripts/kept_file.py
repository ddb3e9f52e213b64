"""Small files of the data folder that are made once and then kept."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from jobledger.ledger.postgres.data_folder import synchronize


def keep(path: Path, content: str) -> str:
    """The text in *path*, made of *content* if there is no such file yet; 0600, on disk when this returns.

    It is there whole or not at all, whenever we die, and where several make it at once all get the text of the one that won.
    """
    kept = read_kept(path)
    if kept is not None:
        return kept
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{content}\n")
            file.flush()
            os.fsync(file.fileno())
        # A rename would replace what another has made in between; a link does not.
        with suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        os.unlink(unfinished)
    synchronize(path.parent)
    kept = read_kept(path)
    assert kept is not None
    return kept


def read_kept(path: Path) -> str | None:
    """The text in *path*, None if there is no such file."""
    try:
        return path.read_text("utf-8").rstrip("\n")
    except FileNotFoundError:
        return None
