"""Files that are made once."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobledger.scripts.kept_file import keep, read_kept


def test_a_kept_file_is_made_once_and_is_private(tmp_path: Path) -> None:
    """Whoever comes later gets what the first one wrote."""
    path = tmp_path / "key"

    assert read_kept(path) is None
    assert keep(path, "first") == "first"
    assert keep(path, "second") == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_all_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    """One of them wins."""
    with ThreadPoolExecutor(8) as threads:
        kept = set(threads.map(lambda n: keep(tmp_path / "key", str(n)), range(64)))

    assert len(kept) == 1
    assert os.listdir(tmp_path) == ["key"]


def test_a_failure_before_it_is_there_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault pair: not written and failed; the next attempt makes it."""

    def fail(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space"):
            keep(tmp_path / "key", "first")

    assert os.listdir(tmp_path) == []
    assert keep(tmp_path / "key", "second") == "second"
