"""What a backup is made of: a folder that is there whole or not at all.

<backup>/
├── manifest.json             what there is, with the SHA-256 of each file
├── database/<table>.copy.gz  the rows of a table, as of one moment for all
└── data/                     of the data folder: archive/, known_hosts/, installation, secret-key-mark;
                              with --with-keys also secret-key, signing-key, admin-password
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from jobledger.ledger.store.table_copy import PIECE_BYTES
from jobledger.scripts.failure import FailedError

FORMAT = "jobledger-backup/1"
MANIFEST, DATABASE, DATA = "manifest.json", "database", "data"
INSTALLATION, SECRET_KEY_MARK = "installation", "secret-key-mark"
SECRET_KEY, SIGNING_KEY, ADMIN_PASSWORD = "secret-key", "signing-key", "admin-password"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """What a backup holds. ``migrations``: their checksums by name; ``ledgers``: by org ``{"size", "last_leaf"}``; ``tables``:
    by name ``{"columns", "rows"}``; ``files``: by path ``{"size_bytes", "sha256"}``; ``missing``: files of archives that were not
    there, or not as they were written.
    """

    format: str = FORMAT
    release: str
    installation: str
    taken_at: str
    postgres: str
    has_keys: bool
    settings: Mapping[str, str]
    migrations: Mapping[str, str]
    ledgers: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Mapping[str, Any]]
    sequences: Mapping[str, list[Any]]
    files: Mapping[str, Mapping[str, Any]]
    missing: list[str] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(it["size_bytes"] for it in self.files.values())

    @property
    def encoded(self) -> bytes:
        """As it is written."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2) + b"\n"


def read_manifest(folder: Path) -> BackupManifest:
    """The manifest of a backup. Raises FailedError."""
    path = folder / MANIFEST
    try:
        told = orjson.loads(path.read_bytes())
        if told["format"] != FORMAT:
            raise FailedError(f"{path} is of the format {told['format']}, and this release knows {FORMAT}.")
        return BackupManifest(**told)
    except FileNotFoundError:
        raise FailedError(f"{folder} is no backup: it has no {MANIFEST}.") from None
    except (ValueError, TypeError, KeyError):
        raise FailedError(f"{path} is no manifest of a backup.") from None


async def must_be_whole(folder: Path, manifest: BackupManifest, progress: Callable[[int], None]) -> None:
    """Raise FailedError unless each file is there, and as it was written."""
    for name, known in manifest.files.items():
        parts = Path(name).parts
        if parts[0] not in (DATABASE, DATA) or ".." in parts:
            raise FailedError(f"{name} is no file of a backup.")
        path = folder / name
        if not path.is_file():
            raise FailedError(f"The backup is not whole: {name} is missing.")
        if await asyncio.to_thread(_hash_of, path, progress) != known["sha256"]:
            raise FailedError(f"The backup is not whole: {name} is not what was written.")


def _hash_of(path: Path, progress: Callable[[int], None]) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            progress(len(piece))
    return digest.hexdigest()
