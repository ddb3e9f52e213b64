"""An export's file: its name, and how it comes to bear it.

    Export_<org>_<yyyy-mm-dd>_<hh-mm-ss>_<export id>.zip

It is written as ``.<name>.<claim>.part``, its parts as ``.<name>.<which>.<claim>.part``, and renamed when the step of that claim
was accepted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobledger.ledger.work.archiving.files import sync_folder

FOLDER = "export"


@dataclass(frozen=True, slots=True)
class ExportFile:
    """Where an export's file is, or is to be."""

    folder: Path
    name: str

    @classmethod
    def of(cls, data: Path, org: str, requested_at: datetime, export_id: int) -> ExportFile:
        """That below the installation's *data*."""
        name = f"Export_{org}_{requested_at.astimezone(UTC):%Y-%m-%d_%H-%M-%S}_{export_id}.zip"
        return cls(data / FOLDER / org, name)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.name

    def part(self, claim: int, which: str = "") -> Path:
        """Where a claim writes it, or what becomes a part of it."""
        return self.folder / f".{self.name}{'.' + which if which else ''}.{claim}.part"

    def make_folder(self) -> None:
        """Make the org's folder, for nobody else to read. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)

    def drop_parts(self, of: int | None = None) -> None:
        """Remove what claims, or one of them, have written. Raises OSError."""
        for part in self.folder.glob(f".{self.name}.*"):
            if part.name.endswith(".part" if of is None else f".{of}.part"):
                part.unlink(missing_ok=True)

    def publish(self, claim: int) -> None:
        """Give what the claim has written its name, where it does not bear it yet; durable when this returns. Raises OSError."""
        if self.part(claim).exists():
            os.rename(self.part(claim), self.path)
        sync_folder(self.folder)
