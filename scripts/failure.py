"""What makes a command end without having done its work, as one sentence to whoever typed it."""

from __future__ import annotations


class FailedError(Exception):
    """The command failed; the message is a whole sentence. Exit code 1."""


class UsageError(Exception):
    """The command line or a setting is not one that can be used; the message is a whole sentence. Exit code 2."""


def sentence_of(error: Exception) -> str | None:
    """What to tell of an expected error; None for one that nobody expected, whose traceback is wanted."""
    # Imported here: the command line starts faster without them, and most often needs none.
    import asyncpg

    from jobledger.ledger.errors import CorruptLedgerError, LedgerError
    from jobledger.ledger.postgres.embedded import EmbeddedPostgresError
    from jobledger.ledger.store.migration import SchemaError

    if isinstance(error, (FailedError, UsageError, EmbeddedPostgresError, SchemaError)):
        return str(error)
    if isinstance(error, LedgerError):
        return error.detail
    if isinstance(error, CorruptLedgerError):
        return f"The ledger cannot be read: {error}"
    if isinstance(error, asyncpg.PostgresError):
        return f"Postgres refuses: {error}"
    if isinstance(error, (OSError, asyncpg.InterfaceError)):
        return _sentence_of_os_error(error)
    return None


def _sentence_of_os_error(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return f"{str(error) or type(error).__name__}."
