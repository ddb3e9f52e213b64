"""An archive's files: their names, how they come to bear them, and how they go.

    JobArchive_<org>_<yyyy-mm-dd>_<hh-mm-ss>_<archive id>.ndjson.gz            the events, as they are stored
    ….private.ndjson.gz                                                        their private contents
    ….attachments/<job id>-<attachment id>                                     what was attached, where there was anything
    ….proof                                                                    what proves the headers in the manifest's checkpoint
    ….manifest.json                                                            what there is, and where

They are written as ``.<name>.<claim>.part``, and renamed when the step of that claim was accepted: those of another claim are
nobody's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FOLDER = "archive"
EVENTS, PRIVATE, ATTACHMENTS, MANIFEST = ".ndjson.gz", ".private.ndjson.gz", ".attachments", ".manifest.json"
PROOF = ".proof"


def archive_name(org: str, requested_at: datetime, archive_id: int) -> str:
    """What the names of an archive's files begin with: the same whoever writes them."""
    return f"JobArchive_{org}_{requested_at.astimezone(UTC):%Y-%m-%d_%H-%M-%S}_{archive_id}"


@dataclass(frozen=True, slots=True)
class ArchiveFiles:
    """Where an archive's files are, or are to be."""

    folder: Path
    name: str

    @classmethod
    def of(cls, data: Path, org: str, requested_at: datetime, archive_id: int) -> ArchiveFiles:
        """Those below the installation's *data*."""
        return cls(data / FOLDER / org, archive_name(org, requested_at, archive_id))

    def path(self, suffix: str) -> Path:
        """Where the file of this kind is."""
        return self.folder / f"{self.name}{suffix}"

    def part(self, suffix: str, claim: int | str) -> Path:
        """Where a claim writes it."""
        return self.folder / f".{self.name}{suffix}.{claim}.part"

    def make_folder(self) -> None:
        """Make the org's folder, for nobody else to read. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)

    def drop_parts(self, *, but_of: int | None = None) -> None:
        """Remove what claims have written, but for one of them. Raises OSError."""
        for part in self._parts():
            if but_of is None or not part.name.endswith(f".{but_of}.part"):
                _remove(part)

    def drop_parts_of(self, claim: int | str) -> None:
        """Remove what this claim has written. Raises OSError."""
        for part in self._parts():
            if part.name.endswith(f".{claim}.part"):
                _remove(part)

    def drop_rewritten_by(self, job_id: int) -> None:
        """Remove what this job has rewritten and nobody accepted. Raises OSError."""
        for part in self._parts():
            if f".{job_id}-" in part.name.removeprefix(f".{self.name}"):
                _remove(part)

    def publish(self, claim: int | str) -> None:
        """Give what the claim has written its names, where it does not bear them yet; durable when this returns. Raises OSError."""
        # If we die in between, whoever takes over does the rest: a part that is there has not been renamed.
        for suffix in (EVENTS, PRIVATE, ATTACHMENTS, PROOF, MANIFEST):
            part = self.part(suffix, claim)
            # Another may do the same at the same time.
            with suppress(FileNotFoundError):
                os.rename(part, self.path(suffix))
        sync_folder(self.folder)

    def remove(self) -> None:
        """Remove all but the manifest; what is not there is removed already. Raises OSError."""
        for suffix in (EVENTS, PRIVATE, ATTACHMENTS, PROOF):
            _remove(self.path(suffix))
        self.drop_parts()
        if self.folder.exists():
            sync_folder(self.folder)

    def existing(self) -> Iterable[Path]:
        """The files there are, the manifest last: those that a copy has."""
        for suffix in (EVENTS, PRIVATE):
            if self.path(suffix).exists():
                yield self.path(suffix)
        if self.path(ATTACHMENTS).is_dir():
            yield from sorted(self.path(ATTACHMENTS).iterdir())
        for suffix in (PROOF, MANIFEST):
            if self.path(suffix).exists():
                yield self.path(suffix)

    def _parts(self) -> list[Path]:
        return [it for it in self.folder.glob(f".{self.name}.*") if it.name.endswith(".part")]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
