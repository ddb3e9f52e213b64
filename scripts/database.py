"""``jobledger db``."""

from __future__ import annotations

from jobledger.scripts.installation import migrate_installation
from jobledger.scripts.settings import Settings


async def migrate_database(settings: Settings) -> None:
    """Bring the database to this release's schema."""
    applied = await migrate_installation(settings)
    print(f"Applied {', '.join(applied)}." if applied else "The database is up to date.")
