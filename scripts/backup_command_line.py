"""The command line's ``backup`` and ``restore``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from jobledger.scripts.command_parts import finish, run
from jobledger.scripts.settings import Settings, shown_settings


def add_backup_commands(nouns: Any) -> None:
    """Add both."""
    backup = nouns.add_parser("backup", help="copy everything, as of one moment", description=_BACKUP)
    backup.add_argument("path", metavar="PATH", type=Path, help="the folder to make; it must not be there yet")
    backup.add_argument("--with-keys", action="store_true", help="with the keys and the admin's first password")
    finish(backup, _backup)
    restore = nouns.add_parser("restore", help="put a backup back", description=_RESTORE)
    restore.add_argument("path", metavar="PATH", type=Path, help="the backup")
    finish(restore, _restore)


def _backup(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.backup import backup

    return run(backup(settings, options.path.absolute(), shown_settings(os.environ), with_keys=options.with_keys))


def _restore(options: argparse.Namespace, settings: Settings) -> int:
    from jobledger.scripts.restore import restore

    return run(restore(settings, options.path))


_BACKUP = (
    "Copy the database, the archives, the known hosts and the settings as of one moment, also while servers write. The folder is "
    "there whole or not at all. The witness is never in it."
)
_RESTORE = (
    "Put a backup back: into a data folder that is empty but for the witness and the keys, and an empty database. See "
    "docs/operations.md before."
)
