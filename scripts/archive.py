"""``jobledger archive``: what was archived, and whether its files are what was signed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from jobledger.ledger.evidence.keys import read_signing_keys
from jobledger.ledger.evidence.note import NoteError, VerifierKey, read_note, read_verifier_key
from jobledger.projections.archive_query import ArchiveQuery
from jobledger.scripts.archived_events import ArchivedEvents
from jobledger.scripts.evidence_place import evidence_place
from jobledger.scripts.failure import FailedError
from jobledger.scripts.opening import open_ledger
from jobledger.scripts.settings import Settings

PAGE = 500


async def list_archives(settings: Settings, org: str) -> int:
    """Print a line for each archive. Raises NotFoundError, FailedError."""
    async with open_ledger(settings) as ledger:
        await ledger.recorder.head(org)
        query, after = ArchiveQuery(ledger.database), 0
        while True:
            page = await query.archives(org, None, after=after, limit=PAGE)
            for it in page.documents:
                files = sum(file["size_bytes"] for file in it["files"])
                print(
                    f"{it['id']}  {it['requested_at']:%Y-%m-%dT%H:%M:%SZ}  {it['state']}  {it['selected']} jobs, "
                    f"{it['purged']} purged, {files} bytes"
                )
            if page.next_after is None:
                return 0
            after = page.next_after


async def show_archive(settings: Settings, org: str, archive_id: int) -> int:
    """Print all that is known of one, as JSON. Raises NotFoundError, FailedError."""
    async with open_ledger(settings) as ledger:
        await ledger.recorder.head(org)
        shown = await ArchiveQuery(ledger.database).archive(org, archive_id, None)
        options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
        print(orjson.dumps(shown, option=options).decode(), end="")
    return 0


def verify_archive(settings: Settings, path: Path, key: str | None) -> int:
    """Read an archive's files back, and say whether they are what was signed; 1 where nobody can tell by whom.

    Raises FailedError where they differ.
    """
    archive = ArchivedEvents(path)
    counts = archive.verify()
    told = f"{archive.files.name}: nothing differs in {counts['events']} events of {counts['jobs']} jobs"
    try:
        checkpoint = archive.checkpoint
        if checkpoint is None:
            print(f"{told}; it has no checkpoint.")
            return 0 if counts["events"] == 0 else 1
        keys = _given_keys(key) if key is not None else _own_keys(settings, checkpoint.origin)
        if not keys:
            print(f"{told}; who signed its checkpoint of {checkpoint.size} was not checked: give --key.")
            return 1
        if not any(_is_signed_by(checkpoint.note, it) for it in keys):
            raise FailedError(f"The checkpoint of {archive.files.name} is not signed by that key.")
    except NoteError as error:
        raise FailedError(f"The checkpoint of {archive.files.name}: {error}") from None
    print(f"{told}; all are in the signed checkpoint of {checkpoint.size}.")
    return 0


def _given_keys(given: str) -> list[VerifierKey]:
    """A verifier key, or those in a file, the last word of each line. Raises FailedError for what is neither."""
    try:
        is_file = Path(given).is_file()
        if not is_file and len(given.split()) > 1:
            raise FailedError(
                "--key: these are several keys: name one, as jobledger key show --org ORG prints it, or a file."
            )
        lines = Path(given).read_text("utf-8").splitlines() if is_file else [given]
        return [read_verifier_key(it.split()[-1]) for it in lines if it.strip()]
    except (OSError, UnicodeDecodeError, NoteError) as error:
        raise FailedError(f"--key is to be a verifier key, or a file with some: {error}") from None


def _own_keys(settings: Settings, origin: str) -> Iterable[VerifierKey]:
    """Those of the installation whose data folder this is, if there is one."""
    try:
        place = evidence_place(settings)
        given = place.given if place.given is not None else place.key_file.read_text("utf-8")
        return [it.named(origin) for it in read_signing_keys(given)]
    except (OSError, ValueError, FailedError):
        return []


def _is_signed_by(note: bytes, key: VerifierKey) -> bool:
    try:
        read_note(note).must_be_signed_by(key)
    except NoteError:
        return False
    return True
